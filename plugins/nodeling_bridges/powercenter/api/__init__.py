"""Workflow orchestration in Python: the classes that descriptions of it use, on the engine."""

from __future__ import annotations

from nodeling_bridges.powercenter.api.config import ConfigManager
from nodeling_bridges.powercenter.api.dag import (
    ExecutionGraph,
    TaskStatus,
    TaskType,
    Workflow,
    WorkflowDAGProcessor,
    WorkflowLink,
    WorkflowTask,
)
from nodeling_bridges.powercenter.api.dependency import DependencyManager
from nodeling_bridges.powercenter.api.monitor import WorkflowMonitor
from nodeling_bridges.powercenter.api.parallel import ParallelExecutor
from nodeling_bridges.powercenter.api.recovery import RecoveryManager
from nodeling_bridges.powercenter.api.scheduler import WorkflowExecution, WorkflowScheduler
from nodeling_bridges.powercenter.api.tasks import TaskExecutionResult, WorkflowTaskExecutor

__all__ = [
    "ConfigManager",
    "DependencyManager",
    "ExecutionGraph",
    "ParallelExecutor",
    "RecoveryManager",
    "TaskExecutionResult",
    "TaskStatus",
    "TaskType",
    "Workflow",
    "WorkflowDAGProcessor",
    "WorkflowExecution",
    "WorkflowLink",
    "WorkflowMonitor",
    "WorkflowScheduler",
    "WorkflowTask",
    "WorkflowTaskExecutor",
]
