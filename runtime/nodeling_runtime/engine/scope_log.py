"""A scope's part of the journal: its decisions, and how it comes again to where its history ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nodeling.errors import NodelingError
from nodeling_runtime.engine.failure import engine_error
from nodeling_runtime.engine.kept_data import error_data, error_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.engine.recorded import Cancel, Ended, Recorded
    from nodeling_runtime.engine.scheduler import Scheduler
    from nodeling_runtime.engine.scope import ScopeRun


def replay(scope: ScopeRun, recorded: Recorded) -> None:
    """Tell a scope's scheduler what has happened, in its order; what it then has started is what still runs.

    Raises:
        NodelingError: The history is not that of this workflow.
    """
    from nodeling_runtime.engine.recorded import Cancel  # which a run without a history does not load

    scheduler = scope.scheduler
    past: list[tuple[int, int | None, Ended | Cancel]] = []
    for step in range(len(scope.plan.steps)):
        ended = recorded.ends.get(scope.place(step))
        if ended is not None and not ended.at_once:
            past.append((ended.seq, step, ended))
    past.extend((cancel.seq, None, cancel) for cancel in recorded.cancels.get(scope.trail, ()))
    started: dict[int, None] = {}
    cancelled: dict[int, tuple[int, str, int]] = {}
    for _, ended_step, fact in sorted(past, key=lambda one: one[0]):
        _collect(scheduler, started, cancelled)
        if isinstance(fact, Cancel):
            _end_again(scheduler, fact)
        elif ended_step is not None:
            if ended_step not in started:
                place = scope.place(ended_step)
                said = f"the history says that {place} ran, and this workflow does not run it"
                raise NodelingError(said, code="run.history")
            del started[ended_step]
            cancelled.pop(ended_step, None)
            scope.remember(ended_step, fact)
    _collect(scheduler, started, cancelled)
    scheduler.starts = list(started)
    scheduler.cancels = [cancelled[step] for step in started if step in cancelled]


def _end_again(scheduler: Scheduler, fact: Cancel) -> None:
    if fact.how == "stop":
        scheduler.stop()
    elif fact.how == "hurry":
        scheduler.hurry(fact.reason)
    else:
        scheduler.cancel(fact.reason)


def _collect(
    scheduler: Scheduler, started: dict[int, None], cancelled: dict[int, tuple[int, str, int]]
) -> None:
    started.update(dict.fromkeys(scheduler.starts))
    cancelled.update({cancel[0]: cancel for cancel in scheduler.cancels})
    scheduler.starts, scheduler.cancels = [], []


def decided(journal: Journal | None, place: str, what: str, decide: Callable[[], bool]) -> bool:
    """A decision: the one that was made before, else a new one, which is written down.

    Raises:
        NodelingError: It could not be made, now or then.
    """
    if journal is None:
        return decide()
    known = journal.recorded.decisions.get((place, what))
    if known is not None:
        error = error_of(known.get("error"))
        if error is not None:
            raise NodelingError(error.message, code=error.code, details=error.details)
        return bool(known["is"])
    try:
        is_so = decide()
    except NodelingError as error:
        journal.note("decision", place, {"what": what, "error": error_data(engine_error(error))})
        raise
    journal.note("decision", place, {"what": what, "is": is_so})
    return is_so
