"""Choose a case by value and run its steps."""

from __future__ import annotations

from typing import Any

from nodeling import Child, Context, Flow, FlowNode
from nodeling.flow import outcome_of
from nodeling.values import equal


class Switch(FlowNode):
    """Gives the chosen case's output, or null when no case fits and there is no default."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Look for the value in the cases, first to last."""
        branch = _chosen(inputs)
        if branch is None:
            return None
        run = await flow.start(branch).wait()
        flow.adopt(run)
        return outcome_of(run, unread=True)


def _chosen(inputs: dict[str, Any]) -> Child | None:
    for case in inputs["cases"]:
        when = case["when"]
        if equal(when, inputs["on"]) or (
            isinstance(when, list) and any(equal(v, inputs["on"]) for v in when)
        ):
            chosen: Child = case["do"]
            return chosen
    return inputs.get("default")
