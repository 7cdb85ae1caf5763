"""An outline that a terminal shows: waves and the critical path first, then every step once.

What a document says is made visible before it is printed: a name cannot move the cursor or break a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from nodeling_runtime.graph.outline import INDEPENDENT, SEQUENCE, Edge, Group, Node, Outline
from nodeling_runtime.graph.walk import clip, title_of

LONGEST_NAMES = 12  # of one wave, and of the critical path
LONGEST_EXPRESSION = 120  # in a drawing; the data form has all of it
MOST_WAVES = 40
KINDS = {INDEPENDENT: "side by side", SEQUENCE: "one after the other"}
HANDLERS = {"on_error": "on error", "always": "always"}


def visible(text: str) -> str:
    """The text in one line, with everything that does not print written as an escape."""
    if text.isprintable():
        return text
    shown = []
    for letter in text:
        if letter.isprintable():
            shown.append(letter)
        elif letter in "\n\r\t":
            shown.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[letter])
        elif unicodedata.category(letter) == "Zs":
            shown.append(" ")
        else:
            shown.append(f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}")
    return "".join(shown)


def draw_text(drawing: Outline) -> str:
    """The whole outline, ending in a line break."""
    return "\n".join([*_head(drawing), "", *_Tree(drawing).lines()]) + "\n"


def _head(drawing: Outline) -> Iterator[str]:
    top = drawing.top
    title = visible(f"{drawing.name} {drawing.version}".strip())
    steps, waves = len(drawing.nodes), top.depth
    yield f"{title}: {count(steps, 'step')}, {count(waves, 'wave')}, at most {top.max_width} side by side"
    if drawing.description:
        yield visible(drawing.description)
    yield ""
    shown = top.waves["body"] if waves <= MOST_WAVES else top.waves["body"][: MOST_WAVES // 2]
    for number, wave in enumerate(shown, 1):
        yield f"wave {number}: {_some(drawing, wave)}"
    if len(shown) < waves:
        yield f"… {waves - len(shown):,} more waves …"
    for phase in ("on_error", "always"):
        for number, wave in enumerate(top.waves[phase], 1):
            mark = f" {number}" if len(top.waves[phase]) > 1 else ""
            yield f"{HANDLERS[phase]}{mark}: {_some(drawing, wave)}"
    yield f"critical path: {_some(drawing, top.critical, ' → ')} ({count(len(top.critical), 'step')})"


def _some(drawing: Outline, nodes: Sequence[int], between: str = ", ") -> str:
    names = [visible(drawing.nodes[i].name) for i in nodes[:LONGEST_NAMES]]
    if len(nodes) > LONGEST_NAMES:
        names.append(f"… {len(nodes) - LONGEST_NAMES:,} more")
    return between.join(names)


def count(number: int, what: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class _Tree:
    """Every step once, children under their container."""

    def __init__(self, drawing: Outline) -> None:
        self.drawing = drawing
        self.links: dict[int, list[Edge]] = {}
        for edge in drawing.edges:
            self.links.setdefault(edge.target, []).append(edge)

    def lines(self) -> Iterator[str]:
        """The lines, from the first step to the last."""
        todo: list[tuple[Node | Group, str]] = self._members(self.drawing.top, "")
        while todo:
            here, indent = todo.pop()
            if isinstance(here, Group):
                yield f"{indent}{self._title(here)}"
                todo.extend(self._members(here, f"{indent}  "))
                continue
            yield f"{indent}{self._step(here)}"
            inner = self.drawing.groups_of(here.id)
            todo.extend((group, f"{indent}  ") for group in reversed(inner))

    def _members(self, group: Group, indent: str) -> list[tuple[Node | Group, str]]:
        return [(self.drawing.nodes[i], indent) for i in reversed(group.members)]

    def _title(self, group: Group) -> str:
        name = title_of(group)
        if len(group.members) == 1:
            return f"{visible(name)}:"
        return f"{visible(name)} ({KINDS.get(group.kind, count(group.depth, 'wave'))}):"

    def _step(self, node: Node) -> str:
        said = [visible(node.name), f"[{visible(node.node)}]"]
        if node.trigger != "body":
            said.append(HANDLERS[node.trigger])
        links = [self._link(edge) for edge in self.links.get(node.id, ()) if not edge.implicit]
        if links:
            said.append(f"after {node.join + ' of ' if node.join != 'all' else ''}{', '.join(links)}")
        if node.condition is not None:
            said.append(f"if {clip(visible(node.condition), LONGEST_EXPRESSION)}")
        said.extend(f"{visible(key)} {clip(visible(value), LONGEST_EXPRESSION)}" for key, value in node.keys)
        if node.notes:
            said.append(f"({', '.join(node.notes)})")
        return "  ".join(said)

    def _link(self, edge: Edge) -> str:
        name = visible(self.drawing.nodes[edge.source].name)
        return f"{name} ({clip(visible(edge.label), LONGEST_EXPRESSION)})" if edge.label else name
