"""A scope of steps as one step."""

from __future__ import annotations

from typing import Any

from nodeling import Context, Flow, FlowNode
from nodeling.flow import outcome_of


class Sequence(FlowNode):
    """Gives what the scope gives: the last step's output, or its leaves'."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run the scope."""
        run = await flow.start(inputs["steps"]).wait()
        flow.adopt(run)
        return outcome_of(run, unread=True)
