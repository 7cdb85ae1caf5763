"""Functions as tasks, and workflows as the tasks defined inside a `with` block."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.cloacina.load import TaskSpec, document_of
from nodeling_bridges.cloacina.retry import RetryPolicy
from nodeling_bridges.cloacina.rules import ALWAYS, checked

__all__ = ["Task", "Workflow", "WorkflowBuilder", "known_workflow", "register_workflow_constructor", "task"]

_CURRENT: ContextVar[WorkflowBuilder | None] = ContextVar("nodeling_cloacina_builder", default=None)
_LOCK = threading.Lock()
_LOOSE: dict[str, Task] = {}  # tasks defined outside any builder
_WORKFLOWS: dict[tuple[str, str], Workflow] = {}
_CONSTRUCTORS: dict[str, Callable[[], Any]] = {}

Callback = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A function and what was said of it."""

    spec: TaskSpec
    function: Callable[..., Any]
    takes_handle: bool
    on_success: Callback | None = None
    on_failure: Callback | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow that was built."""

    name: str
    tenant: str
    tasks: tuple[Task, ...]
    description: str = ""
    tags: tuple[tuple[str, str], ...] = ()

    def document(self, **settings: Any) -> dict[str, Any]:
        """The native document."""
        specs = [task.spec for task in self.tasks]
        return document_of(self.name, specs, description=self.description, tags=dict(self.tags), **settings)


class WorkflowBuilder:
    """Collects the tasks that are defined inside its `with` block, and registers the workflow at its end."""

    def __init__(
        self, name: str, *, tenant: str = "public", package: str = "embedded", workflow: str | None = None
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.package = package
        self._tasks: dict[str, Task] = {}
        self._description = ""
        self._tags: dict[str, str] = {}
        self._token: Any = None

    def description(self, text: str) -> WorkflowBuilder:
        """Say what the workflow is for."""
        self._description = text
        return self

    def tag(self, key: str, value: str) -> WorkflowBuilder:
        """Keep a word with the workflow."""
        self._tags[key] = value
        return self

    def add_task(self, wanted: str | Callable[..., Any]) -> WorkflowBuilder:
        """Add a task that was defined elsewhere, by its id or its function.

        Raises:
            ConfigError: There is none.
        """
        name = wanted if isinstance(wanted, str) else _id_of(wanted)
        if name not in _LOOSE:
            raise ConfigError(
                f"no task is called {name!r}", code="cloacina.task", hint="define it with @task"
            )
        self._add(_LOOSE[name])
        return self

    def build(self) -> Workflow:
        """The workflow.

        Raises:
            ConfigError: A task is there twice, or names one that is not.
        """
        built = Workflow(
            self.name, self.tenant, tuple(self._tasks.values()), self._description, tuple(self._tags.items())
        )
        built.document()
        return built

    def _add(self, task: Task) -> None:
        if task.spec.id in self._tasks and self._tasks[task.spec.id].function is not task.function:
            raise ConfigError(f"two tasks of {self.name!r} are called {task.spec.id!r}", code="cloacina.task")
        self._tasks[task.spec.id] = task

    def __enter__(self) -> WorkflowBuilder:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CURRENT.reset(self._token)
        if kind is None:
            built = self.build()
            with _LOCK:
                _WORKFLOWS[self.tenant, self.name] = built


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    id: str | None = None,
    dependencies: Iterable[str | Callable[..., Any]] = (),
    retry_attempts: int | None = None,
    retry_backoff: str | None = None,
    retry_delay_ms: float | None = None,
    retry_max_delay_ms: float | None = None,
    retry_condition: str | None = None,
    retry_jitter: bool | None = None,
    retry: RetryPolicy | None = None,
    trigger_rules: Any = None,
    on_success: Callback | None = None,
    on_failure: Callback | None = None,
) -> Any:
    """Make a function a task. It gets a `Context`, and a handle when it has a parameter for one.

    Raises:
        ValueError: A retry setting or a trigger rule is none.
        TypeError: Two ways of saying the retry are mixed, or the function takes something else.
    """
    given = {
        "attempts": retry_attempts,
        "backoff": retry_backoff,
        "delay_ms": retry_delay_ms,
        "max_delay_ms": retry_max_delay_ms,
        "condition": retry_condition,
        "jitter": retry_jitter,
    }
    said = {key: value for key, value in given.items() if value is not None}
    if said and retry is not None:
        raise TypeError("say `retry` or the retry_… settings, not both")
    if isinstance(dependencies, str) or not isinstance(dependencies, Iterable):
        raise TypeError(f"dependencies is a list of tasks, not {dependencies!r}")
    policy = retry or RetryPolicy(**said)  # type: ignore[arg-type]
    rule = ALWAYS if trigger_rules is None else checked(trigger_rules)

    def decorate(target: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(target):
            raise TypeError(f"a task is a function, not {target!r}")
        named = _named(id if id is not None else target.__name__)
        names = tuple(one if isinstance(one, str) else _id_of(one) for one in dependencies)
        first_line = (inspect.getdoc(target) or "").partition("\n")[0]
        spec = TaskSpec(named, names, policy, rule, first_line)
        made = Task(spec, target, _takes_handle(target), on_success, on_failure)
        target.__dict__["cloacina_task_id"] = spec.id
        builder = _CURRENT.get()
        if builder is not None:
            builder._add(made)
        else:
            with _LOCK:
                _LOOSE[spec.id] = made
        return target

    return decorate if function is None else decorate(function)


def register_workflow_constructor(name: str, constructor: Callable[[], Any]) -> None:
    """Have a workflow built by a function, when it is first asked for."""
    with _LOCK:
        _CONSTRUCTORS[name] = constructor


def known_workflow(name: str, tenant: str = "public") -> Workflow:
    """A workflow that was registered.

    Raises:
        ConfigError: There is none of that name.
    """
    with _LOCK:
        found = _WORKFLOWS.get((tenant, name)) or _WORKFLOWS.get(("public", name))
        constructor = _CONSTRUCTORS.get(name)
        names = sorted({*(key[1] for key in _WORKFLOWS), *_CONSTRUCTORS})
    if found is not None:
        return found
    if constructor is not None:
        built = constructor()
        if isinstance(built, Workflow):
            with _LOCK:
                _WORKFLOWS[tenant, name] = built
            return built
    from nodeling.errors import nearest

    near = nearest(name, names)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(names) or 'none'}"
    raise ConfigError(f"no workflow is called {name!r}", code="cloacina.workflow", hint=hint)


def _named(id: Any) -> str:
    """A task's id, which is the name of a step."""
    if not isinstance(id, str):
        raise TypeError(f"a task's id is a text, not {id!r}")
    if not id or id.strip() != id or "/" in id:
        raise ValueError(f"a task's id has no slash, and no blank at its ends: {id!r}")
    return id


def _id_of(function: Callable[..., Any]) -> str:
    if not callable(function):
        raise TypeError(f"a task is named by its id or its function, not by {function!r}")
    return str(getattr(function, "cloacina_task_id", function.__name__))


def _takes_handle(function: Callable[..., Any]) -> bool:
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__name__} is a coroutine function; a task is a plain one")
    taken = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    if not 1 <= len(taken) <= 2:
        raise TypeError(f"a task takes a context, and a handle if it wants one; {function.__name__} does not")
    return len(taken) == 2
