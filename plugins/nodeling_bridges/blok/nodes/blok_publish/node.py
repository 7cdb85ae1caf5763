"""Writes variables of the context."""

from __future__ import annotations

from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Write each variable."""
    for name, value in inputs["values"].items():
        ctx.set(name, value)
    return inputs.get("gives")
