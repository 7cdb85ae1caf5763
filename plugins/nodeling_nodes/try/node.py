"""Handle a failure where it happens."""

from __future__ import annotations

from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.flow import outcome_of


class Try(FlowNode):
    """Gives the output of `try`, or of `catch` when that had to run."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run `try`, then `catch` when it failed, then `finally`."""
        run = await flow.start(inputs["try"]).wait()
        seen: list[ChildRun] = [run]
        error = run.error
        if run.status == "failed" and "catch" in inputs:
            run = await flow.start(Start(inputs["catch"], after=seen, error=error)).wait()
            seen.append(run)
        if "finally" in inputs:
            last = await flow.start(Start(inputs["finally"], after=seen, error=error)).wait()
            seen.append(last)
            if last.status == "failed":
                outcome_of(last)
        flow.adopt(*seen)
        return outcome_of(run)
