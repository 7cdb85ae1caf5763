"""Workflows as Python objects, and what can be said of them before they run: order, depth, critical path.

Status is kept by task: an object that is run twice tells of its last run.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError
from nodeling.formats import Source
from nodeling_bridges.powercenter import model
from nodeling_bridges.powercenter.elements import Element, read
from nodeling_bridges.powercenter.repository import Reader

_ANYWHERE = (1, 1)


class TaskType(Enum):
    """The kinds of tasks."""

    SESSION = "session"
    COMMAND = "command"
    DECISION = "decision"
    TIMER = "timer"
    EMAIL = "email"
    CONTROL = "control"
    ASSIGNMENT = "assignment"
    EVENT_WAIT = "event_wait"
    EVENT_RAISE = "event_raise"


class TaskStatus(Enum):
    """How far a task or a workflow has come."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    SUSPENDED = "suspended"


@dataclass
class WorkflowTask:
    """One task. What kind it is says which of its fields count."""

    name: str
    task_type: TaskType
    task_id: str
    description: str = ""
    predecessors: set[str] = field(default_factory=set)
    successors: set[str] = field(default_factory=set)
    properties: dict[str, Any] = field(default_factory=dict)
    fail_parent_on_failure: bool = True
    fail_parent_on_not_run: bool = True
    treat_input_links_as: str = "and"
    status: TaskStatus = TaskStatus.PENDING
    start_time: str | None = None
    end_time: str | None = None
    error_message: str | None = None
    mapping_name: str | None = None
    session_config: dict[str, Any] = field(default_factory=dict)
    command: str | None = None
    command_type: str = "shell"
    working_directory: str | None = None
    condition: str | None = None
    variable_name: str | None = None


@dataclass
class WorkflowLink:
    """A link: after success, after failure, after both; and a condition beside it."""

    from_task: str
    to_task: str
    link_type: str = "success"
    condition: str | None = None


class ExecutionGraph:
    """Which task follows which."""

    def __init__(self) -> None:
        self.nodes: dict[str, WorkflowTask] = {}
        self.edges: dict[tuple[str, str], WorkflowLink] = {}

    def successors(self, name: str) -> Iterator[str]:
        """The tasks that a task leads to."""
        return (target for source, target in self.edges if source == name)

    def predecessors(self, name: str) -> Iterator[str]:
        """The tasks that lead to a task."""
        return (source for source, target in self.edges if target == name)

    def groups(self) -> list[list[str]]:
        """The tasks by the earliest moment at which each can run; ends before a circle."""
        waits = {name: set(self.predecessors(name)) for name in self.nodes}
        found: list[list[str]] = []
        while ready := [name for name, before in waits.items() if not before]:
            found.append(ready)
            for name in ready:
                del waits[name]
            for before in waits.values():
                before.difference_update(ready)
        return found

    def circle(self) -> list[str]:
        """One circle, its first task again at its end; empty when there is none."""
        placed = {name for group in self.groups() for name in group}
        left = [name for name in self.nodes if name not in placed]
        if not left:
            return []
        walk = [left[0]]
        while True:
            before = next(name for name in self.predecessors(walk[-1]) if name not in placed)
            if before in walk:
                return _turned(walk, before)
            walk.append(before)


def _turned(walk: list[str], before: str) -> list[str]:
    circle = walk[walk.index(before) :]
    circle.reverse()
    return [*circle, circle[0]]


@dataclass
class Workflow:
    """Tasks and links."""

    name: str
    workflow_id: str
    description: str = ""
    tasks: dict[str, WorkflowTask] = field(default_factory=dict)
    links: list[WorkflowLink] = field(default_factory=list)
    concurrent_workflows: int = 1
    recovery_strategy: str = "fail_task_and_continue_workflow"
    status: TaskStatus = TaskStatus.PENDING
    start_time: str | None = None
    end_time: str | None = None
    execution_graph: ExecutionGraph | None = None
    variables: dict[str, Any] = field(default_factory=dict)


