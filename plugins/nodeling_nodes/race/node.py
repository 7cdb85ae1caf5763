"""Keep the first children that succeed."""

from __future__ import annotations

from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.bounded import DEFAULT_CONCURRENCY, Bounded


class Race(FlowNode):
    """Results in declared order, null for all but the winners; the writes of the winners leave."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Run until enough have succeeded."""
        wanted = inputs.get("min_success", 1)
        winners: list[ChildRun] = []

        def stops(run: ChildRun) -> str | None:
            if run.status == "succeeded" and len(winners) < wanted:
                winners.append(run)
            return "lost_race" if len(winners) >= wanted else None

        bounded = Bounded(
            flow,
            limit=inputs.get("max_concurrent", DEFAULT_CONCURRENCY),
            timeout_ms=inputs.get("timeout"),
            global_timeout_ms=inputs.get("global_timeout"),
            stops=stops,
        )
        runs = await bounded.run(Start(child) for child in inputs["nodes"])
        report = bounded.report(unread=True)
        if runs and len(winners) < wanted:
            bounded.check_time(report)
            bounded.check_successes(report, wanted)
        report["results"] = [run.unread if run in winners else None for run in runs]
        report["winners"] = [run.name for run in winners]
        flow.adopt(*winners)
        return report
