"""A workflow as somebody would draw it: nodes, links, groups, waves and the critical path.

Every drawing (text, Mermaid, DOT, JSON, the report's picture) reads this one value, so that they cannot
disagree. It is computed without recursion and in O(steps + links): a chain of ten thousand steps and a fan of
ten thousand children are ordinary. A group is listed after the group that holds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.workflow.model import ON_WORDS, Link, Scope, Slot, Step, Trigger, Workflow
from nodeling_runtime.workflow.plan import PHASES, Plan, plan_of, topological

SEQUENCE = "sequence"
DAG = "graph"
INDEPENDENT = "independent"


@dataclass(frozen=True, slots=True)
class Node:
    """One step of one scope."""

    id: int
    name: str
    path: str
    node: str
    group: int
    trigger: Trigger
    wave: int
    is_container: bool
    join: str
    condition: str | None
    keys: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Edge:
    """One link; an implicit one is the order in which the steps are written."""

    source: int
    target: int
    on: tuple[str, ...]
    condition: str | None
    implicit: bool

    @property
    def is_detour(self) -> bool:
        """Whether the link is walked only when its source did not succeed."""
        return not {"success", "done", "any"} & set(self.on)

    @property
    def label(self) -> str:
        """What is worth writing on the link: nothing for a plain `success`."""
        words = [] if self.on == ("success",) or self.implicit else [", ".join(self.on)]
        if self.condition is not None:
            words.append(f"if {self.condition}")
        return " ".join(words)


@dataclass(slots=True)
class Group:
    """One scope: the top level, or one child list of a container.

    `waves` holds each phase's steps by the earliest moment they can start; `critical` is the body's longest
    path.
    """

    id: int
    owner: int | None
    label: str
    kind: str
    workflow: str | None = None
    members: tuple[int, ...] = ()
    waves: dict[Trigger, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    critical: tuple[int, ...] = ()

    @property
    def depth(self) -> int:
        """How many waves the body has."""
        return len(self.waves["body"])

    @property
    def max_width(self) -> int:
        """How many steps the widest wave of the body has."""
        return max((len(wave) for wave in self.waves["body"]), default=0)


@dataclass(slots=True)
class Outline:
    """A whole drawing: group 0 is the workflow's top level."""

    name: str
    version: str
    description: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    inside: dict[int, list[int]] = field(default_factory=dict)  # a container's node → the groups it holds

    @property
    def top(self) -> Group:
        """The workflow's own scope."""
        return self.groups[0]

    def groups_of(self, node: int) -> list[Group]:
        """The groups a container holds."""
        return [self.groups[each] for each in self.inside.get(node, ())]


def outline(workflow: Workflow, durations: Mapping[str, float] | None = None) -> Outline:
    """Draw up a workflow whose links have been checked.

    Args:
        workflow: What to draw.
        durations: Measured milliseconds by step path; the critical path is then the longest in time. Without
            them every step weighs the same.
    """
    return _Builder(workflow, durations).build()


class _Builder:
    """One outline under way."""

    def __init__(self, workflow: Workflow, durations: Mapping[str, float] | None) -> None:
        self.workflow = workflow
        self.durations = durations
        self.made = Outline(workflow.name, workflow.version, workflow.description)
        self.todo: list[tuple[Scope, Group, str]] = []

    def build(self) -> Outline:
        self._open(self.workflow.scope, None, "", "", self.workflow.name)
        for scope, group, prefix in self.todo:  # which grows meanwhile
            self._scope(scope, group, prefix)
        return self.made

    def _open(
        self, scope: Scope, owner: int | None, label: str, prefix: str, workflow: str | None = None
    ) -> None:
        kind = INDEPENDENT if scope.independent else SEQUENCE if scope.ordered else DAG
        group = Group(len(self.made.groups), owner, label, kind, workflow)
        self.made.groups.append(group)
        if owner is not None:
            self.made.inside.setdefault(owner, []).append(group.id)
        self.todo.append((scope, group, prefix))

    def _scope(self, scope: Scope, group: Group, prefix: str) -> None:
        plan = plan_of(scope)
        waves = {phase: waves_of(plan, phase) for phase in PHASES}
        level = {i: number for found in waves.values() for number, wave in enumerate(found, 1) for i in wave}
        first = len(self.made.nodes)
        for i, step in enumerate(scope.steps):
            self._node(step, first + i, group, f"{prefix}{step.name}", level[i], len(plan.links[i]))
        group.members = tuple(range(first, first + len(scope.steps)))
        group.waves = {
            phase: tuple(tuple(first + i for i in wave) for wave in found) for phase, found in waves.items()
        }
        for i, mine in enumerate(plan.links):
            written = scope.steps[i].links or ()
            for number, link in enumerate(mine):
                own = None if link.sequential else written[number]
                self.made.edges.append(_edge(first + link.source, first + i, own))
        weight = self._weight(prefix, scope.steps)
        group.critical = tuple(first + i for i in critical_path(plan, weight))

    def _weight(self, prefix: str, steps: Sequence[Step]) -> Callable[[int], float]:
        measured = self.durations
        if measured is None:
            return lambda _: 1.0
        return lambda i: measured.get(f"{prefix}{steps[i].name}", 0.0)

    def _node(self, step: Step, number: int, group: Group, path: str, wave: int, links: int) -> None:
        self.made.nodes.append(
            Node(
                id=number,
                name=step.name,
                path=path,
                node=step.node,
                group=group.id,
                trigger=step.trigger,
                wave=wave,
                is_container=step.is_container,
                join=_join(step.needed, links),
                condition=source_of(step.condition),
                keys=tuple(_kept_keys(step)),
                notes=tuple(_notes(step)),
                description=step.description,
            )
        )
        for slot in step.slots:
            if slot.scope is not None:
                self._open(slot.scope, number, slot_label(step, slot), f"{path}/")
            elif slot.workflow is not None:
                self._open(slot.workflow.scope, number, "workflow", f"{path}/", slot.workflow.name)


