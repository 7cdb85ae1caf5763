"""The outline as data, for programs that draw or judge graphs themselves.

Steps are named by their path, which is the name at the top level and `container/name` inside one.
"""

from __future__ import annotations

from typing import Any

from nodeling_runtime.graph.outline import Edge, Group, Node, Outline


def to_data(drawing: Outline) -> dict[str, Any]:
    """The outline as a JSON value.

    `waves`, `critical_path`, `max_width` and `depth` are those of the top level's body; `handlers` are its
    other phases. `scopes` says the same of every child list.
    """
    top = drawing.top
    return {
        "name": drawing.name,
        "version": drawing.version,
        "steps": [_step(drawing, node) for node in drawing.nodes],
        "links": [_link(drawing, edge) for edge in drawing.edges],
        **_measures(drawing, top),
        "scopes": [_scope(drawing, group) for group in drawing.groups[1:]],
    }


def _step(drawing: Outline, node: Node) -> dict[str, Any]:
    group = drawing.groups[node.group]
    return {
        "name": node.name,
        "path": node.path,
        "node": node.node,
        "wave": node.wave,
        "container": node.is_container,
        "trigger": node.trigger,
        "parent": None if group.owner is None else drawing.nodes[group.owner].path,
        "slot": group.label or None,
        "join": _join(node.join),
        "if": node.condition,
        "keys": dict(node.keys),
        "notes": list(node.notes),
        "description": node.description,
    }


def _link(drawing: Outline, edge: Edge) -> dict[str, Any]:
    return {
        "from": drawing.nodes[edge.source].path,
        "to": drawing.nodes[edge.target].path,
        "on": list(edge.on),
        "if": edge.condition,
        "join": _join(drawing.nodes[edge.target].join),
        "implicit": edge.implicit,
    }


def _join(join: str) -> str | dict[str, int]:
    """As a document writes it."""
    return {"at_least": int(join.rpartition(" ")[2])} if join.startswith("at least") else join


def _scope(drawing: Outline, group: Group) -> dict[str, Any]:
    owner = None if group.owner is None else drawing.nodes[group.owner].path
    head = {"container": owner, "slot": group.label, "kind": group.kind, "workflow": group.workflow}
    return {**head, **_measures(drawing, group)}


def _measures(drawing: Outline, group: Group) -> dict[str, Any]:
    def paths(nodes: tuple[int, ...]) -> list[str]:
        return [drawing.nodes[i].path for i in nodes]

    return {
        "waves": [paths(wave) for wave in group.waves["body"]],
        "handlers": {phase: [paths(wave) for wave in group.waves[phase]] for phase in ("on_error", "always")},
        "critical_path": paths(group.critical),
        "max_width": group.max_width,
        "depth": group.depth,
    }
