"""A run's steps as its history tells them, for whoever looks at it from outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.engine.recorded import within
from nodeling_runtime.store.model import Event


@dataclass(slots=True)
class Told:
    """One step in its last generation, and what is inside it."""

    path: str
    name: str
    node: str
    status: str = "running"
    reason: str | None = None
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    error: Mapping[str, Any] | None = None
    value: bytes | None = None
    gen: int = 0
    waited_for: tuple[str, ...] = ()
    children: list[Told] = field(default_factory=list)

    @property
    def took_ms(self) -> float | None:
        """From its first start to its end; None where one of them is not known."""
        return None if self.started is None or self.ended is None else (self.ended - self.started) * 1_000

    def to_json(self) -> dict[str, Any]:
        """The step as `--json` shows it."""
        return {
            "path": self.path,
            "node": self.node,
            "status": self.status,
            "reason": self.reason,
            "attempts": self.attempts,
            "started": self.started,
            "ended": self.ended,
            "duration_ms": None if self.took_ms is None else round(self.took_ms, 3),
            "error": self.error,
            "generation": self.gen,
        }


def steps_of(events: Iterable[Event]) -> dict[str, Told]:
    """Every step by its path, in the order in which they were first heard of."""
    found: dict[str, Told] = {}
    for event in events:
        if event.kind == "run.restarted":
            _forget(found, event)
        elif event.kind == "step.started":
            _start(found, event)
        elif event.kind == "step.retry":
            found[event.path].status = "waiting"
        elif event.kind == "step.in_doubt":
            found[event.path].status = "in_doubt"
        elif event.kind in ("step.ended", "step.resolved"):
            _end(found, event)
    return found


def _forget(found: dict[str, Told], event: Event) -> None:
    cone, containers = tuple(event.data["cone"]), event.data.get("containers") or {}
    for path in [path for path in found if path in containers or within(path, cone)]:
        del found[path]


def _start(found: dict[str, Told], event: Event) -> None:
    data = event.data
    told = found.setdefault(event.path, Told(event.path, data["name"], data["node"]))
    told.status, told.attempts, told.gen = "running", data["attempt"], event.gen
    told.started = event.at if told.started is None else told.started
    told.waited_for = tuple(data.get("waited_for") or ())


def _end(found: dict[str, Told], event: Event) -> None:
    data = event.data
    told = found.setdefault(event.path, Told(event.path, data["name"], data["node"]))
    told.status, told.reason, told.attempts = data["status"], data["reason"], data["attempts"]
    told.ended, told.error, told.value, told.gen = event.at, data["error"], event.value, event.gen
    told.started = data["started"]


def forest(steps: Mapping[str, Told]) -> list[Told]:
    """The steps at the top, each with those inside it."""
    top: list[Told] = []
    inner: dict[str, str] = {path: path for path in steps}
    for path, told in steps.items():
        told.children = []
        if path.endswith(f"]:{told.name}"):  # a scope: its steps stand below its key
            inner[path[: -len(told.name) - 1]] = path
    for path, told in steps.items():
        above = _above(path, inner)
        (top if above is None else steps[above].children).append(told)
    return top


def _above(path: str, inner: Mapping[str, str]) -> str | None:
    """The nearest step that this one is inside of."""
    for at in range(len(path) - 1, 0, -1):
        above = inner.get(path[:at]) if path[at] in "/[:#" else None
        if above is not None and above != path:
            return above
    return None


def critical_path(top: Iterable[Told], late: Collection[str] = ()) -> list[Told]:
    """The steps that the run's end waited for, from its beginning: by when they ended, as measured.

    The `late` ones waited for all that had ended before they started.
    """
    by_name = {told.name: told for told in top if told.ended is not None and told.started is not None}
    here = max(by_name.values(), key=lambda told: told.ended or 0.0, default=None)
    path: list[Told] = []
    while here is not None and here not in path:
        path.append(here)
        before = [by_name[name] for name in here.waited_for if name in by_name]
        if not before and here.name in late:
            began = here.started or 0.0
            before = [told for told in by_name.values() if told is not here and (told.ended or 0.0) <= began]
        here = max(before, key=lambda told: told.ended or 0.0, default=None)
    return path[::-1]
