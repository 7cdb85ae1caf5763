"""Kailash's Python API on the engine: read `nodeling_bridges.kailash.api` where a program says `kailash`."""

from __future__ import annotations

from nodeling_bridges.kailash.api.nodes.base import Node, NodeParameter, register_node
from nodeling_bridges.kailash.api.runtime import AsyncLocalRuntime, LocalRuntime, ParallelRuntime
from nodeling_bridges.kailash.api.sdk_exceptions import WorkflowExecutionError
from nodeling_bridges.kailash.api.workflow import Workflow, WorkflowBuilder

__all__ = [
    "AsyncLocalRuntime",
    "LocalRuntime",
    "Node",
    "NodeParameter",
    "ParallelRuntime",
    "Workflow",
    "WorkflowBuilder",
    "WorkflowExecutionError",
    "register_node",
]
