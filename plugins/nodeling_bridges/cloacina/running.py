"""A task's function as a node of the engine, and the handle by which it waits without holding a place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from nodeling import Context as NodeContext
from nodeling import NodeError
from nodeling.node import NodeDefinition, node
from nodeling_bridges.cloacina.context import Context
from nodeling_bridges.cloacina.tasks import Task, Workflow

SHORTEST_POLL_MS = 1.0


class TaskHandle:
    """What a task may ask of the runner."""

    def __init__(self, places: threading.Semaphore, is_cancelled: Callable[[], bool]) -> None:
        self._places = places
        self._is_cancelled = is_cancelled
        self._never = threading.Event()

    def defer_until(self, condition: Callable[[], bool], poll_interval_ms: float = 1_000) -> None:
        """Wait until a condition holds, asked every so often; others may have the task's place meanwhile.

        Raises:
            NodeError: The run was cancelled meanwhile.
        """
        pause = max(SHORTEST_POLL_MS, poll_interval_ms) / 1_000
        self._places.release()
        try:
            while not condition():
                if self._is_cancelled():
                    raise NodeError("the task was cancelled while it waited", code=4000, retryable=False)
                self._never.wait(pause)
        finally:
            self._places.acquire()


def definitions_of(workflow: Workflow, places: threading.Semaphore) -> dict[str, NodeDefinition]:
    """A node for each task."""
    writers = Writers()
    return {task.spec.id: _definition(task, workflow, places, writers) for task in workflow.tasks}


class Writers:
    """Who wrote which key in this run, to say what a task that failed was missing."""

    def __init__(self) -> None:
        self._by_key: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()

    def wrote(self, task: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Note the keys that a task added or changed."""
        with self._lock:
            for key, value in after.items():
                if key not in before or before[key] != value:
                    self._by_key.setdefault(key, {})[task] = None

    def of(self, key: str) -> list[str]:
        """The tasks that wrote a key so far."""
        with self._lock:
            return list(self._by_key.get(key, ()))


def _definition(
    task: Task, workflow: Workflow, places: threading.Semaphore, writers: Writers
) -> NodeDefinition:
    def run(ctx: NodeContext, context: dict[str, Any]) -> dict[str, Any]:
        held = Context(context)
        with places:
            returned = _called(task, held, TaskHandle(places, lambda: ctx.cancelled), workflow, writers)
        after = _after(task, held, returned)
        writers.wrote(task.spec.id, context, after)
        return {"context": after, "ended": time.time()}

    made: NodeDefinition = node(name=task.spec.id, description=task.spec.description or task.spec.id)(run)
    return made


def _called(task: Task, held: Context, handle: TaskHandle, workflow: Workflow, writers: Writers) -> Any:
    try:
        return task.function(held, handle) if task.takes_handle else task.function(held)
    except NodeError:
        raise
    except Exception as error:
        lacked = _lacked(held, workflow, writers)
        if not lacked:
            raise
        said = f"{type(error).__name__}: {error}; {lacked}"
        raise NodeError(said, details={"missing": list(held.missed)}) from error


def _lacked(held: Context, workflow: Workflow, writers: Writers) -> str:
    """What the task asked for in vain, and who may have been meant to give it."""
    told = []
    for key in held.missed:
        known = writers.of(key)
        who = f" ({' and '.join(known)} wrote it: name it in `dependencies`)" if known else ""
        told.append(f"{key!r}{who}")
    return f"it asked for {', '.join(told)}, which none of its dependencies left" if told else ""


def _after(task: Task, held: Context, returned: Any) -> dict[str, Any]:
    if returned is None:
        return held.to_dict()
    if isinstance(returned, Context):
        return returned.to_dict()
    raise TypeError(
        f"a task returns its context or nothing; {task.spec.id} returned {type(returned).__name__}"
    )
