"""From a serialised workflow of Kailash's to a native document. Pure: nothing of it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.errors import ConfigError
from nodeling.formats import Converted, Source, Wishes
from nodeling_bridges.kailash.catalogue import CATALOGUE, NodeType, custom_type
from nodeling_bridges.kailash.document import graph_of
from nodeling_bridges.kailash.draft import Draft, suggestion
from nodeling_bridges.kailash.lower import Lowering
from nodeling_bridges.kailash.lower_nodes import MOST_MB
from nodeling_bridges.kailash.model import Graph

__all__ = ["convert", "document_of", "load"]


def load(data: dict[str, Any], *, name: str = "workflow.json") -> dict[str, Any]:
    """The native document of a workflow that has been read already.

    Raises:
        ConfigError: Something in it would mean something else here; all of it is listed.
    """
    return convert(Source(name, "", data), Wishes()).document


def convert(source: Source, wishes: Wishes) -> Converted:
    """The native document, and what of the other one is not in it.

    Raises:
        ConfigError: Something in it would mean something else here; all of it is listed.
    """
    if not isinstance(source.data, dict):
        raise ConfigError(f"{source.name} is no Kailash workflow: it holds no object", code="format.invalid")
    draft = Draft(source)
    graph = graph_of(source.data, draft)
    custom = {name: (node, custom_type(name)) for name, node in wishes.bindings.items()}
    used = {entry.type for entry in graph.nodes.values()}
    for name in custom:
        if name not in used:
            message = f"--bind names {name!r}, which is the type of no node here"
            draft.fault("node_type", "", message, suggestion(name, used))
    document = document_of(graph, draft, custom)
    places = {}
    for index, step in enumerate(document["steps"]):
        position = source.locate(graph.nodes[step["name"]].pointer)
        if position is not None:
            places[f"/steps/{index}"] = position
    return Converted(document, draft.notes, places)


def document_of(
    graph: Graph, draft: Draft, custom: Mapping[str, tuple[str, NodeType]] | None = None
) -> dict[str, Any]:
    """The native document of a graph.

    Args:
        graph: The workflow.
        draft: Hears what is noted and what is wrong.
        custom: For types that are none of the known ones: the node that stands for each, and what it takes.

    Raises:
        ConfigError: Something is wrong; all of it is listed.
    """
    if not graph.nodes:
        draft.fault("shape", "/nodes", "the workflow has no node")
    steps = Lowering(graph, draft, custom).steps()
    if draft.faults:
        said = "; ".join(fault.message for fault in draft.faults)
        message = f"{draft.source.name} cannot be converted as it is: {said}"
        hint = next((fault.hint for fault in draft.faults if fault.hint), None)
        raise ConfigError(message, code="kailash.faults", faults=[*draft.faults, *draft.notes], hint=hint)
    _judge_memory(graph, draft, custom or {})
    document: dict[str, Any] = {"name": graph.name}
    kept = {"description": graph.description, "version": graph.version, "author": graph.author}
    document.update({key: value for key, value in kept.items() if value})
    if graph.metadata:
        document["metadata"] = {"kailash": dict(graph.metadata)}
    if graph.limits.max_parallel_tasks is not None:
        document["settings"] = {"max_concurrent": graph.limits.max_parallel_tasks}
    document["steps"] = steps
    return document


def _judge_memory(graph: Graph, draft: Draft, custom: Mapping[str, Any]) -> None:
    limit = graph.limits.memory_limit
    if limit is None:
        return
    if limit > MOST_MB:
        message = f"`memory_limit` is {MOST_MB} MB: no code of a node may have more here"
        draft.note("/runtime_config/memory_limit", message)
    held = ("PythonCodeNode", "DataTransformer", "FileProcessorNode")
    loose = [
        name
        for name, entry in graph.nodes.items()
        if entry.type not in held and (entry.type in custom or entry.type in CATALOGUE)
    ]
    if loose:
        message = (
            f"`memory_limit` bounds nodes that hold code, which run in processes; not {', '.join(loose)}"
        )
        draft.note("/runtime_config/memory_limit", message)
