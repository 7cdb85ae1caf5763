"""Another workflow as one step: it sees its inputs and nothing else, and gives its output."""

from __future__ import annotations

from typing import Any

from nodeling import Context, Flow, FlowNode, Start
from nodeling.flow import outcome_of


class Subworkflow(FlowNode):
    """Gives the included workflow's output."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run the included workflow."""
        run = await flow.start(Start(inputs["workflow"], inputs=inputs.get("inputs"))).wait()
        return outcome_of(run, unread=True)
