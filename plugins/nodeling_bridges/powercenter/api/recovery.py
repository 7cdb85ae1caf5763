"""Going on after a failure: what succeeded stays, what failed and what depended on it runs again."""

from __future__ import annotations

from dataclasses import replace

from nodeling_bridges.powercenter.api.dag import TaskStatus, Workflow, WorkflowLink
from nodeling_bridges.powercenter.api.dependency import DependencyManager
from nodeling_bridges.powercenter.api.scheduler import WorkflowExecution, WorkflowScheduler

STRATEGIES = ("restart_task", "fail_task_and_continue_workflow", "fail_task_and_stop_workflow")


class RecoveryManager:
    """Recovers the runs of a scheduler."""

    def __init__(self, scheduler: WorkflowScheduler) -> None:
        self.scheduler = scheduler

    def tasks_to_recover(self, execution: WorkflowExecution) -> list[str]:
        """The tasks that failed, and those that depend on them or never ran, in the workflow's order."""
        manager = DependencyManager(execution.workflow)
        wanted = {name for name in execution.workflow.tasks if name not in execution.completed_tasks}
        for name in execution.failed_tasks:
            wanted |= manager.downstream(name)
        return [name for name in execution.workflow.tasks if name in wanted]

    def recover(self, execution_id: str) -> str | None:
        """Run again what is to be recovered of an ended run; None when that is nothing.

        Raises:
            KeyError: There is no such run.
            ValueError: It has not ended.
        """
        execution = self.scheduler.get_execution_status(execution_id)
        if execution is None:
            raise KeyError(f"there is no run {execution_id!r}")
        if execution.end_time is None:
            raise ValueError(f"the run {execution_id!r} has not ended")
        names = self.tasks_to_recover(execution)
        if not names:
            return None
        return self.scheduler.execute_workflow(self._rest(execution, names))

    def _rest(self, execution: WorkflowExecution, names: list[str]) -> Workflow:
        """The workflow without what succeeded; a link from there that did not hold still keeps its target."""
        whole = execution.workflow
        manager = DependencyManager(whole)
        kept = set(names)
        tasks = {}
        for name in names:
            before = [link for link in manager._links if link.target == name and link.source not in kept]
            if whole.tasks[name].treat_input_links_as.lower() != "or" and not all(
                map(manager.is_met, before)
            ):
                kept.discard(name)
        for name in names:
            if name in kept:
                tasks[name] = replace(
                    whole.tasks[name],
                    predecessors=whole.tasks[name].predecessors & kept,
                    successors=whole.tasks[name].successors & kept,
                    status=TaskStatus.PENDING,
                )
        links: list[WorkflowLink] = [
            link for link in whole.links if link.from_task in tasks and link.to_task in tasks
        ]
        return replace(whole, tasks=tasks, links=links, execution_graph=None)
