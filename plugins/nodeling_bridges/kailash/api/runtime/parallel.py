"""The runtime that says how many workers it has."""

from __future__ import annotations

from typing import Any

from nodeling_bridges.kailash.api.runtime.local import Parameters, Results, Runtime
from nodeling_bridges.kailash.api.runtime.results import results_of
from nodeling_bridges.kailash.api.workflow.graph import Workflow

__all__ = ["ParallelRuntime"]


class ParallelRuntime(Runtime):
    """Runs at most `max_workers` nodes at once, and exactly so many when there are enough."""

    def __init__(self, max_workers: int = 8, **options: Any) -> None:
        super().__init__(**{"max_concurrency": max_workers, **options})

    async def execute(
        self, workflow: Workflow, parameters: Parameters | None = None, *, time_limit: float | None = None
    ) -> Results:
        """Run to the end, and return every node's outputs and the run's id.

        Args:
            workflow: The workflow.
            parameters: Values by node and parameter, or by parameter alone.
            time_limit: Seconds after which the run is ended; whatever has a process is killed.

        Raises:
            ConfigError: The workflow or the parameters have faults.
            WorkflowExecutionError: A node failed, and nothing dealt with it, or the time was over.
        """
        prepared, options = self.prepare(workflow, parameters)
        if time_limit is not None:
            options["timeout"] = time_limit
        with self.judging(workflow, prepared) as heard:
            result = await prepared.native.arun(options.pop("inputs"), **options)
            heard.append(result)
        return results_of(result, prepared.kinds), result.run_id
