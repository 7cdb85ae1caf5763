"""Which steps a restart does anew: those that failed or were cut short, and whatever comes behind them.

Of a container that failed only the children that did not succeed are in the cone, as far as its other
children cannot have known of them: those of a pool, and those that had begun before the first failure.
Handlers and `always` steps come behind everything in their scope.

A run that was suspended does less anew: the failures that it waits for, and of what is behind them only what
they kept from succeeding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.engine.recorded import Recorded, within
from nodeling_runtime.store.model import Event
from nodeling_runtime.workflow.model import Scope, Slot, Step
from nodeling_runtime.workflow.plan import CANCELLED, FAILED, SKIPPED, SUCCEEDED, Plan, plan_of

STATUS = {"succeeded": SUCCEEDED, "failed": FAILED, "skipped": SKIPPED, "cancelled": CANCELLED}
QUIET = ("inactive", "condition", "stopped")  # why a step was skipped that no failure has to do with


@dataclass(slots=True)
class Cone:
    """What a restart does anew."""

    paths: list[str] = field(default_factory=list)
    containers: dict[str, int] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The cone as its event holds it."""
        return {"cone": sorted(self.paths), "containers": self.containers, "loose": sorted(self.loose)}


@dataclass(frozen=True, slots=True)
class _Child:
    """A child of a container, as the history knows it."""

    path: str
    name: str
    began: int
    ended: int
    status: str
    reason: str | None

    @property
    def is_bad(self) -> bool:
        return self.status in ("failed", "cancelled") or (
            self.status == "skipped" and self.reason not in QUIET
        )


def cone_of(
    scope: Scope,
    events: Iterable[Event],
    recorded: Recorded,
    wanted: str | None = None,
    *,
    failed: bool = True,
) -> Cone:
    """What is done anew when a run is restarted.

    Args:
        scope: The steps at the top.
        events: The run's history.
        recorded: The same, folded.
        wanted: A step to begin from, as its path.
        failed: Whether what failed or was cut short is done anew too.
    """
    cone = Cone()
    _add_scope(cone, _Search(_History(events, recorded), wanted, failed), scope, "")
    return cone


def suspended_cone(scope: Scope, events: Iterable[Event], recorded: Recorded) -> Cone:
    """What is done anew when a run goes on that was suspended for its failures.

    Args:
        scope: The steps at the top.
        events: The run's history.
        recorded: The same, folded.
    """
    cone = Cone()
    search = _Search(_History(events, recorded), None, True, spares=True)
    _add_scope(cone, search, scope, "")
    return cone


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, and where."""

    history: _History
    wanted: str | None
    failed: bool
    spares: bool = False  # what succeeded by other ways than those that are done anew

    def wants(self, path: str) -> bool:
        """Whether the step to begin from is this one, or inside it."""
        return self.wanted is not None and within(self.wanted, (path,))

    def picks(self, child: _Child) -> bool:
        """Whether a child is done anew for its own sake."""
        return (self.failed and child.is_bad) or self.wants(child.path)


def _add_scope(cone: Cone, search: _Search, scope: Scope, prefix: str) -> bool:
    """Add the steps of a scope that are done anew. False when there are none."""
    plan, recorded = plan_of(scope), search.history.recorded
    paths = [f"{prefix}{step.name}" for step in plan.steps]
    chosen = 0
    for index, path in enumerate(paths):
        if search.spares:
            is_chosen = _is_lost(plan.steps[index], path, prefix, recorded)
        else:
            is_chosen = (search.failed and _is_bad(path, recorded)) or search.wants(path)
        chosen |= is_chosen << index
    if not chosen:
        return False
    for index, step in enumerate(plan.steps):
        # One that ended its scope would end it again before what failed has had its turn.
        chosen |= _ended_scope(step, paths[index], recorded) << index
    behind = (
        _kept_from_succeeding(plan, paths, chosen, recorded)
        if search.spares
        else {index for index in range(len(paths)) if plan.ancestors[index] & chosen}
    )
    for index, step in enumerate(plan.steps):
        if index in behind:
            cone.paths.append(paths[index])
        elif chosen >> index & 1:
            _add_step(cone, search, step, paths[index])
    return True


def _is_lost(step: Step, path: str, prefix: str, recorded: Recorded) -> bool:
    """Whether a suspended run waits for this step: as it says at the top, and inside whatever failed."""
    return path in recorded.lost if not prefix else _is_bad(path, recorded) and not step.continues


def _kept_from_succeeding(plan: Plan, paths: list[str], chosen: int, recorded: Recorded) -> set[int]:
    """What ended as it did because of the chosen steps. One that succeeded by another way is left alone."""
    behind = {step for phase in ("on_error", "always") for step in plan.phases[phase]}
    todo = [index for index in range(len(paths)) if chosen >> index & 1]
    while todo:
        source = todo.pop()
        ended = None if paths[source] in recorded.held else recorded.ends.get(paths[source])
        for target, number in plan.targets[source]:
            before, link = recorded.ends.get(paths[target]), plan.links[target][number]
            if target in behind or chosen >> target & 1:
                continue
            led_here = ended is not None and bool(link.accepts & STATUS[ended.status])
            is_kept = ended is not None and before is not None and before.status != "succeeded"
            if led_here or is_kept:
                behind.add(target)
                todo.append(target)
    return behind


def _is_bad(path: str, recorded: Recorded) -> bool:
    ended = recorded.ends.get(path)
    if ended is None:
        return path in recorded.begun
    if ended.status == "skipped":
        return ended.reason not in (*QUIET, "upstream")  # what is upstream of it brings it along
    return ended.status in ("failed", "cancelled")


def _ended_scope(step: Step, path: str, recorded: Recorded) -> bool:
    ended = recorded.ends.get(path)
    return ended is not None and ended.status == "succeeded" and (step.stops or ended.ends is not None)


def _add_step(cone: Cone, search: _Search, step: Step, path: str) -> None:
    """Some of a step's children where that can be, else the whole of it."""
    ended = search.history.recorded.ends.get(path)
    whole = search.wanted == path or ended is None or not step.is_container or ended.attempts != 1
    inner = None if whole else _inside(search, step, path)
    if inner is None:
        cone.paths.append(path)
    else:
        cone.paths.extend(inner.paths)
        cone.containers.update(inner.containers)
        cone.loose.extend(inner.loose)


