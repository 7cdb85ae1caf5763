"""A scope's graph in the form the scheduler walks: indices, links both ways, ancestors as bits.

Everything here is computed once per scope and costs O(steps + links), plus one big integer per
step for its ancestors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Any
from weakref import WeakKeyDictionary

from nodeling._dataclass import dataclass
from nodeling_runtime.workflow.model import Scope, Step, Trigger

SUCCEEDED, FAILED, SKIPPED, CANCELLED = 1, 2, 4, 8
TERMINAL = SUCCEEDED | FAILED | SKIPPED | CANCELLED
ACCEPTS = {
    "success": SUCCEEDED,
    "failure": FAILED,
    "done": SUCCEEDED | FAILED,
    "skipped": SKIPPED,
    "any": SUCCEEDED | FAILED | SKIPPED | CANCELLED,
}
MOST_PASSES = 32  # circles inside circles need more; a document with so many is told of some first
PHASES: tuple[Trigger, ...] = ("body", "on_error", "always")


@dataclass(frozen=True, slots=True)
class PlanLink:
    """A link between two steps of a scope."""

    source: int
    accepts: int
    names_success: bool
    names_failure: bool
    conditional: bool
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph of one scope."""

    steps: tuple[Step, ...]
    links: tuple[tuple[PlanLink, ...], ...]
    targets: tuple[tuple[tuple[int, int], ...], ...]
    needed: tuple[int, ...]
    phases: dict[Trigger, tuple[int, ...]]
    ancestors: tuple[int, ...]
    stop_on_failure: bool
    index: dict[str, int]
    independent: bool = False
    # What is known of its steps by those who run them, and by what they are called where they are children.
    known: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    children: list[Any] = field(default_factory=list, compare=False, repr=False)

    def leaves(self) -> list[int]:
        """Body steps that no other body step waits for, in declaration order."""
        return [i for i in self.phases["body"] if not self.targets[i]]


_PLANS: WeakKeyDictionary[Scope, Plan] = WeakKeyDictionary()


def plan_of(scope: Scope) -> Plan:
    """The plan of a scope whose links have been checked, computed once for each scope."""
    plan = _PLANS.get(scope)
    if plan is None:
        plan = _PLANS[scope] = make_plan(scope)
    return plan


def make_plan(scope: Scope, *, lenient: bool = False) -> Plan:
    """Compute a scope's plan.

    Args:
        scope: The scope; its links have been checked, unless `lenient`.
        lenient: Leave out links that lead nowhere and take cycles as they are, so that the rest of
            a faulty document can be checked too.
    """
    steps = scope.steps
    index = {step.name: i for i, step in enumerate(steps)}
    phases: dict[Trigger, tuple[int, ...]] = {
        phase: tuple(i for i, step in enumerate(steps) if step.trigger == phase) for phase in PHASES
    }
    links: list[tuple[PlanLink, ...]] = [()] * len(steps)
    for phase in PHASES:
        sequential = is_sequential(scope, [steps[k] for k in phases[phase]])
        for position, i in enumerate(phases[phase]):
            if sequential:
                before = phases[phase][position - 1] if position else None
                links[i] = () if before is None else (_sequence(before),)
            else:
                links[i] = tuple(
                    _link(index[link.source], link.on, link.condition is not None)
                    for link in steps[i].links or ()
                    if not lenient or (link.source in index and steps[index[link.source]].trigger == phase)
                )
    if scope.independent:
        links = [()] * len(steps)
    targets: list[list[tuple[int, int]]] = [[] for _ in steps]
    for i, mine in enumerate(links):
        for number, link in enumerate(mine):
            targets[link.source].append((i, number))
    return Plan(
        steps=steps,
        links=tuple(links),
        targets=tuple(tuple(each) for each in targets),
        needed=tuple(step.needed or len(links[i]) for i, step in enumerate(steps)),
        phases=phases,
        ancestors=_reachable(links, phases) if lenient else _ancestors(links, phases),
        stop_on_failure=scope.stop_on_failure,
        index=index,
        independent=scope.independent,
    )


