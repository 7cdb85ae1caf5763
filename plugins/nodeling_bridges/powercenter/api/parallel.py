"""Tasks that need nothing of one another, at once and within a bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nodeling_bridges.powercenter.api.dag import TaskStatus, Workflow, WorkflowTask
from nodeling_bridges.powercenter.api.scheduler import WorkflowScheduler
from nodeling_bridges.powercenter.api.tasks import TaskExecutionResult


class ParallelExecutor:
    """Runs tasks at once, at most `max_workers` of them."""

    def __init__(self, config_manager: Any, max_workers: int = 4) -> None:
        self.config_manager = config_manager
        self.max_workers = max_workers

    def execute_tasks(self, tasks: Iterable[WorkflowTask]) -> dict[str, TaskExecutionResult]:
        """Run every task to its end, a failure of one keeping none of the others, and say how each ended."""
        given = {task.name: task for task in tasks}
        if not given:
            return {}
        alone = {
            name: replace(task, predecessors=set(), successors=set(), fail_parent_on_failure=False)
            for name, task in given.items()
        }
        scheduler = WorkflowScheduler(self.config_manager, max_workers=self.max_workers)
        execution = scheduler.wait(scheduler.execute_workflow(Workflow("parallel", "parallel", tasks=alone)))
        if execution is None:
            raise AssertionError("waiting without a limit ends with the run")
        for name, task in given.items():
            ran = alone[name]
            task.status, task.start_time, task.end_time = ran.status, ran.start_time, ran.end_time
            task.error_message = ran.error_message
        missing = TaskExecutionResult(False, execution.error_message or "it did not run")
        for name in given.keys() - execution.task_results.keys():
            given[name].status = TaskStatus.FAILED
        return {name: execution.task_results.get(name, missing) for name in given}
