"""A recipe as a step of another."""

from __future__ import annotations

from typing import Any

from nodeling import Context, Flow, FlowNode, Start
from nodeling.flow import outcome_of

AROUND = "$context"
STEPS = "recipe.steps"  # outputs stay with their recipe; only what was written leaves it


class Recipe(FlowNode):
    """Gives the other recipe's output; its writes become this one's."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run the recipe."""
        outputs = set(ctx.get(STEPS, ()))
        seen = {key: ctx.vars[key] for key in ctx.vars if key not in outputs}
        body = {**inputs.get("params", {}), AROUND: seen}
        run = await flow.start(Start(inputs["recipe"], inputs=body)).wait()
        output = outcome_of(run, unread=True)
        left = flow.evaluate(inputs["left"], after=[run]) if "left" in inputs else {}
        own = {"recipe.name", "recipe.version", *left.get(STEPS, ()), STEPS}
        for key, value in left.items():
            if key not in own and (key not in seen or seen[key] != value):
                ctx.set(key, value)
        return output
