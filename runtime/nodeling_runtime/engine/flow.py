"""The engine's side of the public flow API: children, pools and what they counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nodeling.errors import NodelingError
from nodeling.flow import Child, Expression, Start
from nodeling_runtime.engine.child import ChildRun, Place, child_of
from nodeling_runtime.engine.context import Delta, Frame, View
from nodeling_runtime.engine.names import Names
from nodeling_runtime.engine.pool import PoolRun
from nodeling_runtime.engine.recall import Recall
from nodeling_runtime.engine.team import Job, Team
from nodeling_runtime.workflow.model import Slot
from nodeling_runtime.workflow.plan import plan_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.step import StepJob


class FlowHandle:
    """What one container's code is given for one attempt."""

    def __init__(self, job: StepJob, keys: dict[str, Any]) -> None:
        self.job = job
        self.keys = keys
        self.closed: str | None = None
        self.hurried = False
        self.known: dict[str, Any] = {}
        self._live: dict[Job, ChildRun] = {}  # in the order of their starts
        self._adopted: dict[ChildRun, None] = {}  # in the order of adoption
        self.views: dict[Slot, View] = {}  # of children that stand alone, by where they stand
        self._starts: dict[str, int] = {}
        self._pools: list[PoolRun] = []
        self._when_quiet: Callable[[], None] | None = None
        self._workflows: dict[str, str] = {}  # those that stand at the container's own path, by key
        journal = job.engine.journal
        self.recall = None if journal is None else Recall(journal, job.trail, job.record.attempts)

    # -- the public API

    def start(self, start: Start | Child) -> ChildRun:
        """Start one child at once."""
        child = self.open(start if isinstance(start, Start) else Start(start))
        waiting = [child]
        team = Team(lambda: waiting.pop().job if waiting else None, self.ended)
        child.job.team = team
        if child.job.done:
            self.ended(child.job)
        else:
            team.wake()
        return child

    def pool(
        self,
        *,
        limit: int,
        timeout_ms: float | None = None,
        deadline_ms: float | None = None,
        strategy: str | None = None,
    ) -> PoolRun:
        """Open a pool."""
        pool = PoolRun(self, limit, timeout_ms, deadline_ms, strategy)
        self._pools.append(pool)
        return pool

    def adopt(self, *runs: ChildRun) -> None:
        """Let the writes of these children leave with the container's result."""
        self._adopted.update(dict.fromkeys(runs))

    def evaluate(
        self, expression: Expression, vars: Mapping[str, Any] | None = None, after: Sequence[ChildRun] = ()
    ) -> Any:
        """Evaluate a key that was kept as an expression."""
        slot = expression.handle
        if not isinstance(slot, Slot) or slot.expression is None:
            raise NodelingError("this is no expression of this container", code="container.expression")
        if self.recall is None:
            return self._evaluated(slot, vars, after)
        return self.recall.value("evaluate", lambda: self._evaluated(slot, vars, after))

    def _evaluated(self, slot: Slot, vars: Mapping[str, Any] | None, after: Sequence[ChildRun]) -> Any:
        if slot.expression is None:
            raise AssertionError("only a slot with an expression is evaluated")
        view = after[-1].inner_view() if after else self._before_children()
        return slot.expression.evaluate(Names(view or self.job.view, self.job.parts, given=vars))

    def now(self) -> float:
        """Seconds since the epoch."""
        engine = self.job.engine
        return engine.now() if self.recall is None else float(self.recall.value("now", engine.now))

    def random(self) -> float:
        """A number in [0, 1)."""
        engine = self.job.engine
        return engine.random() if self.recall is None else float(self.recall.value("random", engine.random))

    # -- the engine's side

    def open(self, start: Start, timeout_ms: float | None = None, ended: str | None = None) -> ChildRun:
        """Make a child ready; nothing runs yet. One that has `ended` is only counted, as cancelled."""
        if self.closed is not None and ended is None and (self.hurried or not start.cleanup):
            raise NodelingError("the container is ending and starts nothing more", code="container.closed")
        wanted = start.child
        if wanted.__class__ is not Child or wanted.handle is None:
            raise NodelingError(f"{wanted!r} is no child of this container", code="container.child")
        starts, name = self._starts, wanted.name
        count = starts.get(name, 0)
        starts[name] = count + 1
        child = child_of(self, start, count, timeout_ms, ended)
        if self.recall is not None:
            self.recall.opened(child, start)
        self._live[child.job] = child
        return child

    def opened_at(self) -> float:
        """When a pool was opened, on the loop's clock: its deadline is the same after a resume."""
        engine = self.job.engine
        if self.recall is None:
            return engine.clock()
        return engine.moment(self.recall.value("pool", engine.now))

    def when_answered(self, then: Callable[[], None]) -> None:
        """Call something once the children that had ended have answered."""
        if self.recall is None:
            then()
        else:
            self.recall.gate.when_open(then)

    def place(self, key: Any, name: str, kind: Literal["workflow", "scope"]) -> Place:
        """Where a child stands that has steps: its path, its place in the history and that of its steps.

        Two workflows that a container includes may have steps of the same name: the second one's stand
        below its own name.
        """
        tail = "" if key is None else f"[{key}]"
        if kind == "workflow" and self._workflows.setdefault(tail, name) != name:
            tail = f"{tail}/{name}"
        path = f"{self.job.path}{tail}"
        if self.recall is None:
            return Place(path, None, None)
        own, again = self.recall.unique(f"{self.recall.trail}{tail}:{name}"), f"{self.recall.trail}{tail}"
        return Place(path, own, again + own[len(f"{again}:{name}") :])

    def over(self) -> None:
        """The container has ended: what it held of its children is let go of at once, without a collector."""
        self.keys, self.job.keys = {}, None
        self.views.clear()
        self._adopted.clear()
        for pool in self._pools:
            pool.let_go()

    def account(self) -> dict[str, Any]:
        """What a failed container's error carries; where it could not say it itself, its pool does."""
        if not self.known and self._pools:
            self.known = self._pools[0].report()
        return self.known

    def ended(self, job: Job) -> ChildRun:
        """A child has ended."""
        child = self._live[job]
        if self.recall is not None:
            self.recall.ended(child)
        del self._live[job]
        child.status = child.record.status  # type: ignore[assignment]  # it is one of the ends
        if child.waiters is not None:
            child.ended()
        if self.recall is not None:
            self.recall.told(child)
        if not self._live and self._when_quiet is not None:
            quiet, self._when_quiet = self._when_quiet, None
            quiet()
        return child

    def close(self, reason: str, quiet: Callable[[], None]) -> None:
        """End every child but those that clean up; call `quiet` when the last has ended."""
        self.closed = reason
        if self.recall is not None:
            self.recall.gate.give_up()
        self._when_quiet = quiet
        for pool in self._pools:
            pool.cancel(reason)
        for child in list(self._live.values()):
            if not child.cleanup:
                child.cancel(reason)
        if not self._live and self._when_quiet is not None:
            self._when_quiet = None
            quiet()

    @property
    def cleans_up(self) -> bool:
        """Whether a child that cleans up is running."""
        return any(child.cleanup for child in self._live.values())

    def hurry(self, reason: str) -> None:
        """End every child, and what cleans up too."""
        self.hurried = True
        for job in list(self._live):
            job.hurry(reason)

    def adopted(self) -> list[Delta]:
        """The writes that leave, child by child; those a later one has seen are part of it."""
        seen: set[ChildRun] = set()
        for run in self._adopted:
            if run.after:
                seen.update(run.history())
        return [delta for run in self._adopted if (delta := run.delta()) and run not in seen]

    def _before_children(self) -> View | None:
        """What the first child sees: its own scope, with nothing done yet."""
        scopes = [
            slot.scope for slot in self.job.step.slots if slot.kind == "step" and slot.scope is not None
        ]
        return Frame(plan_of(scopes[0]), self.job.view, {}).view(0, None) if len(scopes) == 1 else None
