"""A run that is kept, as the object that running it would have given."""

from __future__ import annotations

import time
from typing import Any

import orjson

from nodeling.results import RunResult, StepResult
from nodeling_runtime.engine.kept_data import error_data
from nodeling_runtime.engine.recorded import Ended, Recorded, fold
from nodeling_runtime.store.base import Store, not_found
from nodeling_runtime.store.model import Event, RunRow


def stored_result(store: Store, run_id: str) -> RunResult:
    """A run's result as far as it is known: of one that goes on, what has ended.

    Raises:
        StoreError: There is no such run.
    """
    row = store.run(run_id)
    if row is None:
        raise not_found(run_id)
    events = store.events(run_id)
    recorded = fold(events)
    last = next((event for event in reversed(events) if event.kind in ("run.ended", "run.dead")), None)
    over = last if row.ended is not None else None
    return RunResult(
        run_id=row.run_id,
        workflow=row.workflow,
        status=row.status,
        steps={name: _step(name, recorded) for name in _names(store, row)},
        error=recorded.error if over is None else over.data["error"],
        duration_ms=round(((row.ended or time.time()) - row.created) * 1_000, 3),
        started=row.created,
        held=None if over is None else _output(over),
    )


def _output(event: Event) -> bytes | None:
    return event.value if event.data.get("status") == "succeeded" else None


def _names(store: Store, row: RunRow) -> list[str]:
    """The steps at the top of the workflow that the run began with, in their order."""
    definition = store.definition(row.definition)
    if definition is None:
        return []
    document = orjson.loads(definition)["document"]
    return [step["name"] for step in document["steps"] if isinstance(step, dict) and "name" in step]


def _step(name: str, recorded: Recorded) -> StepResult:
    ended, begun = recorded.ends.get(name), recorded.begun.get(name)
    if ended is not None:
        return _ended(name, ended)
    status, attempts, spent = "pending", 0, 0.0
    if begun is not None:
        status = "in_doubt" if begun.is_in_doubt else "waiting" if begun.due is not None else "running"
        attempts, spent = begun.attempts, (time.time() - begun.started) * 1_000
    return StepResult(name, status, None, attempts, round(spent, 3), {}, None)


def _ended(name: str, ended: Ended) -> StepResult:
    used = ended.used
    metrics: dict[str, Any] = {"cpu_ms": used.get("cpu_ms"), "peak_rss_mb": used.get("peak_rss_mb")}
    error = error_data(ended.error)
    if error is not None:
        error.pop("started")
    spent = 0.0 if ended.started is None else (ended.at - ended.started) * 1_000
    return StepResult(
        name,
        ended.status,
        ended.reason,
        ended.attempts,
        round(spent, 3),
        {**metrics, **(used.get("metrics") or {})},
        error,
        held=None if ended.value is None else ended.value.data,
    )
