"""nodeling: small nodes in any language, one runtime.

What a node's author needs is here. A name is imported when it is first asked for, so that a node's process
pays for nothing it does not use.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from typing import Any

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

_HOMES: dict[str, tuple[str, ...]] = {
    "context": ("Context",),
    "errors": (
        "ConfigError",
        "NodeError",
        "NodelingError",
        "NodeProcessError",
        "PluginError",
        "ProtocolError",
        "StoreError",
        "WorkflowError",
    ),
    "flow": (
        "Child",
        "ChildRun",
        "Expression",
        "Flow",
        "FlowNode",
        "Pool",
        "Start",
    ),
    "node": (
        "Node",
        "NodeDefinition",
        "node",
    ),
    "results": (
        "RunFailed",
        "RunResult",
        "StepResult",
    ),
    "workflow": (
        "Step",
        "Workflow",
        "ctx",
        "load",
        "run",
        "step",
        "task",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, from the module it lives in."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


class _Package(type(sys)):  # type: ignore[misc]
    """This package. Its name `node` is the decorator, also after the module `nodeling.node` was imported."""

    @property
    def node(self) -> Any:
        """The decorator."""
        from nodeling.node import node

        return node

    @node.setter
    def node(self, module: Any) -> None:
        """What the import system binds here is found in `sys.modules` too."""


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
