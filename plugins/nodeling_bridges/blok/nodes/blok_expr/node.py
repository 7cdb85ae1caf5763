"""Gives back its value."""

from __future__ import annotations

from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """The value."""
    return inputs["value"]
