"""Map a list bounded, then reduce what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.bounded import DEFAULT_CONCURRENCY, Bounded, failed_first
from nodeling.flow import outcome_of


class MapReduce(FlowNode):
    """Gives the reduced value beside the results it was made of."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Run `map` for every item; run `reduce` over the results of those that succeeded."""
        fail_fast = inputs.get("error_handling", "fail-fast") == "fail-fast"
        failures: list[ChildRun] = []

        def stops(run: ChildRun) -> str | None:
            if run.status == "failed" and not run.handled:
                failures.append(run)
            return "fail_fast" if failures and fail_fast else None

        bounded = Bounded(
            flow,
            limit=inputs.get("max_concurrent", DEFAULT_CONCURRENCY),
            timeout_ms=inputs.get("timeout"),
            global_timeout_ms=inputs.get("global_timeout"),
            stops=stops,
        )
        await bounded.run(_starts(inputs))
        report = bounded.report()
        bounded.check_time(report)
        if fail_fast and failures:
            raise failed_first(failures, report)
        bounded.check_successes(report, inputs.get("min_success", 0))
        results = [run.output for run in bounded.succeeded()]
        reduced = await flow.start(Start(inputs["reduce"], key="reduce", vars={"results": results})).wait()
        return {"reduced": outcome_of(reduced, unread=True), **report}


def _starts(inputs: dict[str, Any]) -> Iterator[Start]:
    items, name, size = inputs["in"], inputs.get("as", "item"), inputs.get("batch")
    if size is not None:
        items = [items[at : at + size] for at in range(0, len(items), size)]
    for index, item in enumerate(items):
        yield Start(inputs["map"], key=index, vars={name: item, "index": index})
