"""nodeling: small nodes in any language, one runtime.

What a node's author needs is here; importing it costs nothing but the standard library.
"""

from __future__ import annotations

from nodeling.context import Context
from nodeling.errors import (
    ConfigError,
    NodeError,
    NodelingError,
    NodeProcessError,
    PluginError,
    ProtocolError,
    StoreError,
    WorkflowError,
)
from nodeling.flow import Child, ChildRun, Expression, Flow, FlowNode, Pool, Start
from nodeling.node import Node, NodeDefinition, node
from nodeling.results import RunFailed, RunResult, StepResult
from nodeling.workflow import Step, Workflow, ctx, load, run, step, task

__version__ = "0.1.0"

__all__ = [
    "Child",
    "ChildRun",
    "ConfigError",
    "Context",
    "Expression",
    "Flow",
    "FlowNode",
    "Node",
    "NodeDefinition",
    "NodeError",
    "NodeProcessError",
    "NodelingError",
    "PluginError",
    "Pool",
    "ProtocolError",
    "RunFailed",
    "RunResult",
    "Start",
    "Step",
    "StepResult",
    "StoreError",
    "Workflow",
    "WorkflowError",
    "__version__",
    "ctx",
    "load",
    "node",
    "run",
    "step",
    "task",
]
