"""The outline from the outside in, as a sequence that a nested notation can be written from.

Depth is bounded by nothing but the document, so the walk keeps its own stack instead of recursing.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodeling._dataclass import dataclass
from nodeling_runtime.graph.outline import Group, Node, Outline
from nodeling_runtime.workflow.model import Trigger

HANDLER_PHASES: tuple[Trigger, ...] = ("on_error", "always")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A step without children."""

    node: Node


@dataclass(frozen=True, slots=True)
class Container:
    """A step whose groups follow, up to its `End`."""

    node: Node


@dataclass(frozen=True, slots=True)
class Slot:
    """A container's group, whose members follow, up to its `End`."""

    group: Group


@dataclass(frozen=True, slots=True)
class Handlers:
    """A group's handlers of one phase, up to their `End`."""

    group: Group
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class End:
    """The innermost thing that is open ends here."""


Mark = Leaf | Container | Slot | Handlers | End


def walk(drawing: Outline) -> Iterator[tuple[int, Mark]]:
    """Each mark with its depth; an `End` has the depth of what it ends."""
    todo = _members(drawing, drawing.top, 0)
    while todo:
        depth, mark = todo.pop()
        yield depth, mark
        if isinstance(mark, Container):
            todo.append((depth, End()))
            groups = drawing.groups_of(mark.node.id)
            todo.extend((depth + 1, Slot(group)) for group in reversed(groups))
        elif isinstance(mark, Slot):
            todo.append((depth, End()))
            todo.extend(_members(drawing, mark.group, depth + 1))


def _members(drawing: Outline, group: Group, depth: int) -> list[tuple[int, Mark]]:
    """A group's steps, last first; each phase of handlers apart from the body."""
    phases: dict[str, list[tuple[int, Mark]]] = {"body": []}
    for trigger in HANDLER_PHASES:
        phases[trigger] = [(depth, Handlers(group, trigger))]
    for i in group.members:
        node = drawing.nodes[i]
        mark = Container(node) if drawing.groups_of(node.id) else Leaf(node)
        phases[node.trigger].append((depth + (node.trigger != "body"), mark))
    for trigger in HANDLER_PHASES:
        phases[trigger] = [*phases[trigger], (depth, End())] if len(phases[trigger]) > 1 else []
    return [*phases["body"], *phases["on_error"], *phases["always"]][::-1]


def title_of(group: Group) -> str:
    """What a group is headed with: its slot, or the workflow that was included."""
    return f"workflow {group.workflow}" if group.workflow is not None else group.label


def lines_of(node: Node, longest: int) -> Iterator[str]:
    """What a box says of its step, line by line; long expressions are cut."""
    yield node.name
    yield node.node
    if node.join != "all":
        yield f"join {node.join}"
    if node.condition is not None:
        yield clip(f"if {node.condition}", longest)
    for key, value in node.keys:
        yield clip(f"{key} {value}", longest)
    if node.notes:
        yield ", ".join(node.notes)


def clip(text: str, longest: int) -> str:
    """The beginning of a text that is too long for a drawing."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
