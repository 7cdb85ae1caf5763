"""What this bridge registers: the format of Kailash's serialised workflows."""

from __future__ import annotations

from collections.abc import Callable

from nodeling.formats import Format, Source
from nodeling.hookspecs import hookimpl

_TYPES = ("node_type", "type")


def recognises(source: Source) -> bool:
    """Whether a document is Kailash's: nodes that name their type, and no steps."""
    data = source.data
    if not isinstance(data, dict) or "steps" in data or not data.get("nodes"):
        return False
    nodes = data["nodes"]
    entries = list(nodes.values()) if isinstance(nodes, dict) else nodes
    if not isinstance(entries, list):
        return False
    said = "connections" in data or "workflow_id" in data
    return said and any(isinstance(entry, dict) and any(key in entry for key in _TYPES) for entry in entries)


@hookimpl
def nodeling_register_formats(register: Callable[[Format], None]) -> None:
    """Bring the format."""
    register(Format("kailash", "a Kailash workflow", recognises, "nodeling_bridges.kailash.load:convert"))
