"""Write variables of the context."""

from __future__ import annotations

from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Set, then delete; later steps see it when this one succeeds."""
    given: dict[str, Any] = inputs.get("set", {})
    for name, value in given.items():
        ctx.set(name, value)
    for name in inputs.get("delete", ()):
        ctx.delete(name)
    return given
