"""The outline as a Graphviz digraph.

Ids are made here; every text is a quoted string in which backslash and quote are escaped, so Graphviz reads
none of it as its own.
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


def _edge(drawing: Outline, edge: Edge) -> str:
    """A link of a container begins and ends at the cluster's border."""
    how = [f"label={quoted(clip(edge.label, LONGEST_EXPRESSION))}"] if edge.label else []
    if drawing.groups_of(edge.source):
        how.append(f"ltail=cluster_c{edge.source}")
    if drawing.groups_of(edge.target):
        how.append(f"lhead=cluster_c{edge.target}")
    if edge.is_detour:
        how.append("style=dashed")
    ends = f"n{edge.source} -> n{edge.target}"
    return f"{ends} [{', '.join(how)}];" if how else f"{ends};"
