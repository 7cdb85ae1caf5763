"""One task on its own: what it says becomes a workflow of one step, and what came of it a result."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nodeling.errors import NodelingError
from nodeling_bridges.powercenter.api.dag import TaskStatus, TaskType, Workflow, WorkflowTask
from nodeling_bridges.powercenter.api.running import prepared

LONGEST_OUTPUT = 200


class TaskExecutionResult:
    """How a task ended."""

    def __init__(self, success: bool, message: str = "", return_value: Any = None) -> None:
        self.success = success
        self.message = message
        self.return_value = return_value
        self.execution_time = 0.0

    def __repr__(self) -> str:
        return f"TaskExecutionResult({self.success}, {self.message!r})"


class WorkflowTaskExecutor:
    """Runs single tasks."""

    def __init__(self, config_manager: Any) -> None:
        self.logger = logging.getLogger("WorkflowTaskExecutor")
        self.config_manager = config_manager

    def execute_task(self, task: WorkflowTask) -> TaskExecutionResult:
        """Run a task to its end. What it says of predecessors plays no part here."""
        began = time.monotonic()
        task.start_time, task.status, task.error_message = (
            datetime.now().isoformat(),
            TaskStatus.RUNNING,
            None,
        )
        try:
            alone = Workflow(task.name, task.task_id, tasks={task.name: task})
            alone.variables = dict(task.properties.get("variables", {}))
            saved, task.predecessors = task.predecessors, set()
            try:
                workflow = prepared(alone, self.config_manager)
            finally:
                task.predecessors = saved
            step = workflow.run().steps[task.name]
            result = result_of(task, step.status, step.output, step.error)
        except (NodelingError, ValueError, OSError) as error:
            result = TaskExecutionResult(False, str(error))
        finally:
            task.end_time = datetime.now().isoformat()
        result.execution_time = time.monotonic() - began
        task.status = TaskStatus.COMPLETED if result.success else TaskStatus.FAILED
        task.error_message = None if result.success else result.message
        level = logging.INFO if result.success else logging.ERROR
        self.logger.log(level, "task %s: %s", task.name, result.message)
        return result


def result_of(
    task: WorkflowTask, status: str, output: Any, error: Mapping[str, Any] | None
) -> TaskExecutionResult:
    """A step's end as a task's result."""
    if status == "skipped":
        return TaskExecutionResult(False, f"{task.name} did not run")
    if status != "succeeded":
        said = (error or {}).get("message", status)
        details = (error or {}).get("details") or {}
        code = details.get("exit_code", details.get("returncode"))
        return TaskExecutionResult(False, f"{task.name} {status}: {said}", code)
    return _succeeded(task, output)


def _succeeded(task: WorkflowTask, output: Any) -> TaskExecutionResult:
    given = output if isinstance(output, dict) else {}
    if task.task_type is TaskType.COMMAND:
        code = given.get("exit_code", given.get("returncode", 0))
        text = str(given.get("stdout", ""))[:LONGEST_OUTPUT]
        return TaskExecutionResult(True, f"the command ended with {code}. Output: {text}", code)
    if task.task_type is TaskType.DECISION:
        answer = given.get("condition")
        return TaskExecutionResult(True, f"{task.condition!r} is {answer}", answer)
    if task.task_type is TaskType.SESSION:
        return TaskExecutionResult(True, f"session {task.name} ended. Mapping: {task.mapping_name}", output)
    return TaskExecutionResult(True, f"{task.task_type.value} {task.name} ended", output)
