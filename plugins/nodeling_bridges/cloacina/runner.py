"""Running workflows: where they are kept, how many tasks at once, and how a run ended, honestly."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

import nodeling
from nodeling.errors import ConfigError, NodelingError
from nodeling.results import RunResult
from nodeling_bridges.cloacina.context import Context, merged
from nodeling_bridges.cloacina.running import definitions_of
from nodeling_bridges.cloacina.tasks import Task, Workflow, known_workflow

_LOG = logging.getLogger("nodeling.cloacina")
_MEMORY = ("sqlite://:memory:", "sqlite:///:memory:", ":memory:")


@dataclass(frozen=True, slots=True)
class DefaultRunnerConfig:
    """How a runner works."""

    max_concurrent_tasks: int = 10
    task_timeout_seconds: float | None = None
    pipeline_timeout_seconds: float | None = None
    durability: str = "full"

    def __post_init__(self) -> None:
        if isinstance(self.max_concurrent_tasks, bool) or self.max_concurrent_tasks < 1:
            raise ValueError(f"max_concurrent_tasks is from 1 up, not {self.max_concurrent_tasks!r}")


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How one task ended."""

    status: str
    attempts: int
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowResult:
    """How a run ended: `Completed` when every task did what was asked of it, else `Failed`."""

    status: str
    start_time: datetime
    end_time: datetime
    final_context: Context
    error_message: str | None
    run_id: str
    tasks: Mapping[str, TaskOutcome] = field(default_factory=dict)


