"""Always says no, to show what a failure does."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict[str, Any]) -> None:
    """Raise an error with a code of its own."""
    raise NodeError(f"{len(inputs['lines'])} lines are too many for me", code=4042, retryable=False)
