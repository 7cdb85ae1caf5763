"""Which rows an event changes. Pure, and the same for every store.

Kinds of events, and what their `data` holds:

| kind | data | changes |
|---|---|---|
| `run.created` | workflow, version, definition, labels, key, most, options | the run's row, queued |
| `run.claimed` | owner, recoveries | running |
| `run.cancel_requested` | reason, by | `cancel` |
| `run.suspended` | reason; for failures: steps, held (those whose links wait), error | suspended |
| `run.ended` | status, error; value: the output | its status and end |
| `run.dead` | error, recoveries | dead |
| `run.restarted` | by, cone (paths), gen | runs again; results of older generations stay readable |
| `scope.cancelled` | reason, how: cancel, hurry or stop; limit_ms | nothing: the scope at `path` is to end |
| `step.started` | attempt, name, node, container, … | an attempt that is running; no timer |
| `step.retry` | attempt, error, delay_ms, due | the attempt failed; a timer |
| `step.lost` | attempt | the attempt died with its runner, or somebody decided that it did nothing |
| `step.in_doubt` | attempt | nobody knows how the attempt ended |
| `step.ended` | name, node, status, reason, attempts, error, started, …; value, delta | the result |
| `step.resolved` | name, node, status, by, attempt, …; value | the result that somebody decided on |
| `step.log` | level, message, data | nothing |
| `decision`, `flow.value`, `definition.changed` | what a resume must not decide anew | nothing |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from nodeling_runtime.store.model import Event

Table = Literal["run", "attempt", "result", "timer"]

KEYS: Mapping[Table, tuple[str, ...]] = {
    "run": ("id",),
    "attempt": ("run", "path", "gen", "attempt"),
    "result": ("run", "path", "gen"),
    "timer": ("run", "path"),
}
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    "run": (
        *("id", "workflow", "version", "definition", "status", "created", "started", "ended"),
        *("recoveries", "cancel", "error", "labels", "key", "most"),
    ),
    "attempt": ("run", "path", "gen", "attempt", "epoch", "state", "started", "ended", "error"),
    "result": (
        *("run", "path", "gen", "name", "node", "status", "reason", "attempts", "started", "ended"),
        *("error", "epoch", "seq"),
    ),
    "timer": ("run", "path", "gen", "kind", "due"),
}
JSON_COLUMNS = frozenset({"error", "labels"})  # kept as JSON texts where a store has no better type
Row = dict[str, Any]
BRIEF = ("code", "message", "type", "step")  # what a row says of an error; the event says it all


class Change(NamedTuple):
    """One row to insert (it must be new), to update (it must be there) or to delete (it may be)."""

    op: Literal["insert", "update", "delete"]
    table: Table
    key: Row
    values: Row


def changes(event: Event) -> list[Change]:
    """The rows an event changes, in order.

    Raises:
        KeyError: The event's data lacks what its kind needs.
    """
    project = _KINDS.get(event.kind)
    return [] if project is None else project(event)


def _brief(error: Mapping[str, Any] | None) -> Row | None:
    return None if error is None else {key: error[key] for key in BRIEF if key in error}


def _run(event: Event, **values: Any) -> list[Change]:
    return [Change("update", "run", {"id": event.run_id}, values)]


def _created(event: Event) -> list[Change]:
    data = event.data
    values: Row = {
        "workflow": data["workflow"],
        "version": data["version"],
        "definition": data["definition"],
        "status": "queued",
        "created": event.at,
        "started": None,
        "ended": None,
        "recoveries": 0,
        "cancel": None,
        "error": None,
        "labels": data["labels"],
        "key": data["key"],
        "most": data["most"],
    }
    return [Change("insert", "run", {"id": event.run_id}, values)]


def _claimed(event: Event) -> list[Change]:
    data = event.data
    return _run(event, status="running", recoveries=data["recoveries"], started=data["started"], error=None)


def _dead(event: Event) -> list[Change]:
    data = event.data
    return _run(
        event, status="dead", ended=event.at, error=_brief(data["error"]), recoveries=data["recoveries"]
    )


def _ended_run(event: Event) -> list[Change]:
    return _run(event, status=event.data["status"], ended=event.at, error=_brief(event.data["error"]))


def _restarted(event: Event) -> list[Change]:
    return _run(event, status="running", ended=None, error=None, cancel=None)


def _step(event: Event) -> Row:
    return {"run": event.run_id, "path": event.path, "gen": event.gen}


def _attempt(event: Event, state: str, error: Any = None) -> Change:
    values = {"state": state, "ended": event.at, "error": _brief(error)}
    return Change("update", "attempt", {**_step(event), "attempt": event.data["attempt"]}, values)


def _no_timer(event: Event) -> Change:
    return Change("delete", "timer", {"run": event.run_id, "path": event.path}, {})


def _started(event: Event) -> list[Change]:
    attempt: int = event.data["attempt"]
    values = {"epoch": event.epoch, "state": "running", "started": event.at, "ended": None, "error": None}
    new = Change("insert", "attempt", {**_step(event), "attempt": attempt}, values)
    return [new, _no_timer(event)] if attempt > 1 or event.gen else [new]


def _retry(event: Event) -> list[Change]:
    key = {"run": event.run_id, "path": event.path}
    timer = Change("insert", "timer", key, {"gen": event.gen, "kind": "retry", "due": event.data["due"]})
    return [_attempt(event, "failed", event.data["error"]), timer]


def _ended(event: Event) -> list[Change]:
    data = event.data
    values = {
        "name": data["name"],
        "node": data["node"],
        "status": data["status"],
        "reason": data["reason"],
        "attempts": data["attempts"],
        "started": data["started"],
        "ended": event.at,
        "error": _brief(data["error"]),
        "epoch": event.epoch,
        "seq": event.seq,
    }
    found = [Change("insert", "result", _step(event), values)]
    if data["attempt"] is not None:
        found.append(_attempt(event, data["status"], data["error"]))
    if data["attempts"] > 1 or (data["attempts"] == 1 and data["attempt"] is None):
        found.append(_no_timer(event))  # else it is the end of a first attempt, which no timer began
    return found


_KINDS: Mapping[str, Callable[[Event], list[Change]]] = {
    "run.created": _created,
    "run.claimed": _claimed,
    "run.cancel_requested": lambda event: _run(event, cancel=event.data["reason"]),
    "run.suspended": lambda event: _run(event, status="suspended", error=_brief(event.data.get("error"))),
    "run.ended": _ended_run,
    "run.dead": _dead,
    "run.restarted": _restarted,
    "step.started": _started,
    "step.retry": _retry,
    "step.lost": lambda event: [_attempt(event, "lost")],
    "step.in_doubt": lambda event: [_attempt(event, "in_doubt")],
    "step.ended": _ended,
    "step.resolved": _ended,
}


class Tables:
    """The projection in memory: what a store's own tables must be equal to."""

    def __init__(self) -> None:
        self.rows: dict[Table, dict[tuple[Any, ...], Row]] = {name: {} for name in KEYS}

    def apply(self, event: Event) -> None:
        """Change the rows.

        Raises:
            ProjectionError: A row that must be new is there already, or one that must be there is not.
        """
        for change in changes(event):
            rows = self.rows[change.table]
            key = tuple(change.key[name] for name in KEYS[change.table])
            if change.op == "delete":
                rows.pop(key, None)
            elif (change.op == "insert") == (key in rows):
                raise ProjectionError(event, change)
            else:
                rows[key] = {**rows.get(key, change.key), **change.values}


class ProjectionError(Exception):
    """An event contradicts those before it: a second result, an end without a start."""

    def __init__(self, event: Event, change: Change) -> None:
        where = ", ".join(f"{name} {value!r}" for name, value in change.key.items())
        what = "is there already" if change.op == "insert" else "is not there"
        super().__init__(f"event {event.seq} ({event.kind}): the {change.table} with {where} {what}")
