"""Fail, stop or abort what this step stands in."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Say what is to end, and end with it."""
    action, target = inputs["action"], inputs.get("target", "parent")
    message = inputs.get("message")
    if target != "self":
        ctx.end_scope(action, target)
    if action == "fail":
        raise NodeError(message or "failed on purpose", code=inputs.get("code", 4000), retryable=False)
    return {"action": action, "target": target, "message": message}
