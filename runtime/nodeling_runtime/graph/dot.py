"""The outline as a Graphviz digraph.

A container is a cluster with its own box at the top and an unseen point at the bottom, so that its children
are drawn between the two and links can begin and end at its border. Ids are made here; every text is a quoted
string in which backslash and quote are escaped, so Graphviz reads none of it as its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodeling_runtime.graph.outline import Edge, Node, Outline
from nodeling_runtime.graph.text import HANDLERS, LONGEST_EXPRESSION, visible
from nodeling_runtime.graph.walk import Container, Handlers, Leaf, Slot, clip, lines_of, title_of, walk

HEAD = (
    "  compound=true; rankdir=TB; newrank=true;",
    '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];',
    '  edge [fontname="Helvetica", fontsize=9];',
    '  graph [fontname="Helvetica", fontsize=11, labeljust=l, color=gray60];',
)


def draw_dot(drawing: Outline) -> str:
    """The digraph, ending in a line break."""
    lines = [f"digraph {quoted(drawing.name)} {{", *HEAD, *_boxes(drawing)]
    lines.extend(f"  {_edge(drawing, edge)}" for edge in drawing.edges)
    lines.extend(f"  {each} [style=invis];" for each in _ranks(drawing))
    return "\n".join([*lines, "}"]) + "\n"


def quoted(*parts: str) -> str:
    """A quoted string of one or more lines."""
    lines = (visible(part).replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return '"' + "\\n".join(lines) + '"'


def _boxes(drawing: Outline) -> Iterator[str]:
    for depth, mark in walk(drawing):
        indent = "  " * (depth + 1)
        if isinstance(mark, Leaf):
            yield f"{indent}{_box(mark.node)}"
        elif isinstance(mark, Container):
            yield f'{indent}subgraph cluster_c{mark.node.id} {{ label=""; style=rounded;'
            yield f"{indent}  {_box(mark.node, ['shape=component'])}"
            yield f'{indent}  x{mark.node.id} [shape=point, style=invis, width=0, label=""];'
        elif isinstance(mark, Slot):
            title = quoted(title_of(mark.group))
            yield f"{indent}subgraph cluster_g{mark.group.id} {{ label={title}; style=dashed;"
        elif isinstance(mark, Handlers):
            name, title = f"{mark.trigger}{mark.group.id}", quoted(HANDLERS[mark.trigger])
            yield f"{indent}subgraph cluster_{name} {{ label={title}; style=dotted;"
        else:
            yield f"{indent}}}"


def _box(node: Node, extra: list[str] | None = None) -> str:
    how = [f"label={quoted(*lines_of(node, LONGEST_EXPRESSION))}", *(extra or [])]
    if "inactive" in node.notes:
        how.append("color=gray60, fontcolor=gray60")
    elif node.trigger != "body":
        how.append('style="rounded,dashed"')
    return f"n{node.id} [{', '.join(how)}];"


def _ranks(drawing: Outline) -> Iterator[str]:
    """What keeps a container's children below its box and above its end."""
    entered = {edge.target for edge in drawing.edges}
    left = {edge.source for edge in drawing.edges}
    for group in drawing.groups[1:]:
        for i in group.members:
            if i not in entered:
                yield f"n{group.owner} -> n{i}"
            if i not in left:
                yield f"{_exit(drawing, i)} -> x{group.owner}"


def _exit(drawing: Outline, node: int) -> str:
    return f"x{node}" if drawing.groups_of(node) else f"n{node}"


def _edge(drawing: Outline, edge: Edge) -> str:
    how = [f"label={quoted(clip(edge.label, LONGEST_EXPRESSION))}"] if edge.label else []
    if drawing.groups_of(edge.source):
        how.append(f"ltail=cluster_c{edge.source}")
    if drawing.groups_of(edge.target):
        how.append(f"lhead=cluster_c{edge.target}")
    if edge.is_detour:
        how.append("style=dashed")
    ends = f"{_exit(drawing, edge.source)} -> n{edge.target}"
    return f"{ends} [{', '.join(how)}];" if how else f"{ends};"
