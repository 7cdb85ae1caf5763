"""Handle a failure where it happens."""

from __future__ import annotations

from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, Start
from nodeling.flow import outcome_of


class Try(FlowNode):
    """Gives the output of `try`, or of `catch` when that had to run."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run `try`, then `catch` when it failed, then `finally`, which a cancel does not pass over."""
        run = flow.start(inputs["try"])
        seen: list[ChildRun] = [run]
        try:
            await run.wait()
            if run.status == "failed" and not run.handled and "catch" in inputs:
                run = flow.start(Start(inputs["catch"], after=seen, error=run.error))
                seen.append(run)
                await run.wait()
        finally:
            if "finally" in inputs:
                last = flow.start(Start(inputs["finally"], after=seen, error=seen[0].error, cleanup=True))
                seen.append(await last.wait())
        flow.adopt(*seen)
        if seen[-1].status == "failed":
            outcome_of(seen[-1])
        return outcome_of(run, unread=True)