class DefaultRunner:
    """Runs registered workflows, and keeps their runs where its URL says."""

    def __init__(
        self, database_url: str = "sqlite://:memory:", config: DefaultRunnerConfig | None = None
    ) -> None:
        self.database_url = database_url
        self.config = config or DefaultRunnerConfig()
        self.tenant = "public"
        self._store = _store_of(database_url)
        self._is_open = True

    @classmethod
    def with_config(cls, database_url: str, config: DefaultRunnerConfig) -> DefaultRunner:
        """A runner with settings of its own."""
        return cls(database_url, config)

    @classmethod
    def with_schema(cls, database_url: str, schema: str) -> DefaultRunner:
        """A runner of one tenant, whose runs are kept in a schema of their own.

        Raises:
            ConfigError: The store has no schemas, or the name is none.
        """
        if not database_url.startswith(("postgresql://", "postgres://")):
            raise ConfigError("tenants by schema need PostgreSQL", code="cloacina.tenant")
        if not (schema.isidentifier() and schema.isascii()):
            raise ConfigError(f"{schema!r} is no name of a schema", code="cloacina.tenant")
        joint = "&" if "?" in database_url else "?"
        runner = cls(f"{database_url}{joint}schema={schema}")
        runner.tenant = schema
        return runner

    def execute(
        self, workflow_name: str, context: Context | Mapping[str, Any] | None = None
    ) -> WorkflowResult:
        """Run a workflow to its end. A failed one is a result, not an exception.

        Raises:
            ConfigError: There is no such workflow.
        """
        if not self._is_open:
            raise ConfigError("the runner has been shut down", code="cloacina.runner")
        workflow = known_workflow(workflow_name, self.tenant)
        if not isinstance(context, (Context, Mapping, type(None))):
            raise TypeError(f"a workflow is given a context, not {context!r}")
        given = context if isinstance(context, Context) else Context(context)
        places = threading.Semaphore(self.config.max_concurrent_tasks)
        document = workflow.document(
            task_timeout=_seconds(self.config.task_timeout_seconds),
            timeout=_seconds(self.config.pipeline_timeout_seconds),
        )
        made = nodeling.Workflow.from_document(document)
        made.definitions.update(definitions_of(workflow, places))
        began = datetime.now(UTC)
        options: dict[str, Any] = {} if self._store is None else {"store": self._store}
        result = made.run(given.to_dict(), on_event=_Callbacks(workflow.tasks).hear, **options)
        return _outcome(result, workflow, given, began)

    def start(self) -> None:
        """Nothing has to be started: runs go on while `execute` waits for them."""

    def stop(self) -> None:
        """The same as `shutdown`."""
        self.shutdown()

    def shutdown(self) -> None:
        """Take no more workflows."""
        self._is_open = False

    def __enter__(self) -> DefaultRunner:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.shutdown()

    def register_cron_workflow(self, workflow_name: str, cron: str, tz: str = "UTC") -> NoReturn:
        """Refused: nothing here starts workflows by the clock.

        Raises:
            NodelingError: Always.
        """
        raise NodelingError(
            f"{workflow_name!r} is not registered for {cron!r}: there is no scheduler yet",
            code="cloacina.no_scheduler",
            hint="start it from cron or a systemd timer: a program that calls `execute`",
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Say of what Cloacina's runner has, and this one has not, why."""
        if "cron" in name and not name.startswith("_"):
            raise NodelingError(
                f"{name}: there is no scheduler yet, and so there are no schedules",
                code="cloacina.no_scheduler",
                hint="start the workflow from cron or a systemd timer: a program that calls `execute`",
            )
        raise AttributeError(f"a runner has no {name!r}", name=name, obj=self)


class _Callbacks:
    """Tells tasks' callbacks of their ends. One that fails is logged and changes nothing."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self._tasks = {task.spec.id: task for task in tasks}

    def hear(self, event: Mapping[str, Any]) -> None:
        task = self._tasks.get(str(event.get("name"))) if event["event"] == "step.finished" else None
        if task is None:
            return
        if event["status"] == "succeeded" and task.on_success is not None:
            output = event.get("output") or {}
            self._call(task, task.on_success, Context(output.get("context")))
        elif event["status"] == "failed" and task.on_failure is not None:
            error = event.get("error") or {}
            self._call(task, task.on_failure, error.get("message"), Context())

    def _call(self, task: Task, callback: Callable[..., Any], *more: Any) -> None:
        try:
            callback(task.spec.id, *more)
        except Exception:  # somebody else's code: named, with its traceback
            _LOG.exception("a callback of task %s failed", task.spec.id)


def _outcome(result: RunResult, workflow: Workflow, given: Context, began: datetime) -> WorkflowResult:
    tasks = {
        name: TaskOutcome(_word(step.status), step.attempts, (step.error or {}).get("message"))
        for name, step in result.steps.items()
    }
    failed = [f"{name}: {task.error_message}" for name, task in tasks.items() if task.status == "Failed"]
    ended = result.status == "succeeded" and not failed
    said = None if ended else "; ".join(failed) or (result.error or {}).get("message", result.status)
    return WorkflowResult(
        "Completed" if ended else "Failed",
        began,
        datetime.now(UTC),
        _final(result, workflow, given),
        said,
        result.run_id,
        tasks,
    )


def _final(result: RunResult, workflow: Workflow, given: Context) -> Context:
    """What the last tasks of every branch left, as one: no leaf's results are lost."""
    outputs = {name: step.output for name, step in result.steps.items() if step.status == "succeeded"}
    followed = {name for task in workflow.tasks if task.spec.id in outputs for name in task.spec.dependencies}
    tips = sorted((outputs[name] for name in outputs.keys() - followed), key=lambda one: one["ended"])
    return Context(merged(one["context"] for one in tips) if tips else given.to_dict())


def _word(status: str) -> str:
    return {"succeeded": "Completed", "failed": "Failed", "skipped": "Skipped"}.get(
        status, status.capitalize()
    )


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{round(value * 1_000)}ms"


def _store_of(url: Any) -> str | None:
    if url in _MEMORY:
        return None
    if not isinstance(url, str) or not url.startswith(("sqlite://", "postgresql://", "postgres://")):
        raise ConfigError(
            f"{url!r} is no place for runs",
            code="cloacina.url",
            hint="sqlite://:memory:, sqlite:///FILE, postgresql://…",
        )
    return str(url)
