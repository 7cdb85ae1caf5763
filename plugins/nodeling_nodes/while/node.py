"""Repeat a child while a condition holds."""

from __future__ import annotations

from typing import Any

from nodeling import ChildRun, Context, Flow, FlowNode, NodeError, Start
from nodeling.flow import outcome_of, truth_of

MOST_ITERATIONS = 1_000


class While(FlowNode):
    """Each round sees what the rounds before it wrote."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Ask, run, ask again."""
        most = inputs.get("max_iterations", MOST_ITERATIONS)
        name = inputs.get("as", "iteration")
        last: tuple[ChildRun, ...] = ()
        rounds = 0
        while truth_of(flow.evaluate(inputs["while"], {name: rounds}, last), "`while`"):
            if rounds >= most:
                raise NodeError(
                    f"the condition still holds after {most} rounds",
                    code="container.max_iterations",
                    details={"iterations": rounds},
                )
            run = await flow.start(Start(inputs["do"], key=rounds, vars={name: rounds}, after=last)).wait()
            if run.status in ("failed", "cancelled") and not run.handled:
                outcome_of(run)
            last = (run,)
            rounds += 1
        flow.adopt(*last)
        return {"output": last[0].unread if last else None, "iterations": rounds}
