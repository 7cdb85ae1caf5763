"""Choose one list of steps and run it."""

from __future__ import annotations

from typing import Any

from nodeling import Child, Context, Flow, FlowNode, NodeError
from nodeling.flow import outcome_of, truth_of


class IfElse(FlowNode):
    """Gives the chosen branch's output, or null when no branch was chosen."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Ask the conditions in order."""
        branch = _conditions(inputs, flow) if "conditions" in inputs else _plain(inputs, flow)
        if branch is None:
            return None
        run = await flow.start(branch).wait()
        flow.adopt(run)
        return outcome_of(run, unread=True)


def _plain(inputs: dict[str, Any], flow: Flow) -> Child | None:
    holds = truth_of(flow.evaluate(inputs["if"]), "`if`")
    chosen: Child | None = inputs["then"] if holds else inputs.get("else")
    return chosen


def _conditions(inputs: dict[str, Any], flow: Flow) -> Child | None:
    conditions = inputs["conditions"]
    if conditions[0]["type"] != "if":
        raise NodeError("the first condition is an `if`", code=4002, retryable=False)
    if any(entry["type"] == "else" for entry in conditions[:-1]):
        raise NodeError("`else` stands last", code=4002, retryable=False)
    for entry in conditions:
        asked = entry.get("condition")
        if entry["type"] == "else" or asked is None or truth_of(flow.evaluate(asked), "a condition"):
            chosen: Child = entry["steps"]
            return chosen
    return None
