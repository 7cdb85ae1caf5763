"""A run's history as it grows, from another process, and in the words in which a run tells of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import CLOSED, Event

LOOK_SECONDS = 0.25
AT_ONCE = 1_000


def follow(store: Store, run_id: str, after: int = 0, *, until_end: bool = True) -> Iterator[Event]:
    """Each event behind `after`, as it comes; until the run has ended, or what there is has been told."""
    while True:
        row = store.run(run_id)  # asked before its events: what it ended with is among them
        found = store.events(run_id, after, AT_ONCE)
        yield from found
        after = found[-1].seq if found else after
        if len(found) == AT_ONCE:
            continue
        if row is None or not until_end or (row.status in (*CLOSED, "suspended") and after >= row.last_seq):
            return
        time.sleep(LOOK_SECONDS)


def as_told(event: Event) -> dict[str, Any] | None:
    """The event as the run itself tells it while it goes on; None for what it does not tell."""
    data = event.data
    told: dict[str, Any] = {"seq": event.seq, "ts": event.at, "run_id": event.run_id}
    if event.path:
        told["step"] = event.path
    if event.kind in ("run.created", "run.restarted"):
        return {
            **told,
            "event": "run.started",
            "workflow": data.get("workflow", ""),
            "version": data.get("version"),
        }
    if event.kind == "run.ended":
        return {
            **told,
            "event": "run.finished",
            "status": data["status"],
            "error": data["error"],
            "duration_ms": 0.0,
        }
    if event.kind == "step.started" and data["attempt"] == 1:
        keys = {key: data.get(key) for key in ("node", "name", "waited_for", "container")}
        return {**told, "event": "step.started", **keys}
    if event.kind in ("step.ended", "step.resolved"):
        return {**told, "event": "step.finished", **_ended(event)}
    if event.kind in ("step.retry", "step.log"):
        return {**told, "event": event.kind, **data}
    return None


def _ended(event: Event) -> dict[str, Any]:
    data = event.data
    began = data["started"]
    keys = ("name", "node", "status", "reason", "attempts", "error")
    spent = 0.0 if began is None else (event.at - began) * 1_000
    return {**{key: data[key] for key in keys}, "duration_ms": round(spent, 3)}
