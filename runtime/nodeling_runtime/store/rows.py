"""From rows as a database returns them to the values of `model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from nodeling_runtime.store.model import AttemptRow, Event, ResultRow, RunRow, TimerRow
from nodeling_runtime.writable import writable

RUN = (
    *("id", "workflow", "version", "definition", "status", "created", "started", "ended", "recoveries"),
    *("cancel", "error", "labels", "key", "owner", "epoch", "last_seq"),
)
ATTEMPT = ("path", "gen", "attempt", "epoch", "state", "started", "ended", "error")
RESULT = (
    *("path", "gen", "name", "node", "status", "reason", "attempts", "started", "ended", "error", "epoch"),
    "seq",
)
TIMER = ("path", "gen", "kind", "due")
EVENT = ("run", "seq", "epoch", "kind", "at", "path", "gen", "data", "value", "delta")


def json_bytes(data: Any) -> bytes:
    """What is known of an event, as JSON; what no text can hold is spelled out."""
    try:
        return orjson.dumps(data, default=str)
    except TypeError:
        return orjson.dumps(writable(data), default=str)


def to_json(value: Any) -> str | None:
    """A JSON column's text."""
    return None if value is None else json_bytes(value).decode()


def from_json(text: str | bytes | None) -> Any:
    """A JSON column's value."""
    return None if text is None else orjson.loads(text)


def _read(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(names, row, strict=True))
    for name in ("error", "labels"):
        if name in found:
            found[name] = from_json(found[name])
    return found


def run_row(row: Sequence[Any]) -> RunRow:
    """A run, of the columns `RUN`."""
    found = _read(RUN, row)
    return RunRow(run_id=found.pop("id"), **{**found, "labels": found["labels"] or {}})


def attempt_row(row: Sequence[Any]) -> AttemptRow:
    """An attempt, of the columns `ATTEMPT`."""
    return AttemptRow(**_read(ATTEMPT, row))


def result_row(row: Sequence[Any]) -> ResultRow:
    """A result, of the columns `RESULT`."""
    return ResultRow(**_read(RESULT, row))


def timer_row(row: Sequence[Any]) -> TimerRow:
    """A timer, of the columns `TIMER`."""
    return TimerRow(**_read(TIMER, row))


def event_row(row: Sequence[Any]) -> Event:
    """An event, of the columns `EVENT`."""
    run, seq, epoch, kind, at, path, gen, data, value, delta = row
    facts: Mapping[str, Any] = orjson.loads(data)
    return Event(run, seq, epoch, kind, at, path, gen, facts, value and bytes(value), delta and bytes(delta))
