"""What is written down of a step, and how a step is told what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodeling_runtime.engine.kept_data import delta_data, error_data
from nodeling_runtime.engine.kept_files import keep_files, restored
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.values import InvalidValue, Value

if TYPE_CHECKING:
    from nodeling_runtime.engine.context import Delta
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.engine.recall import Recall
    from nodeling_runtime.engine.recorded import Ended
    from nodeling_runtime.engine.run import Run


def note_end(
    run: Run,
    journal: Journal,
    trail: str,
    record: StepRecord,
    delta: Delta,
    *,
    attempt: int | None = None,
    of: Recall | None = None,
    at_once: bool = False,
    ends: tuple[str, str] | None = None,
) -> None:
    """Write down how a step ended, once.

    Args:
        run: The run.
        journal: Where to.
        trail: The step's place in the history.
        record: What is known of it.
        delta: What it wrote.
        attempt: Its last attempt, where that has no end yet.
        of: The container it is a child of.
        at_once: It ended in the moment that made it.
        ends: How its node had its scope ended, and which.
    """
    if trail in journal.recorded.ends:
        return
    data: dict[str, Any] = {
        "name": record.name,
        "node": record.node,
        "status": record.status,
        "reason": record.reason,
        "attempts": record.attempts,
        "attempt": attempt,
        "started": None if record.started_at is None else run.epoch(record.started_at),
        "error": error_data(record.error),
    }
    if of is not None:
        data["of"], data["made"] = of.trail, of.made
    if at_once:
        data["at_once"] = True
    if ends is not None:
        data["ends"] = list(ends)
    used = _used(record)
    if used:
        data["used"] = used
    value = None if record.output is None else record.output.data
    if record.output is not None and record.output.blobs:
        data["files"] = keep_files(journal, record.output)
        if data["files"] and journal.folder is None:
            message = "this kind of store keeps no files: a resume or a restart cannot read this output again"
            journal.note_log(trail, {"level": "warning", "message": message})
            run.events.emit("step.log", record.path, level="warning", message=message)
    journal.note("step.ended", trail, data, value, delta_data(delta))


def _used(record: StepRecord) -> dict[str, Any]:
    used: dict[str, Any] = {}
    for key in ("worker", "cpu_ms", "peak_rss_mb"):
        if getattr(record, key) is not None:
            used[key] = getattr(record, key)
    if record.metrics:
        used["metrics"] = record.metrics
    if record.handled:
        used["handled"] = True
    return used


def remember(run: Run, record: StepRecord, ended: Ended) -> None:
    """Fill a record in as it was when the step ended."""
    record.status, record.reason, record.error = ended.status, ended.reason, ended.error
    record.attempts, record.output = ended.attempts, restored(run, ended)
    record.started_at = None if ended.started is None else run.moment(ended.started)
    record.ended_at = run.moment(ended.at)
    used = ended.used
    record.worker, record.cpu_ms = used.get("worker"), used.get("cpu_ms")
    record.peak_rss_mb, record.handled = used.get("peak_rss_mb"), used.get("handled", False)
    record.metrics = used.get("metrics")


def hash_of_given(vars: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> str | None:
    """What tells two starts of one child apart; None where a value is none that can be written."""
    from nodeling_runtime.engine.items import Item

    def plain(value: Any) -> Any:
        if isinstance(value, Item):
            return value.value
        if isinstance(value, list) and value and isinstance(value[0], Item):
            return [item.value for item in value]
        return value

    try:
        data = Value.of([{key: plain(value) for key, value in vars.items()}, inputs]).data
    except InvalidValue:
        return None
    return hashlib.blake2b(data, digest_size=16).hexdigest()
