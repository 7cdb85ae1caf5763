"""A workflow of Kailash's as it was read: its nodes, its connections and the bounds of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Connection", "Graph", "Limits", "NodeEntry"]

SKIP, ROUTE = "skip_branches", "route_data"


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One node."""

    id: str
    type: str
    config: Mapping[str, Any]
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A value on its way: an output of one node, by a dotted path, into an input of another.

    Attributes:
        output: The path; None for all that the source gives.
        input: The input; None for the one that such a target has.
    """

    source: str
    output: str | None
    target: str
    input: str | None
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a run.

    Attributes:
        max_parallel_tasks: At most so many nodes at once.
        task_timeout: Milliseconds for one node.
        memory_limit: MiB for one node that has a process of its own.
        conditional_execution: What a branch that is not taken does: it is skipped, or runs with null.
    """

    max_parallel_tasks: int | None = None
    task_timeout: float | None = None
    memory_limit: int | None = None
    conditional_execution: str = SKIP


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole workflow."""

    name: str
    nodes: Mapping[str, NodeEntry]
    connections: Sequence[Connection]
    limits: Limits = Limits()
    description: str = ""
    version: str = ""
    author: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
