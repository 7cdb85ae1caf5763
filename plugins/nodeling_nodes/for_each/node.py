"""Run a child for every item of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.bounded import DEFAULT_CONCURRENCY, Bounded, failed_first


class ForEach(FlowNode):
    """Results in the order of the list; what the children write stays with them."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Start a child for each item, never more at once than the bound."""
        failures: list[ChildRun] = []
        fail_fast = inputs.get("error_handling", "fail-fast") == "fail-fast"

        def stops(run: ChildRun) -> str | None:
            if run.status != "failed" or run.handled:
                return None
            failures.append(run)
            return "fail_fast" if fail_fast else None

        bounded = Bounded(
            flow,
            limit=inputs.get("max_concurrent", DEFAULT_CONCURRENCY),
            timeout_ms=inputs.get("timeout"),
            global_timeout_ms=inputs.get("global_timeout"),
            strategy=inputs.get("strategy", "parallel"),
            stops=stops,
        )
        await bounded.run(_starts(inputs), inputs.get("batch_size"))
        report = bounded.report(unread=True)
        bounded.check_time(report)
        if fail_fast and failures:
            raise failed_first(failures, report)
        bounded.check_successes(report, inputs.get("min_success", 0))
        return report


def _starts(inputs: dict[str, Any]) -> Iterator[Start]:
    items, name, size = inputs["in"], inputs.get("as", "item"), inputs.get("batch")
    if size is not None:
        items = [items[at : at + size] for at in range(0, len(items), size)]
    for index, item in enumerate(items):
        yield Start(inputs["do"], key=index, vars={name: item, "index": index, f"{name}_index": index})
