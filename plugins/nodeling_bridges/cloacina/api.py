"""Cloacina's Python API on the engine: `import nodeling_bridges.cloacina.api as cloaca`."""

from __future__ import annotations

from typing import NoReturn

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

_ELSEWHERE = {
    "BackoffStrategy": "RetryPolicy(backoff='exponential', delay_ms=…), or retry_backoff=… on the task",
    "DatabaseAdmin": "DefaultRunner.with_schema(url, schema): the schema is made when it is first used",
    "RetryCondition": "RetryPolicy(condition='never' | 'transient' | 'all')",
    "TaskNamespace": "tasks are known by their ids, workflows by their names and tenants",
    "TenantConfig": "DefaultRunner.with_schema(url, schema)",
    "TriggerResult": "there is no scheduler yet: a program that polls calls `execute`",
    "trigger": "there is no scheduler yet: a program that polls calls `execute`",
}


def __getattr__(name: str) -> NoReturn:
    """Say of what Cloacina has, and is not here, what takes its place."""
    hint = f"; {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
    raise AttributeError(f"{__name__} has no {name!r}{hint}")


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
