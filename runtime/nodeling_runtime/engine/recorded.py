"""What a run's history says of each step: folded from its events, for a resume that decides nothing anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.context import Delta, Write
from nodeling_runtime.engine.kept_data import delta_of, error_of
from nodeling_runtime.store.model import Event
from nodeling_runtime.values import Value


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended."""

    seq: int
    at: float
    status: str
    reason: str | None
    attempts: int
    started: float | None
    error: CallError | None
    value: Value | None
    delta: Delta
    at_once: bool  # it ended in the moment that made it: whoever makes it again ends it again
    used: Mapping[str, Any]
    ends: tuple[str, str] | None  # how its node had its scope ended, and which
    files: Mapping[str, Mapping[str, Any]]  # of its output, by name


@dataclass(slots=True)
class Begun:
    """A step that was started and has not ended."""

    ready: float
    started: float
    node: str
    attempts: int = 0
    lost: int = 0  # of these attempts, those that died with their runner
    open: bool = False  # the last attempt's end is not known
    due: float | None = None  # when the next attempt is
    is_container: bool = False
    is_unsafe: bool = False
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """A scope was told to end."""

    seq: int
    at: float
    reason: str
    how: str  # cancel, hurry, or stop: early and in order
    limit_ms: float | None


@dataclass(frozen=True, slots=True)
class Restart:
    """What a restart did anew: whole steps, and containers of whose children only some."""

    gen: int
    cone: tuple[str, ...]
    containers: Mapping[str, int]  # each with the event behind which nothing that it asked for counts

    def includes(self, path: str) -> bool:
        """Whether the step has another generation since."""
        return path in self.containers or within(path, self.cone)


@dataclass(slots=True)
class Recorded:
    """A history, by path."""

    count: int = 0
    created: float | None = None
    cancel: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ends: dict[str, Ended] = field(default_factory=dict)
    begun: dict[str, Begun] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)  # hashes of what containers gave their children
    children: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # of a container, as they ended
    cancels: dict[str, list[Cancel]] = field(default_factory=dict)
    decisions: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    values: dict[tuple[str, str, int], Event] = field(default_factory=dict)
    restarts: list[Restart] = field(default_factory=list)
    loose: set[str] = field(default_factory=set)  # containers whose children answer in no order
    set_by_hand: dict[str, Write] = field(default_factory=dict)  # variables that a restart gave
    lost: tuple[str, ...] = ()  # the failures that it is suspended for
    held: frozenset[str] = frozenset()  # those of them whose links were not decided
    error: dict[str, Any] | None = None  # that it is suspended with

    def generation(self, path: str) -> int:
        """The restart that last included the step; 0 when none did."""
        return next((one.gen for one in reversed(self.restarts) if one.includes(path)), 0)

    def doubtful(self) -> list[tuple[str, Begun]]:
        """The steps of which nobody knows whether they did what must not be done twice."""
        return [(path, one) for path, one in self.begun.items() if one.open and one.is_unsafe]


def fold(events: Iterable[Event]) -> Recorded:
    """What a history says."""
    found = Recorded()
    for event in events:
        found.count = event.seq
        take = _KINDS.get(event.kind)
        if take is not None:
            take(found, event)
    return found


def _created(found: Recorded, event: Event) -> None:
    found.created = event.at
    found.options = event.data.get("options") or {}


def _asked_to_end(found: Recorded, event: Event) -> None:
    found.cancel = event.data["reason"]


def _suspended(found: Recorded, event: Event) -> None:
    data = event.data
    if data["reason"] == "failed":
        found.lost, found.held = tuple(data["steps"]), frozenset(data["held"])
        found.error = dict(data["error"])


def _started(found: Recorded, event: Event) -> None:
    data, path = event.data, event.path
    begun = found.begun.get(path)
    if begun is None:
        begun = found.begun[path] = Begun(data["ready"], event.at, data["node"])
        begun.is_container, begun.is_unsafe = data["container"], data.get("effects") == "unsafe"
        if "given" in data:
            found.given[path] = data["given"]
    elif begun.open:
        begun.lost += 1
    begun.attempts, begun.open, begun.due, begun.is_in_doubt = data["attempt"], True, None, False


