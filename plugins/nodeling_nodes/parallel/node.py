"""Run children at once, within a bound.

What is decided here: the bound, the groups, and what a failure means. What is not: how a child
starts, ends, is retried, killed or counted. Change the policy to make a container of your own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodeling import Context, Flow, FlowNode, NodeError, Start

DEFAULT_CONCURRENCY = 5


class Parallel(FlowNode):
    """Results in declared order, errors beside them, and the engine's own counts."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Run every child, or as many as the policy lets start."""
        execution: dict[str, Any] = inputs.get("execution") or {}
        children = inputs["nodes"]
        strategy = execution.get("strategy", "parallel")
        fail_fast = execution.get("error_handling", "fail-fast") == "fail-fast"
        limit = 1 if strategy == "sequential" else execution.get("max_concurrent", DEFAULT_CONCURRENCY)
        pool = flow.pool(
            limit=limit, timeout_ms=execution.get("timeout"), deadline_ms=execution.get("global_timeout")
        )
        first_failure: list[Any] = []

        def settled(run: Any) -> None:
            if run.status == "failed" and not run.handled:
                first_failure.append(run)
                if fail_fast:
                    pool.cancel("fail_fast")

        runs = []
        for group in _groups(children, execution.get("batch_size")):
            runs.extend(await pool.run([Start(child) for child in group], settled=settled))
        info = pool.execution_info(strategy)
        report: dict[str, Any] = {"results": [run.output for run in runs], "execution_info": info}
        errors = [run.error for run in runs if run.error is not None]
        if errors:
            report["errors"] = errors
        wanted = execution.get("min_success", 0)
        if pool.expired:
            limit_ms = execution["global_timeout"]
            raise NodeError(
                f"timed out after {limit_ms:.0f} ms",
                code=9005,
                details={"limit": "global_timeout", "limit_ms": limit_ms, **report},
            )
        if fail_fast and first_failure:
            error = first_failure[0].error
            raise NodeError(
                f"{error['node']} failed: {error['message']}", code="container.failed", details={"cause_code": error["code"], **report}
            )
        if info["completed"] < wanted:
            raise NodeError(
                f"{info['completed']} of {info['total']} children succeeded, {wanted} were wanted",
                code="container.min_success",
                details=report,
            )
        flow.adopt(*[run for run in runs if run.status == "succeeded"])
        return report


def _groups(children: list[Any], size: int | None) -> Iterator[list[Any]]:
    step = size or max(len(children), 1)
    for start in range(0, max(len(children), 1), step):
        yield children[start : start + step]
