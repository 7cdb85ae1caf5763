"""Cloacina's Python API on the engine: `import nodeling_bridges.cloacina.api as cloaca`."""

from __future__ import annotations

from nodeling_bridges.cloacina.context import Context
from nodeling_bridges.cloacina.retry import RetryPolicy
from nodeling_bridges.cloacina.rules import (
    all_of,
    always,
    any_of,
    context_value,
    none_of,
    task_failed,
    task_skipped,
    task_success,
)
from nodeling_bridges.cloacina.runner import DefaultRunner, DefaultRunnerConfig, TaskOutcome, WorkflowResult
from nodeling_bridges.cloacina.running import TaskHandle
from nodeling_bridges.cloacina.tasks import Workflow, WorkflowBuilder, register_workflow_constructor, task

__all__ = [
    "Context",
    "DefaultRunner",
    "DefaultRunnerConfig",
    "RetryPolicy",
    "TaskHandle",
    "TaskOutcome",
    "Workflow",
    "WorkflowBuilder",
    "WorkflowResult",
    "all_of",
    "always",
    "any_of",
    "context_value",
    "none_of",
    "register_workflow_constructor",
    "task",
    "task_failed",
    "task_skipped",
    "task_success",
]