def _only_slot(step: Step) -> Slot | None:
    """The one key that holds all of a container's children; None where there are several."""
    slots = [slot for slot in step.slots if slot.kind in ("step", "steps", "workflow")]
    return slots[0] if len({slot.path[0] for slot in slots}) == 1 else None


def _inside(search: _Search, step: Step, trail: str) -> Cone | None:
    """The cone inside a container; None when the whole of it has to be done anew."""
    history = search.history
    children = history.children(trail)
    picked = [child for child in children if search.picks(child) or search.wants(_inner(trail, child) or "")]
    if not picked or history.is_open(trail):
        return None
    first = min(child.ended for child in picked)
    pooled, slot = (trail, "pool", 0) in history.recorded.values, _only_slot(step)
    if pooled and slot is None:
        return None
    cone = Cone(containers={trail: first}, loose=[trail] if pooled else [])
    chosen = {child.path for child in picked}
    if not pooled:
        chosen |= {child.path for child in children if child.began > first}
    return (
        cone
        if all(_add_child(cone, search, slot, trail, one) for one in children if one.path in chosen)
        else None
    )


def _add_child(cone: Cone, search: _Search, slot: Slot | None, trail: str, child: _Child) -> bool:
    """Add a child with what is in it. False where that cannot be told from what is beside it."""
    found = _shape(trail, child)
    if found is None:
        return False
    if found[2] == "/":
        cone.paths.append(child.path)
        return True
    inner = _inner(trail, child) or trail
    scope = None if slot is None else slot.scope if slot.workflow is None else slot.workflow.scope
    if scope is not None and _add_scope(cone, search, scope, f"{inner}/"):
        cone.containers[child.path] = child.ended
        return True
    if inner == trail:
        return False
    cone.paths.extend((child.path, inner))
    return True


def _shape(trail: str, child: _Child) -> re.Match[str] | None:
    """A child's path behind its container's: its key, whether it is a step or a scope, and its number."""
    pattern = rf"(\[.*\])?([:/]){re.escape(child.name)}((?:~\d+)?)"
    return re.fullmatch(pattern, child.path[len(trail) :], re.DOTALL)


def _inner(trail: str, child: _Child) -> str | None:
    """Below which path the steps of a child stand that is a scope; None for a step."""
    found = _shape(trail, child)
    return None if found is None or found[2] == "/" else f"{trail}{found[1] or ''}{found[3]}"


class _History:
    """A run's events, as the containers' children see them."""

    def __init__(self, events: Iterable[Event], recorded: Recorded) -> None:
        self.recorded = recorded
        self._children: dict[str, dict[str, _Child]] = {}
        began: dict[str, int] = {}
        for event in events:
            if event.kind == "step.started":
                began.setdefault(event.path, event.seq)
            elif event.kind in ("step.ended", "step.resolved") and event.data.get("of") is not None:
                data, seq = event.data, began.get(event.path, event.seq)
                child = _Child(event.path, data["name"], seq, event.seq, data["status"], data["reason"])
                self._children.setdefault(data["of"], {})[event.path] = child
            elif event.kind == "run.restarted":
                began = {path: kept for path, kept in began.items() if path in recorded.ends}

    def children(self, trail: str) -> list[_Child]:
        """The direct children of a container whose ends count."""
        known = self._children.get(trail, {}).values()
        return [child for child in known if child.path in self.recorded.ends]

    def is_open(self, trail: str) -> bool:
        """Whether something inside has begun and not ended."""
        return any(within(path, (trail,)) for path in self.recorded.begun)
