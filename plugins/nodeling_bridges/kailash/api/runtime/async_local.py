"""Runs workflows on the engine, on the caller's event loop."""

from __future__ import annotations

from typing import Any

from nodeling_bridges.kailash.api.runtime.local import DEFAULT_CONCURRENCY, Parameters, Results, Runtime
from nodeling_bridges.kailash.api.runtime.results import results_of
from nodeling_bridges.kailash.api.workflow.graph import Workflow

__all__ = ["AsyncLocalRuntime"]


class AsyncLocalRuntime(Runtime):
    """The same as `LocalRuntime`, awaited."""

    def __init__(self, max_concurrent_nodes: int = DEFAULT_CONCURRENCY, **options: Any) -> None:
        options.setdefault("max_concurrency", max_concurrent_nodes)
        super().__init__(**options)

    async def execute_workflow_async(self, workflow: Workflow, inputs: Parameters | None = None) -> Results:
        """Run to the end, and return every node's outputs and the run's id.

        Raises:
            ConfigError: The workflow or the inputs have faults.
            WorkflowExecutionError: A node failed, and nothing dealt with it.
        """
        prepared, options = self.prepare(workflow, inputs)
        with self.judging(workflow, prepared) as heard:
            result = await prepared.native.arun(options.pop("inputs"), **options)
            heard.append(result)
        return results_of(result, prepared.kinds), result.run_id
