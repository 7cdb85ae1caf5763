"""What goes on in runs, as figures and as lines of a log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nodeling_bridges.powercenter.api.dag import TaskStatus
from nodeling_bridges.powercenter.api.scheduler import WorkflowExecution, WorkflowScheduler


class WorkflowMonitor:
    """Watches the runs of a scheduler."""

    def __init__(self, scheduler: WorkflowScheduler) -> None:
        self.scheduler = scheduler
        self.finished: list[str] = []
        scheduler.add_execution_callback(lambda execution: self.finished.append(execution.execution_id))

    def snapshot(self, execution_id: str) -> dict[str, Any]:
        """How far a run has come.

        Raises:
            KeyError: There is no such run.
        """
        execution = self._known(execution_id)
        states = [task.status for task in execution.workflow.tasks.values()]
        until = execution.end_time or datetime.now()
        return {
            "execution_id": execution_id,
            "workflow": execution.workflow.name,
            "status": execution.status.value,
            "elapsed_seconds": (until - execution.start_time).total_seconds(),
            "tasks": {status.value: states.count(status) for status in TaskStatus},
            "running": [t.name for t in execution.workflow.tasks.values() if t.status is TaskStatus.RUNNING],
            "failed": sorted(execution.failed_tasks),
        }

    def report(self, execution_id: str) -> str:
        """One line for each task of a run, in the order in which they began."""
        execution = self._known(execution_id)
        tasks = sorted(
            execution.workflow.tasks.values(), key=lambda task: (task.start_time or "~", task.name)
        )
        lines = [f"{execution.workflow.name}: {execution.status.value}"]
        for task in tasks:
            result = execution.task_results.get(task.name)
            spent = f" {result.execution_time:.3f} s" if result is not None else ""
            said = f": {task.error_message}" if task.error_message else ""
            lines.append(f"  {task.name} ({task.task_type.value}) {task.status.value}{spent}{said}")
        return "\n".join(lines)

    def _known(self, execution_id: str) -> WorkflowExecution:
        execution = self.scheduler.get_execution_status(execution_id)
        if execution is None:
            raise KeyError(f"there is no run {execution_id!r}")
        return execution
