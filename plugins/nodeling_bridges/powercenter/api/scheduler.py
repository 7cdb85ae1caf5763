"""Runs of workflows: started, watched, cancelled, and readable after they have ended."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import nodeling
from nodeling_bridges.powercenter.api.dag import TaskStatus, Workflow, WorkflowDAGProcessor
from nodeling_bridges.powercenter.api.running import Event, Running, prepared
from nodeling_bridges.powercenter.api.tasks import TaskExecutionResult, WorkflowTaskExecutor, result_of

_STOP = "fail_task_and_stop_workflow"
_STATES = {
    "succeeded": TaskStatus.COMPLETED,
    "failed": TaskStatus.FAILED,
    "skipped": TaskStatus.SKIPPED,
    "cancelled": TaskStatus.FAILED,
    "in_doubt": TaskStatus.SUSPENDED,
}
Callback = Callable[["WorkflowExecution"], Any]


@dataclass
class WorkflowExecution:
    """One run of a workflow."""

    workflow: Workflow
    execution_id: str
    start_time: datetime
    end_time: datetime | None = None
    status: TaskStatus = TaskStatus.PENDING
    completed_tasks: set[str] = field(default_factory=set)
    failed_tasks: set[str] = field(default_factory=set)
    skipped_tasks: set[str] = field(default_factory=set)
    task_results: dict[str, TaskExecutionResult] = field(default_factory=dict)
    error_message: str | None = None
    cancelled: bool = False


class WorkflowScheduler:
    """Runs workflows, at most `max_workers` tasks of each at once."""

    def __init__(self, config_manager: Any, max_workers: int = 4) -> None:
        self.logger = logging.getLogger("WorkflowScheduler")
        self.config_manager = config_manager
        self.max_workers = max_workers
        self.dag_processor = WorkflowDAGProcessor()
        self.task_executor = WorkflowTaskExecutor(config_manager)
        self.execution_callbacks: list[Callback] = []
        self._lock = threading.Lock()
        self._executions: dict[str, WorkflowExecution] = {}
        self._running: dict[str, Running] = {}

    def execute_workflow(self, workflow: Workflow, execution_id: str | None = None) -> str:
        """Start a workflow and return the id of its run.

        Raises:
            ConfigError: The workflow cannot run as it is; everything wrong is listed.
            ValueError: The id is that of another run.
        """
        chosen = execution_id or f"{workflow.name}_{uuid.uuid4().hex}"
        self.dag_processor._validate_workflow(workflow)
        execution = WorkflowExecution(workflow, chosen, datetime.now(), status=TaskStatus.RUNNING)
        made = self._prepared(workflow)
        with self._lock:
            if chosen in self._executions:
                raise ValueError(f"there is a run {chosen!r} already")
            self._executions[chosen] = execution
        _begin(workflow, execution)
        running = Running(
            made, lambda event: self._hear(execution, event), lambda ended: self._over(execution, ended)
        )
        with self._lock:
            self._running[chosen] = running
        running.start()
        return chosen

    def get_execution_status(self, execution_id: str) -> WorkflowExecution | None:
        """A run, under way or ended; None for an id that was never given."""
        with self._lock:
            return self._executions.get(execution_id)

    def get_active_executions(self) -> list[str]:
        """The ids of the runs under way."""
        with self._lock:
            return list(self._running)

    def wait(self, execution_id: str, timeout: float | None = None) -> WorkflowExecution | None:
        """Wait for a run's end, and return it; None when it has not come by then."""
        with self._lock:
            running = self._running.get(execution_id)
        if running is not None and not running.wait(timeout):
            return None
        return self.get_execution_status(execution_id)

    def cancel_execution(self, execution_id: str) -> bool:
        """End a run: what it runs is ended for real. False when there is none under way."""
        with self._lock:
            running = self._running.get(execution_id)
        return running is not None and running.cancel()

    def add_execution_callback(self, callback: Callback) -> None:
        """Have a function called with each run as it ends. One that fails is logged and hurts nobody."""
        self.execution_callbacks.append(callback)

    def shutdown(self, wait: bool = True) -> None:
        """Wait for the runs under way; without `wait`, end them."""
        for execution_id in self.get_active_executions():
            if not wait:
                self.cancel_execution(execution_id)
            self.wait(execution_id)

    # -- a run's story

    def _prepared(self, workflow: Workflow) -> nodeling.Workflow:
        made = prepared(workflow, self.config_manager)
        settings = made.document.setdefault("settings", {})
        settings.setdefault("max_concurrent", self.max_workers)
        if workflow.recovery_strategy == _STOP:
            settings["on_failure"] = "stop"
            for step in made.document["steps"]:
                step.pop("on_error", None)
        return made

    def _hear(self, execution: WorkflowExecution, event: Event) -> None:
        task = execution.workflow.tasks.get(str(event.get("name")))
        if task is None:
            return
        if event["event"] == "step.started":
            task.status, task.start_time = TaskStatus.RUNNING, datetime.now().isoformat()
        elif event["event"] == "step.finished":
            status = str(event["status"])
            task.status, task.end_time = _STATES.get(status, TaskStatus.FAILED), datetime.now().isoformat()
            result = result_of(task, status, event.get("output"), event.get("error"))
            result.execution_time = float(event.get("duration_ms") or 0.0) / 1_000
            task.error_message = None if result.success or status == "skipped" else result.message
            self._sort(execution, task.name, status, result)

    def _sort(
        self, execution: WorkflowExecution, name: str, status: str, result: TaskExecutionResult
    ) -> None:
        with self._lock:
            if status == "skipped":
                execution.skipped_tasks.add(name)
                return
            execution.task_results[name] = result
            (execution.completed_tasks if result.success else execution.failed_tasks).add(name)

    def _over(self, execution: WorkflowExecution, ended: Running) -> None:
        workflow = execution.workflow
        execution.end_time = datetime.now()
        workflow.end_time = execution.end_time.isoformat()
        execution.cancelled = ended.was_cancelled
        result = ended.result
        if result is not None and result.status == "succeeded" and not execution.cancelled:
            execution.status = TaskStatus.COMPLETED
        else:
            execution.status = TaskStatus.FAILED
            said = None if result is None else result.error
            execution.error_message = str(said.get("message")) if said else str(ended.error)
        if execution.cancelled:
            execution.error_message = "cancelled"
        workflow.status = execution.status
        with self._lock:
            self._running.pop(execution.execution_id, None)
        self._tell(execution)

    def _tell(self, execution: WorkflowExecution) -> None:
        for callback in list(self.execution_callbacks):
            try:
                callback(execution)
            except Exception:  # somebody else's code: named, with its traceback, and nobody else is kept
                self.logger.exception("a callback failed for the run %s", execution.execution_id)


def _begin(workflow: Workflow, execution: WorkflowExecution) -> None:
    workflow.status, workflow.end_time = TaskStatus.RUNNING, None
    workflow.start_time = execution.start_time.isoformat()
    for task in workflow.tasks.values():
        task.status, task.start_time, task.end_time, task.error_message = TaskStatus.PENDING, None, None, None