class WorkflowDAGProcessor:
    """Reads workflows and says what can be known of them."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("WorkflowDAGProcessor")
        self.workflows: dict[str, Workflow] = {}

    def process_workflow_xml(self, workflow_element: Element | str | Path) -> Workflow:
        """A workflow from its element, its text, or its file.

        Raises:
            ConfigError: Something in it means nothing; all of it is listed.
            ValueError: Its tasks go round in a circle.
        """
        flow = _flow_of(workflow_element)
        workflow = Workflow(flow.name, f"{flow.name}-{uuid.uuid4().hex[:12]}", flow.description)
        for instance in flow.instances.values():
            if instance.task.type in ("start", "worklet"):
                continue
            workflow.tasks[instance.name] = _task_of(instance)
        for link in flow.links:
            if link.source in workflow.tasks and link.target in workflow.tasks:
                workflow.links.append(_link_of(link))
                workflow.tasks[link.target].predecessors.add(link.source)
                workflow.tasks[link.source].successors.add(link.target)
        workflow.variables = {name: one.default for name, one in flow.variables.items()}
        workflow.execution_graph = self._build_execution_graph(workflow)
        self._validate_workflow(workflow)
        self.workflows[workflow.name] = workflow
        return workflow

    def _build_execution_graph(self, workflow: Workflow) -> ExecutionGraph:
        """The graph of the links and of what tasks say of their predecessors."""
        graph = ExecutionGraph()
        graph.nodes = dict(workflow.tasks)
        for link in workflow.links:
            if link.from_task in workflow.tasks and link.to_task in workflow.tasks:
                graph.edges.setdefault((link.from_task, link.to_task), link)
        for name, task in workflow.tasks.items():
            for before in sorted(task.predecessors):
                if before in workflow.tasks:
                    graph.edges.setdefault((before, name), WorkflowLink(before, name))
        return graph

    def _validate_workflow(self, workflow: Workflow) -> None:
        graph = self._graph(workflow)
        circle = graph.circle()
        if circle:
            raise ValueError(f"workflow {workflow.name} goes round in a circle: {' → '.join(circle)}")
        for link in workflow.links:
            for name in (link.from_task, link.to_task):
                if name not in workflow.tasks:
                    raise ValueError(f"workflow {workflow.name}: a link names {name!r}, which is no task")

    def _graph(self, workflow: Workflow) -> ExecutionGraph:
        if workflow.execution_graph is None:
            workflow.execution_graph = self._build_execution_graph(workflow)
        return workflow.execution_graph

    def get_execution_order(self, workflow: Workflow) -> list[list[str]]:
        """The tasks in groups; those of a group need nothing of one another."""
        return self._graph(workflow).groups()

    def get_critical_path(self, workflow: Workflow) -> list[str]:
        """The longest chain of tasks."""
        graph = self._graph(workflow)
        longest: dict[str, list[str]] = {}
        for group in graph.groups():
            for name in group:
                before = [longest[one] for one in graph.predecessors(name)]
                longest[name] = [*max(before, key=len, default=[]), name]
        return max(longest.values(), key=len, default=[])

    def analyze_workflow_complexity(self, workflow: Workflow) -> dict[str, Any]:
        """Nine figures about a workflow."""
        graph, order = self._graph(workflow), self.get_execution_order(workflow)
        kinds = [task.task_type for task in workflow.tasks.values()]
        return {
            "total_tasks": len(workflow.tasks),
            "total_links": len(workflow.links),
            "max_parallel_tasks": max(map(len, order), default=0),
            "workflow_depth": len(order),
            "critical_path": self.get_critical_path(workflow),
            "task_types": {kind.value: kinds.count(kind) for kind in TaskType},
            "has_decision_points": TaskType.DECISION in kinds,
            "has_parallel_branches": any(len(list(graph.successors(name))) > 1 for name in graph.nodes),
            "complexity_score": _score(kinds, order),
        }


_WEIGHTS = {TaskType.SESSION: 3, TaskType.DECISION: 5, TaskType.COMMAND: 2}


def _score(kinds: list[TaskType], order: list[list[str]]) -> float:
    """From 0 to 100: two a task, more for what decides or loads, two for each task beside another."""
    beside = sum(len(group) - 1 for group in order)
    return float(min(100, 2 * len(kinds) + sum(_WEIGHTS.get(kind, 1) for kind in kinds) + 2 * beside))


# -- from the model


def _flow_of(given: Element | str | Path) -> model.Flow:
    if isinstance(given, Path):
        source = Source(str(given), given.read_text(encoding="utf-8"))
        given = read(source.text)
    elif isinstance(given, str):
        source = Source("the workflow", given)
        given = read(given)
    else:
        source = Source("the workflow", "")
    reader = Reader(source)
    repository = reader.read(given)
    errors = [fault for fault in reader.faults if fault.severity == "error"]
    if errors:
        raise ConfigError(f"the workflow has {len(errors)} faults", code="powercenter.faults", faults=errors)
    if len(repository.workflows) != 1:
        names = ", ".join(repository.workflows) or "none"
        raise ConfigError(f"one workflow is wanted, found {names}", code="powercenter.workflow")
    return next(iter(repository.workflows.values()))


def _task_of(instance: model.Instance) -> WorkflowTask:
    task = instance.task
    properties: dict[str, Any] = dict(task.attributes)
    if task.wait is not None:
        properties["wait"] = task.wait
        properties["wait_time"] = task.wait.seconds
        properties["absolute_time"] = task.wait.kind == "absolute"
    if len(task.pairs) > 1 or task.type == "assignment":
        properties["pairs"] = task.pairs
    return WorkflowTask(
        name=instance.name,
        task_type=TaskType(task.type),
        task_id=instance.name,
        description=task.description,
        properties=properties,
        fail_parent_on_failure=instance.fails_parent,
        fail_parent_on_not_run=instance.fails_parent_unrun,
        treat_input_links_as="and" if instance.join_all else "or",
        mapping_name=task.mapping or None,
        session_config=dict(task.attributes) if task.type == "session" else {},
        command=task.pairs[0].value if task.type == "command" and task.pairs else None,
        working_directory=task.attributes.get("Working Directory"),
        condition=task.attributes.get("Decision Name", task.attributes.get("Decision Expression")),
    )


def _link_of(link: model.Link) -> WorkflowLink:
    plain = {f"${link.source}.Status = SUCCEEDED": "success", f"${link.source}.Status = FAILED": "failure"}
    if not link.condition:
        return WorkflowLink(link.source, link.target, "unconditional")
    if link.condition in plain:
        return WorkflowLink(link.source, link.target, plain[link.condition])
    return WorkflowLink(link.source, link.target, "unconditional", link.condition)


# -- and back, for running


def flow_from(workflow: Workflow) -> model.Flow:
    """The workflow as the model that is lowered to a native document."""
    graph = workflow.execution_graph or WorkflowDAGProcessor()._build_execution_graph(workflow)
    named = {(link.from_task, link.to_task) for link in workflow.links}
    links = [*workflow.links, *(link for pair, link in graph.edges.items() if pair not in named)]
    variables = {
        name: model.Variable(name, "string", None if value is None else str(value), _ANYWHERE)
        for name, value in workflow.variables.items()
    }
    return model.Flow(
        name=workflow.name,
        position=_ANYWHERE,
        description=workflow.description,
        instances={task.name: _instance_from(task) for task in workflow.tasks.values()},
        links=tuple(_link_from(link) for link in links),
        variables=variables,
    )


def _link_from(link: WorkflowLink) -> model.Link:
    said = {
        "success": f"${link.from_task}.Status = SUCCEEDED",
        "failure": f"${link.from_task}.Status = FAILED",
        "unconditional": "",
    }
    if link.link_type not in said:
        raise ValueError(f"a link's type is success, failure or unconditional, not {link.link_type!r}")
    words = [part for part in (said[link.link_type], link.condition or "") if part]
    condition = " AND ".join(f"({word})" for word in words) if len(words) > 1 else "".join(words)
    return model.Link(link.from_task, link.to_task, condition, _ANYWHERE)


def _instance_from(task: WorkflowTask) -> model.Instance:
    attributes = {
        key: str(value) for key, value in task.properties.items() if isinstance(value, (str, int, float))
    }
    attributes.update(_said_by_fields(task))
    pairs = task.properties.get("pairs", ())
    if not pairs and task.command:
        pairs = (model.Pair("command", task.command, _ANYWHERE),)
    wait = task.properties.get("wait")
    if wait is None and task.task_type is TaskType.TIMER:
        seconds = float(task.properties.get("wait_time", 0))
        absolute = task.properties.get("absolute_time", False)
        moment = str(task.properties.get("time", task.properties.get("wait_time", "")))
        wait = model.Wait("absolute", moment=moment) if absolute else model.Wait("previous", seconds=seconds)
    inner = model.Task(
        name=task.name,
        type=task.task_type.value,
        position=_ANYWHERE,
        description=task.description,
        attributes=attributes,
        pairs=tuple(pairs),
        wait=wait,
        mapping=task.mapping_name or "",
    )
    return model.Instance(
        name=task.name,
        task=inner,
        position=_ANYWHERE,
        join_all=task.treat_input_links_as.lower() != "or",
        fails_parent=task.fail_parent_on_failure,
        fails_parent_unrun=False,  # without links of its own a task that was passed over is no failure
    )


_PROPERTIES = {
    "to": "Email User Name",
    "cc": "Email CC",
    "bcc": "Email BCC",
    "subject": "Email Subject",
    "message": "Email Text",
    "format": "Email Format",
    "event": "Event Name",
    "option": "Control Option",
}


def _said_by_fields(task: WorkflowTask) -> dict[str, str]:
    """What a task's fields say, under the names that exports use."""
    said = {name: str(task.properties[key]) for key, name in _PROPERTIES.items() if task.properties.get(key)}
    if task.condition:
        said["Decision Name"] = task.condition
    if task.working_directory:
        said["Working Directory"] = task.working_directory
    said.update({key: str(value) for key, value in task.session_config.items()})
    return said
