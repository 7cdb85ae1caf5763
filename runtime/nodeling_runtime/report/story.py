"""What happened, step by step and child by child, read from a run's events.

Events name a step by its path at run time (`each[3]/body`); a drawing knows it by the path in the document
(`each/body`). A story has both, and its place in the tree of containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.results import RunResult

WORST_FIRST = ("failed", "running", "cancelled", "succeeded", "skipped", "pending")


@dataclass(slots=True)
class Try:
    """An attempt that failed and was followed by another."""

    ended: float
    delay_ms: float
    error: Mapping[str, Any]


@dataclass(slots=True)
class Story:
    """One run of one step. Times are milliseconds from the start of the run."""

    path: str
    name: str
    node: str
    parent: str | None = None
    drawn: str = ""
    depth: int = 0
    container: bool = False
    status: str = "pending"
    reason: str | None = None
    attempts: int = 0
    started: float | None = None
    ended: float | None = None
    duration_ms: float = 0.0
    worker: str | None = None
    error: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    waited_for: Sequence[str] = ()
    tries: list[Try] = field(default_factory=list)
    counted: Mapping[str, Any] | None = None  # the execution_info of a container

    @property
    def label(self) -> str:
        """What tells it from its siblings: its name, after the round or item it belongs to."""
        return self.path[len(self.parent) :].lstrip("/") if self.parent is not None else self.path


@dataclass(slots=True)
class LogLine:
    """One line that a node logged, with its time in milliseconds from the start of the run."""

    at: float
    step: str
    level: str
    message: str
    data: Mapping[str, Any] | None


@dataclass(slots=True)
class Account:
    """A whole run: its steps by path, parents before children, and its log."""

    began: float
    duration_ms: float
    steps: dict[str, Story]
    children: dict[str | None, list[Story]]
    log: list[LogLine]

    def of_drawing(self) -> dict[str, list[Story]]:
        """The runs of each step of the document."""
        found: dict[str, list[Story]] = {}
        for story in self.steps.values():
            found.setdefault(story.drawn, []).append(story)
        return found


def worst(stories: Iterable[Story]) -> str | None:
    """The status that says most about several runs; None when there were none."""
    held = {story.status for story in stories}
    return next((status for status in WORST_FIRST if status in held), None)


def account(result: RunResult, events: Sequence[Mapping[str, Any]]) -> Account:
    """Read a run's events; what they do not say about the top level comes from the result."""
    began = next((float(e["ts"]) for e in events if e.get("event") == "run.started"), result.started)
    reading = _Reading(began)
    for event in events:
        reading.take(event)
    for name, step in result.steps.items():
        story = reading.steps.setdefault(name, Story(name, name, ""))
        if story.status == "pending":
            story.status, story.reason, story.attempts = step.status, step.reason, step.attempts
            story.error, story.metrics, story.duration_ms = step.error, step.metrics, step.duration_ms
    ends = [story.ended for story in reading.steps.values() if story.ended is not None]
    whole = max([result.duration_ms, *ends])
    for story in reading.steps.values():
        if story.started is not None and story.ended is None and story.status == "running":
            story.ended = whole
    steps, children = _tree(reading.steps)
    return Account(began, whole, steps, children, reading.log)


class _Reading:
    """Events on their way to stories."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.steps: dict[str, Story] = {}
        self.log: list[LogLine] = []

    def take(self, event: Mapping[str, Any]) -> None:
        path, kind = event.get("step"), event.get("event")
        if not isinstance(path, str):
            return
        at = max(0.0, (float(event.get("ts", self.began)) - self.began) * 1_000)
        if kind == "step.log":
            line = LogLine(
                at, path, str(event.get("level", "info")), str(event.get("message", "")), event.get("data")
            )
            self.log.append(line)
        elif kind == "step.started":
            story = self._story(path, event)
            story.started, story.status = at, "running"
            story.container = bool(event.get("container"))
            story.waited_for = event.get("waited_for") or ()
        elif kind == "step.retry":
            error = event.get("error") or {}
            self._story(path, event).tries.append(Try(at, float(event.get("delay_ms") or 0.0), error))
        elif kind == "step.finished":
            self._finish(self._story(path, event), event, at)

    def _story(self, path: str, event: Mapping[str, Any]) -> Story:
        story = self.steps.get(path)
        if story is None:
            name = str(event.get("name") or path.rpartition("/")[2])
            story = self.steps[path] = Story(path, name, str(event.get("node") or ""))
        return story

    def _finish(self, story: Story, event: Mapping[str, Any], at: float) -> None:
        story.status, story.reason = str(event.get("status")), event.get("reason")
        story.attempts, story.duration_ms = (
            int(event.get("attempts") or 0),
            float(event.get("duration_ms") or 0.0),
        )
        story.worker, story.error, story.metrics = (
            event.get("worker"),
            event.get("error"),
            event.get("metrics") or {},
        )
        story.ended = max(at, story.started or 0.0)
        output = event.get("output")
        details = (story.error or {}).get("details")
        for holder in (output, details):
            if (
                story.container
                and isinstance(holder, Mapping)
                and isinstance(holder.get("execution_info"), Mapping)
            ):
                story.counted = holder["execution_info"]


def _tree(steps: Mapping[str, Story]) -> tuple[dict[str, Story], dict[str | None, list[Story]]]:
    """Parents found, depths set, and the steps in the order of a tree."""
    children: dict[str | None, list[Story]] = {}
    for story in steps.values():
        story.parent = _parent(story, steps)
        children.setdefault(story.parent, []).append(story)
    for siblings in children.values():
        siblings.sort(key=lambda story: (story.started is None, story.started or 0.0))
    ordered: dict[str, Story] = {}
    todo = list(reversed(children.get(None, [])))
    while todo:
        story = todo.pop()
        above = None if story.parent is None else steps[story.parent]
        story.depth = 0 if above is None else above.depth + 1
        story.drawn = story.name if above is None else f"{above.drawn}/{story.name}"
        ordered[story.path] = story
        todo.extend(reversed(children.get(story.path, [])))
    return ordered, children


def _parent(story: Story, steps: Mapping[str, Story]) -> str | None:
    """The container whose path, perhaps with a round or an item in brackets, begins this one's."""
    if story.path == story.name or not story.path.endswith(f"/{story.name}"):
        return None
    above = story.path[: -len(story.name) - 1]
    while above and above not in steps:
        above = above[: above.rfind("[")] if above.endswith("]") and "[" in above else ""
    return above or None
