"""What an export says, as plain data: workflows and worklets, their tasks, links and variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Position = tuple[int, int]
TaskType = Literal[
    "start",
    "session",
    "command",
    "decision",
    "timer",
    "email",
    "assignment",
    "control",
    "event_wait",
    "event_raise",
    "worklet",
]
TASK_TYPES: Mapping[str, TaskType] = {
    "START": "start",
    "SESSION": "session",
    "COMMAND": "command",
    "DECISION": "decision",
    "TIMER": "timer",
    "EMAIL": "email",
    "ASSIGNMENT": "assignment",
    "CONTROL": "control",
    "EVENTWAIT": "event_wait",
    "EVENTRAISE": "event_raise",
    "WORKLET": "worklet",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A VALUEPAIR: a command and its text, or a variable and what it is set to."""

    name: str
    value: str
    position: Position


@dataclass(frozen=True, slots=True)
class Wait:
    """When a timer is over."""

    kind: Literal["previous", "parent", "top", "absolute", "variable"]
    seconds: float = 0.0
    moment: str = ""  # an ISO text, or a variable's name


@dataclass(frozen=True, slots=True)
class Task:
    """A task's definition, reusable or not."""

    name: str
    type: TaskType
    position: Position
    description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    wait: Wait | None = None
    mapping: str = ""
    components: tuple[str, ...] = ()  # what a session does around itself: its commands and e-mails


@dataclass(frozen=True, slots=True)
class Instance:
    """A task in its place in a workflow or a worklet."""

    name: str
    task: Task
    position: Position
    enabled: bool = True
    join_all: bool = True
    fails_parent: bool = False
    fails_parent_unrun: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """What leads from one instance to another."""

    source: str
    target: str
    condition: str
    position: Position


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a workflow or a worklet, `$$` and all."""

    name: str
    datatype: str
    default: str | None
    position: Position
    persistent: bool = False


@dataclass(frozen=True)
class Flow:
    """A workflow or a worklet."""

    name: str
    position: Position
    description: str = ""
    enabled: bool = True
    suspends: bool = False
    suspension_email: str = ""  # the task that tells of it
    instances: Mapping[str, Instance] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Position] = field(default_factory=dict)  # of the attributes
    extensions: Mapping[str, str] = field(default_factory=dict)  # what people noted beside it
    schedule: str = ""

    def into(self, name: str) -> list[Link]:
        """The links that lead to an instance."""
        return self._arrivals.get(name, [])

    @cached_property
    def _arrivals(self) -> dict[str, list[Link]]:
        found: dict[str, list[Link]] = {}
        for link in self.links:
            found.setdefault(link.target, []).append(link)
        return found

    def start(self) -> str | None:
        """The instance that everything begins with."""
        return next((name for name, one in self.instances.items() if one.task.type == "start"), None)


@dataclass(frozen=True, slots=True)
class Repository:
    """Everything an export holds that a run needs."""

    workflows: Mapping[str, Flow]
    worklets: Mapping[str, Flow]
    reusable: Mapping[str, Task] = field(default_factory=dict)
