"""What a task waits for, and what waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nodeling_bridges.powercenter.api.dag import (
    ExecutionGraph,
    Workflow,
    WorkflowDAGProcessor,
    WorkflowTask,
    flow_from,
)
from nodeling_bridges.powercenter.api.dag import TaskStatus as Status
from nodeling_bridges.powercenter.language.evaluate import from_mapping, holds
from nodeling_bridges.powercenter.model import Link

ENDED = (Status.COMPLETED, Status.FAILED, Status.SKIPPED)
_WORDS = {Status.COMPLETED: "SUCCEEDED", Status.FAILED: "FAILED", Status.SKIPPED: "NOTSTARTED"}


class DependencyManager:
    """Answers questions about one workflow, from its links and the status of its tasks."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.graph: ExecutionGraph = WorkflowDAGProcessor()._build_execution_graph(workflow)
        self._links = flow_from(workflow).links

    def upstream(self, task: str) -> set[str]:
        """Everything that a task waits for, however far away."""
        return self._closure(task, self.graph.predecessors)

    def downstream(self, task: str) -> set[str]:
        """Everything that waits for a task."""
        return self._closure(task, self.graph.successors)

    def get_ready_tasks(self) -> list[str]:
        """The tasks that have not begun and whose links let them begin."""
        return [name for name, task in self.workflow.tasks.items() if self.are_dependencies_satisfied(task)]

    def are_dependencies_satisfied(self, task: WorkflowTask) -> bool:
        """Whether a task that has not begun may begin: all of its links hold, or one of them under `or`."""
        if task.status not in (Status.PENDING, Status.READY):
            return False
        links = [link for link in self._links if link.target == task.name]
        if not links:
            return True
        answers = [self.is_met(link) for link in links]
        return any(answers) if task.treat_input_links_as.lower() == "or" else all(answers)

    def blocking(self, task: str) -> list[str]:
        """The predecessors that a task still waits for."""
        return [name for name in self.graph.predecessors(task) if self._status(name) not in ENDED]

    def is_met(self, link: Link) -> bool:
        """Whether a link's source has ended in a way that its condition lets through."""
        status = self._status(link.source)
        if status not in (Status.COMPLETED, Status.FAILED):
            return False
        known = {
            f"${name}.Status": _WORDS.get(self._status(name), "NOTSTARTED") for name in self.workflow.tasks
        }
        return holds(link.condition, from_mapping(known))

    def _status(self, name: str) -> Status:
        return self.workflow.tasks[name].status

    def _closure(self, task: str, step: object) -> set[str]:
        found: set[str] = set()
        todo = [task]
        while todo:
            neighbours: Iterator[str] | Iterable[str] = step(todo.pop())  # type: ignore[operator]
            fresh = set(neighbours) - found
            found |= fresh
            todo.extend(fresh)
        return found
