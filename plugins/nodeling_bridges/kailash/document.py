"""Reads a serialised workflow, in either spelling of its nodes and connections, into a `Graph`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.draft import Draft, escaped, suggestion
from nodeling_bridges.kailash.limits import limits_of
from nodeling_bridges.kailash.model import Connection, Graph, Limits, NodeEntry

__all__ = ["graph_of"]

_TOP = (
    "workflow_id",
    "id",
    "name",
    "description",
    "version",
    "author",
    "metadata",
    "nodes",
    "connections",
    "runtime_config",
)
_NODE = ("node_id", "id", "node_type", "type", "config", "parameters", "position")
_ENDS = {
    "source": ("source_node", "from_node", "source", "from"),
    "output": ("source_output", "from_output", "output"),
    "target": ("target_node", "to_node", "target", "to"),
    "input": ("target_input", "to_input", "input"),
}
_CYCLE = ("cycle", "max_iterations", "convergence_check", "cycle_id", "timeout", "memory_limit", "condition")


def graph_of(data: Mapping[str, Any], draft: Draft) -> Graph:
    """The workflow that a document holds; what is wrong with it is among the draft's faults."""
    for key in data:
        if key not in _TOP:
            draft.note(f"/{escaped(key)}", f"{key!r} of the workflow is left out", suggestion(key, _TOP))
    nodes = dict(_nodes(data.get("nodes"), draft))
    connections = list(_connections(data.get("connections", []), draft))
    name = data.get("name") or data.get("workflow_id") or data.get("id") or "workflow"
    metadata = dict(draft.mapping(data.get("metadata") or {}, "/metadata", "`metadata`"))
    if metadata.get("name", name) != name or "workflow_id" in data:
        metadata = {**metadata, "workflow_id": data.get("workflow_id", name)}
    positions = _positions(data.get("nodes"))
    if positions:
        metadata["positions"] = positions
    return Graph(
        str(name),
        nodes,
        connections,
        _limits(data, draft),
        str(data.get("description") or ""),
        str(data.get("version") or ""),
        str(data.get("author") or ""),
        metadata,
    )


def _limits(data: Mapping[str, Any], draft: Draft) -> Limits:
    said = draft.mapping(data.get("runtime_config") or {}, "/runtime_config", "`runtime_config`")
    try:
        return limits_of(said)
    except ConfigError as error:
        draft.fault("option", "/runtime_config", error.message, error.hint)
        return Limits()


def _entries(said: Any) -> Iterator[tuple[str, str | None, Any]]:
    """Every entry of `nodes` with its place and the id that it stands under."""
    if isinstance(said, dict):
        yield from ((f"/nodes/{escaped(name)}", str(name), entry) for name, entry in said.items())
    elif isinstance(said, list):
        yield from ((f"/nodes/{place}", None, entry) for place, entry in enumerate(said))


def _positions(said: Any) -> dict[str, Any]:
    found = {}
    for _, name, entry in _entries(said):
        if isinstance(entry, dict) and any(entry.get("position") or ()):
            found[str(name or entry.get("node_id") or entry.get("id"))] = entry["position"]
    return found


def _nodes(said: Any, draft: Draft) -> Iterator[tuple[str, NodeEntry]]:
    if not isinstance(said, dict | list):
        draft.fault("shape", "/nodes", "`nodes` must be an object of nodes by id, or a list of them")
        return
    seen: set[str] = set()
    for pointer, key, entry in _entries(said):
        if not isinstance(entry, dict):
            draft.fault("shape", pointer, "a node must be an object")
            continue
        for word in entry:
            if word not in _NODE:
                draft.note(f"{pointer}/{escaped(word)}", f"{word!r} of a node is left out")
        name = key or draft.text(entry.get("node_id", entry.get("id")), pointer, "a node's `id`")
        kind = draft.text(entry.get("node_type", entry.get("type")), pointer, "a node's `node_type`")
        place = f"{pointer}/config" if "config" in entry else f"{pointer}/parameters"
        config = draft.mapping(entry.get("config", entry.get("parameters")) or {}, place, "a node's `config`")
        if name in seen:
            draft.fault("shape", pointer, f"two nodes are called {name!r}")
        elif name != name.strip() or "/" in name:
            draft.fault("shape", pointer, f"{name!r} is no id here: no slash, no space at its ends")
        elif name and kind:
            yield name, NodeEntry(name, kind, config, place if config else pointer)
        seen.add(name)


def _connections(said: Any, draft: Draft) -> Iterator[Connection]:
    if not isinstance(said, list):
        draft.fault("shape", "/connections", "`connections` must be a list")
        return
    known = {*_CYCLE, "mapping", "output_key", *(word for words in _ENDS.values() for word in words)}
    for place, entry in enumerate(said):
        pointer = f"/connections/{place}"
        if not isinstance(entry, dict):
            draft.fault("shape", pointer, "a connection must be an object")
            continue
        for word in entry:
            if word not in known:
                message = f"a connection has no {word!r}"
                draft.fault("shape", f"{pointer}/{escaped(word)}", message, suggestion(word, known))
        yield from _one(entry, pointer, draft)


def _one(entry: dict[str, Any], pointer: str, draft: Draft) -> Iterator[Connection]:
    found = {
        end: next((entry[word] for word in words if word in entry), None) for end, words in _ENDS.items()
    }
    source = draft.text(found["source"], pointer, "a connection's `source_node`")
    target = draft.text(found["target"], pointer, "a connection's `target_node`")
    if entry.get("condition") is not None:
        draft.fault(
            "shape", pointer, "a condition on a connection is not carried over", "let a SwitchNode decide"
        )
    left = [word for word in _CYCLE if word != "condition" and entry.get(word)]
    if left:
        draft.note(pointer, f"{', '.join(left)} of a connection: left out, for nothing repeats here")
    if not (source and target):
        return
    key = entry.get("output_key")
    mapping = entry.get("mapping")
    if isinstance(mapping, dict) and mapping:
        for output, wanted in mapping.items():
            path = f"{key}.{output}" if key else str(output)
            yield Connection(source, path, target, str(wanted), pointer)
        return
    output = found["output"] if key is None else key
    yield Connection(
        source,
        None if output is None else str(output),
        target,
        None if found["input"] is None else str(found["input"]),
        pointer,
    )
