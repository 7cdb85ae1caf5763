"""Run children at once, within a bound.

What is decided here: the bound, the groups, and what a failure means. What is not: how a child
starts, ends, is retried, killed or counted. Change the policy to make a container of your own.
"""

from __future__ import annotations

from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.bounded import DEFAULT_CONCURRENCY, Bounded, failed_first


class Parallel(FlowNode):
    """Results in declared order, errors beside them, and the engine's own counts."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Run every child, or as many as the policy lets start."""
        execution: dict[str, Any] = inputs.get("execution") or {}
        fail_fast = execution.get("error_handling", "fail-fast") == "fail-fast"
        failures: list[ChildRun] = []

        def stops(run: ChildRun) -> str | None:
            if run.status != "failed" or run.handled:
                return None
            failures.append(run)
            return "fail_fast" if fail_fast else None

        bounded = Bounded(
            flow,
            limit=execution.get("max_concurrent", DEFAULT_CONCURRENCY),
            timeout_ms=execution.get("timeout"),
            global_timeout_ms=execution.get("global_timeout"),
            strategy=execution.get("strategy", "parallel"),
            stops=stops,
        )
        await bounded.run([Start(child) for child in inputs["nodes"]], execution.get("batch_size"))
        report = bounded.report(unread=True)
        bounded.check_time(report)
        if fail_fast and failures:
            raise failed_first(failures, report)
        bounded.check_successes(report, execution.get("min_success", 0))
        flow.adopt(*bounded.succeeded())
        return report
