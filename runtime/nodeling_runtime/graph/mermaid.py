"""The outline as a Mermaid flowchart.

Ids are made here and never come from a document, and a label may hold nothing that Mermaid reads: whatever is
not a letter, a digit or harmless punctuation is written as a numbered entity.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodeling_runtime.graph.outline import Edge, Node, Outline
from nodeling_runtime.graph.text import HANDLERS, LONGEST_EXPRESSION, visible
from nodeling_runtime.graph.walk import Container, Handlers, Leaf, Slot, clip, lines_of, title_of, walk

HARMLESS = frozenset(" -_.,/+=()[]?!'@")
CLASSES = {"handler": "stroke-dasharray: 5 4", "inactive": "opacity: 0.5"}


def draw_mermaid(drawing: Outline) -> str:
    """The flowchart, ending in a line break."""
    lines = ["flowchart TD", *_boxes(drawing)]
    lines.extend(f"  {_edge(drawing, edge)}" for edge in drawing.edges)
    members = {
        "handler": [node for node in drawing.nodes if node.trigger != "body"],
        "inactive": [node for node in drawing.nodes if "inactive" in node.notes],
    }
    for name, nodes in members.items():
        if nodes:
            lines.append(f"  classDef {name} {CLASSES[name]}")
            lines.extend(f"  class {_id(drawing, node)} {name}" for node in nodes)
    return "\n".join(lines) + "\n"


def label(*parts: str) -> str:
    """A quoted label of one or more lines."""
    return '"' + "<br/>".join(_escape(visible(part)) for part in parts) + '"'


def _escape(text: str) -> str:
    """Entities for what Mermaid reads; two dollars, which begin a formula even as entities, are parted."""
    parted = text.replace("$$", "$\u200b$").replace("$$", "$\u200b$")
    return "".join(
        letter if letter.isalnum() or letter in HARMLESS else f"#{ord(letter)};" for letter in parted
    )


def _id(drawing: Outline, node: Node) -> str:
    """A container with children is a subgraph, everything else a box."""
    return f"{'c' if drawing.groups_of(node.id) else 'n'}{node.id}"


def _boxes(drawing: Outline) -> Iterator[str]:
    for depth, mark in walk(drawing):
        indent = "  " * (depth + 1)
        if isinstance(mark, Leaf):
            left, right = ("([", "])") if mark.node.trigger != "body" else ("[", "]")
            yield f"{indent}n{mark.node.id}{left}{_said(mark.node)}{right}"
        elif isinstance(mark, Container):
            yield f"{indent}subgraph c{mark.node.id}[{_title(mark.node)}]"
        elif isinstance(mark, Slot):
            yield f"{indent}subgraph g{mark.group.id}[{label(title_of(mark.group))}]"
        elif isinstance(mark, Handlers):
            yield f"{indent}subgraph {mark.trigger}{mark.group.id}[{label(HANDLERS[mark.trigger])}]"
        else:
            yield f"{indent}end"


def _title(node: Node) -> str:
    """One line: Mermaid draws what is inside a subgraph over any further ones."""
    return label(" · ".join(lines_of(node, LONGEST_EXPRESSION)))


def _said(node: Node) -> str:
    return label(*lines_of(node, LONGEST_EXPRESSION))


def _edge(drawing: Outline, edge: Edge) -> str:
    source, target = (_id(drawing, drawing.nodes[i]) for i in (edge.source, edge.target))
    arrow = "-.->" if edge.is_detour else "-->"
    text = f"|{label(clip(edge.label, LONGEST_EXPRESSION))}|" if edge.label else ""
    return f"{source} {arrow}{text} {target}"