def is_sequential(scope: Scope, phase: Sequence[Step]) -> bool:
    """Whether the steps of a phase run one after the other in the order they are written."""
    if scope.independent:
        return False
    if phase and phase[0].trigger != "body":
        return all(step.links is None for step in phase)
    return scope.ordered


def _sequence(before: int) -> PlanLink:
    return PlanLink(before, SUCCEEDED, False, False, False, sequential=True)


def _link(source: int, on: Iterable[str], conditional: bool) -> PlanLink:
    accepts = 0
    for word in on:
        accepts |= ACCEPTS[word]
    return PlanLink(source, accepts, "success" in on, "failure" in on, conditional)


def _ancestors(
    links: Sequence[Sequence[PlanLink]], phases: dict[Trigger, tuple[int, ...]]
) -> tuple[int, ...]:
    """Each step's ancestors as a bit set; a handler has every step of the phases before as one."""
    found: list[int] = [0] * len(links)
    earlier = 0
    for phase in PHASES:
        for i in topological(links, phases[phase]):
            bits = earlier
            for link in links[i]:
                bits |= found[link.source] | (1 << link.source)
            found[i] = bits
        for i in phases[phase]:
            earlier |= 1 << i
    return tuple(found)


def _reachable(
    links: Sequence[Sequence[PlanLink]], phases: dict[Trigger, tuple[int, ...]]
) -> tuple[int, ...]:
    """The same for a graph that may hold cycles: whatever a walk against the links reaches."""
    found = [0] * len(links)
    order = _mostly_sources_first(links)
    for _ in range(MOST_PASSES):
        changed = False
        for i in order:
            bits = found[i]
            for link in links[i]:
                bits |= found[link.source] | (1 << link.source)
            changed = changed or bits != found[i]
            found[i] = bits
        if not changed:
            break
    earlier = 0
    for phase in PHASES:
        before = earlier
        for i in phases[phase]:
            found[i] |= before
            earlier |= 1 << i
    return tuple(found)


def _mostly_sources_first(links: Sequence[Sequence[PlanLink]]) -> list[int]:
    """Every step behind its sources, but for the links that close a circle."""
    seen = [False] * len(links)
    order: list[int] = []
    for root in range(len(links)):
        path = [] if seen[root] else [(root, 0)]
        seen[root] = True
        while path:
            here, position = path.pop()
            if position == len(links[here]):
                order.append(here)
                continue
            path.append((here, position + 1))
            source = links[here][position].source
            if not seen[source]:
                seen[source] = True
                path.append((source, 0))
    return order


def topological(links: Sequence[Sequence[PlanLink]], members: Sequence[int]) -> list[int]:
    """The members of an acyclic phase, sources first."""
    waiting = {
        i: sum(1 for link in links[i] if link.source in inside) for inside in (set(members),) for i in members
    }
    after: dict[int, list[int]] = {i: [] for i in members}
    for i in members:
        for link in links[i]:
            if link.source in after:
                after[link.source].append(i)
    ready = [i for i in members if not waiting[i]]
    order: list[int] = []
    for i in ready:
        order.append(i)
        for target in after[i]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return order


def find_cycles(sources: Sequence[Sequence[int]], most: int = 20) -> list[list[int]]:
    """Circles of a graph given by each member's sources, in the order data would walk.

    No two share a member: what is left of a knot shows when one of its circles has been opened.
    """
    state = [0] * len(sources)  # 0 unseen, 1 on the path, 2 done
    found: list[list[int]] = []
    knotted: set[int] = set()
    for root in range(len(sources)):
        path = [] if state[root] else [(root, 0)]
        state[root] = state[root] or 1
        while path and len(found) < most:
            here, position = path[-1]
            if position == len(sources[here]):
                state[here] = 2
                path.pop()
                continue
            path[-1] = (here, position + 1)
            source = sources[here][position]
            if state[source] == 0:
                state[source] = 1
                path.append((source, 0))
            elif state[source] == 1 and source not in knotted:
                walk = [step for step, _ in path]
                circle = walk[walk.index(source) :]
                if knotted.isdisjoint(circle):
                    found.append([circle[0], *reversed(circle[1:])])
                knotted.update(circle)
    return found