# -- the graph of one scope


def waves_of(plan: Plan, phase: Trigger) -> tuple[tuple[int, ...], ...]:
    """The steps of a phase by the earliest wave in which all their links can be decided."""
    level: dict[int, int] = {}
    found: list[list[int]] = []
    for i in topological(plan.links, plan.phases[phase]):
        level[i] = max((level[link.source] + 1 for link in plan.links[i]), default=0)
        if level[i] == len(found):
            found.append([])
        found[level[i]].append(i)
    return tuple(tuple(sorted(wave)) for wave in found)


def critical_path(plan: Plan, weight: Callable[[int], float]) -> list[int]:
    """The heaviest path through the body; of equal ones, that of the steps written first."""
    total: dict[int, float] = {}
    before: dict[int, int | None] = {}
    for i in topological(plan.links, plan.phases["body"]):
        best: int | None = None
        for source in sorted(link.source for link in plan.links[i]):
            if best is None or total[source] > total[best]:
                best = source
        before[i] = best
        total[i] = weight(i) + (total[best] if best is not None else 0.0)
    if not total:
        return []
    here: int | None = max(sorted(total), key=total.__getitem__)
    path = []
    while here is not None:
        path.append(here)
        here = before[here]
    return path[::-1]


def _edge(source: int, target: int, link: Link | None) -> Edge:
    if link is None:
        return Edge(source, target, ("success",), None, True)
    on = tuple(word for word in ON_WORDS if word in link.on)
    return Edge(source, target, on, source_of(link.condition), False)


def _join(needed: int, links: int) -> str:
    """How many of several links must be satisfied, in the words of a document; `all` is the default."""
    if not needed or needed >= links:
        return "all"
    return "any" if needed == 1 else f"at least {needed}"


# -- what is written beside a step


def source_of(template: Template | None) -> str | None:
    """An expression as its author wrote it."""
    if template is None:
        return None
    return template.source if isinstance(template.source, str) else str(template.source).lower()


def slot_label(step: Step, slot: Slot) -> str:
    """The name of one child list: its key, with what chooses it where it is one of several."""
    keys = [part for part in slot.path if isinstance(part, str)]
    places = [part for part in slot.path if isinstance(part, int)]
    if not places:
        return ".".join(keys)
    label = f"{keys[0]} {' '.join(str(place + 1) for place in places)}"
    chosen = _chooser(step, slot)
    return f"{label}, {chosen}" if chosen else label


def _chooser(step: Step, slot: Slot) -> str | None:
    """What stands beside a child list inside one item of a list: `when`, or an expression kept for later."""
    beside = slot.path[:-1]
    for other in step.slots:
        if other.path[:-1] == beside and other.scope is None and other.expression is not None:
            return f"if {source_of(other.expression)}"
    here: Any = None if step.config is None else step.config.source
    for part in beside:
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return None
    if not isinstance(here, Mapping):
        return None
    if here.get("when") is not None:
        when = here["when"]
        return f"when {' or '.join(map(_plain, when)) if isinstance(when, list) else _plain(when)}"
    return str(here["type"]) if here.get("type") in ("if", "else") else None


def _plain(value: Any) -> str:
    """A value of a document in few words."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kept_keys(step: Step) -> Iterator[tuple[str, str]]:
    """A container's own expressions, such as the `while` of a loop and the list of a `for-each`."""
    for slot in step.slots:
        if slot.expression is not None and slot.kind != "duration" and len(slot.path) == 1:
            yield str(slot.path[0]), source_of(slot.expression) or ""
    if step.is_container and step.config is not None and isinstance(step.config.source, Mapping):
        for key, value in step.config.source.items():
            if isinstance(value, str) and "${" in value:
                yield str(key), value


def _notes(step: Step) -> Iterator[str]:
    if not step.active:
        yield "inactive"
    if step.stops:
        yield "ends its scope"
    if step.recovers:
        yield "recovers"
    if step.continues:
        yield "failure is passed over"
    if step.retry.attempts > 1:
        yield f"up to {step.retry.attempts} attempts"