def _retry(found: Recorded, event: Event) -> None:
    begun = found.begun[event.path]
    begun.open, begun.due = False, event.data["due"]


def _lost(found: Recorded, event: Event) -> None:
    begun = found.begun[event.path]
    begun.lost += begun.open
    begun.open = begun.is_in_doubt = False


def _in_doubt(found: Recorded, event: Event) -> None:
    found.begun[event.path].is_in_doubt = True


def _ended(found: Recorded, event: Event) -> None:
    data, path = event.data, event.path
    found.begun.pop(path, None)
    found.ends[path] = Ended(
        event.seq,
        event.at,
        data["status"],
        data["reason"],
        data["attempts"],
        data["started"],
        error_of(data["error"]),
        None if event.value is None else Value.from_checked(event.value),
        delta_of(event.delta),
        data.get("at_once", False),
        data.get("used") or {},
        tuple(data["ends"]) if "ends" in data else None,
        data.get("files") or {},
    )
    container = data.get("of")
    if container is not None and not data.get("at_once", False):
        found.children.setdefault(container, []).append((path, data["made"]))


def _cancelled(found: Recorded, event: Event) -> None:
    data = event.data
    cancel = Cancel(event.seq, event.at, data["reason"], data["how"], data.get("limit_ms"))
    found.cancels.setdefault(event.path, []).append(cancel)


def _decided(found: Recorded, event: Event) -> None:
    found.decisions[event.path, event.data["what"]] = event.data


def _given(found: Recorded, event: Event) -> None:
    found.values[event.path, event.data["kind"], event.data["n"]] = event


def _restarted(found: Recorded, event: Event) -> None:
    """Forget what the restart does anew, and how the run ended; its time begins again."""
    data = event.data
    restart = Restart(data["gen"], tuple(data["cone"]), data.get("containers") or {})
    found.restarts.append(restart)
    found.created, found.cancel = event.at, None
    found.lost, found.held, found.error = (), frozenset(), None
    found.cancels.clear()
    cone, containers = restart.cone, restart.containers
    for kept in (found.ends, found.begun, found.given, found.children):
        for path in [path for path in kept if within(path, cone)]:
            del kept[path]
    for path in containers:
        found.ends.pop(path, None)
        found.begun.pop(path, None)
    for children in found.children.values():
        children[:] = [child for child in children if not restart.includes(child[0])]
    found.loose = {path for path in found.loose if not within(path, cone)} | set(data.get("loose") or ())
    found.decisions = {key: data for key, data in found.decisions.items() if not within(key[0], cone)}
    found.values = {key: one for key, one in found.values.items() if _still_counts(key, one.seq, restart)}
    _set(found, delta_of(event.delta))


def _still_counts(key: tuple[str, str, int], seq: int, restart: Restart) -> bool:
    """Whether a container that is restarted goes by what it was once told: not by when it began to wait."""
    path, kind, _ = key
    if within(path, restart.cone):
        return False
    return path not in restart.containers or (kind != "pool" and seq < restart.containers[path])


def _set(found: Recorded, given: Delta) -> None:
    """Variables that were set by hand hide what was written to them before."""
    if not given:
        return
    found.set_by_hand.update(given)
    for path, ended in found.ends.items():
        if not given.keys().isdisjoint(ended.delta):
            left = {key: write for key, write in ended.delta.items() if key not in given}
            found.ends[path] = replace(ended, delta=left)


_KINDS = {
    "run.created": _created,
    "run.cancel_requested": _asked_to_end,
    "run.suspended": _suspended,
    "run.restarted": _restarted,
    "scope.cancelled": _cancelled,
    "step.started": _started,
    "step.retry": _retry,
    "step.lost": _lost,
    "step.in_doubt": _in_doubt,
    "step.ended": _ended,
    "step.resolved": _ended,
    "decision": _decided,
    "flow.value": _given,
}


def within(path: str, cone: tuple[str, ...]) -> bool:
    """Whether a path is one of these steps, or inside one of them."""
    return any(
        path.startswith(top) and path[len(top) : len(top) + 1] in ("", "/", "[", ":", "#") for top in cone
    )
