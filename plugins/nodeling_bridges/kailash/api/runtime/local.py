"""Runs workflows on the engine, from ordinary code."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from nodeling.errors import ConfigError
from nodeling.results import RunResult
from nodeling_bridges.kailash.api.runtime.circuit import CircuitBreaker, CircuitBreakerConfig
from nodeling_bridges.kailash.api.runtime.results import results_of
from nodeling_bridges.kailash.api.workflow.graph import Prepared, Workflow, judge
from nodeling_bridges.kailash.draft import suggestion
from nodeling_bridges.kailash.limits import limits_of

__all__ = ["LocalRuntime"]

_LOG = logging.getLogger("nodeling.kailash")
Results = tuple[dict[str, Any], str]
Parameters = Mapping[str, Any]
_OPTIONS = (
    "debug",
    "max_concurrency",
    "conditional_execution",
    "circuit_breaker",
    "store",
    "time_limit",
)
DEFAULT_CONCURRENCY = 10


class Runtime:
    """What all runtimes share: their options, and how a workflow becomes a run."""

    def __init__(self, **options: Any) -> None:
        for key in options:
            if key not in _OPTIONS:
                message = f"{type(self).__name__} has no option {key!r}"
                raise ConfigError(message, code="kailash.option", hint=suggestion(key, _OPTIONS))
        most = options.get("max_concurrency", DEFAULT_CONCURRENCY)
        limits_of({"max_parallel_tasks": most})
        self.max_concurrency: int = most
        self.conditional_execution: str | None = options.get("conditional_execution")
        self.store: Any = options.get("store")
        self.time_limit: float | None = options.get("time_limit")
        if options.get("debug"):
            _LOG.setLevel(logging.DEBUG)
        said = options.get("circuit_breaker")
        self.circuits = None if said is None else CircuitBreaker(CircuitBreakerConfig.of(said))

    def prepare(self, workflow: Workflow, parameters: Parameters | None) -> tuple[Prepared, dict[str, Any]]:
        """The native workflow, and the options of its run.

        Raises:
            ConfigError: It is no workflow, or something is wrong with it or with the parameters.
        """
        judge(
            isinstance(workflow, Workflow),
            f"a runtime runs a Workflow, not {workflow!r:.60}",
            "see `build()`",
        )
        said = f"parameters are a dictionary, by node or by name, not {parameters!r:.60}"
        judge(parameters is None or isinstance(parameters, Mapping), said)
        more: dict[str, Any] = {}
        if self.conditional_execution is not None:
            more["conditional_execution"] = self.conditional_execution
        most = workflow.runtime_config.get("max_parallel_tasks")
        more["max_parallel_tasks"] = self.max_concurrency
        if isinstance(most, int):
            limits_of({"max_parallel_tasks": most})
            more["max_parallel_tasks"] = min(most, self.max_concurrency)
        prepared = workflow.prepare(parameters or {}, **more)
        for note in prepared.notes:
            _LOG.warning("%s: %s", workflow.workflow_id, note)
        options: dict[str, Any] = {"inputs": {}}
        if self.store is not None:
            options["store"] = self.store
        if self.time_limit is not None:
            options["timeout"] = self.time_limit
        return prepared, options

    @contextmanager
    def judging(self, workflow: Workflow, prepared: Prepared) -> Iterator[list[RunResult]]:
        """Cut nodes whose circuit is open out of a run; hear from its result how the others ended."""
        heard: list[RunResult] = []
        circuits, name = self.circuits, workflow.workflow_id
        admitted = [] if circuits is None else _admitted(circuits, name, prepared)
        try:
            yield heard
        finally:
            ended = heard[0].steps if heard else {}
            if circuits is not None:
                for node in admitted:
                    circuits.record(name, node, ended[node].status if node in ended else "cancelled")


def _admitted(circuits: CircuitBreaker, workflow: str, prepared: Prepared) -> list[str]:
    """The nodes that may be called; in the place of the others stands what says why they may not."""
    found = []
    for step in prepared.native.document["steps"]:
        why = circuits.admit(workflow, step["name"])
        if why is None:
            found.append(step["name"])
            continue
        kept = {key: step[key] for key in ("name", "needs", "if", "on_error") if key in step}
        step.clear()
        step.update(kept, node="kailash-circuit", inputs=dict(why))
    return found


class LocalRuntime(Runtime):
    """Runs workflows; nodes that need nothing of one another run at once."""

    def execute(
        self, workflow: Workflow, task_manager: Any = None, parameters: Parameters | None = None
    ) -> Results:
        """Run to the end, and return every node's outputs and the run's id.

        Args:
            workflow: The workflow.
            task_manager: Refused: runs are kept by the runtime's `store`.
            parameters: Values by node and parameter, or by parameter alone.

        Raises:
            ConfigError: The workflow or the parameters have faults.
            WorkflowExecutionError: A node failed, and nothing dealt with it; it holds what the others gave.
        """
        if task_manager is not None:
            message = "there is no task manager; give the runtime a `store`"
            raise ConfigError(message, code="kailash.option")
        prepared, options = self.prepare(workflow, parameters)
        with self.judging(workflow, prepared) as heard:
            result = prepared.native.run(options.pop("inputs"), **options)
            heard.append(result)
        return results_of(result, prepared.kinds), result.run_id

    def __enter__(self) -> LocalRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing stays behind that would have to be closed."""
