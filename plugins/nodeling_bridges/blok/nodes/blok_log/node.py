"""Logs a line."""

from __future__ import annotations

from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Log the line and give it back."""
    level = inputs.get("level", "info")
    ctx.log(inputs["message"], "warning" if level == "warn" else level, **inputs.get("attrs", {}))
    return {"level": level, "message": inputs["message"]}
