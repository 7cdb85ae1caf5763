"""Fail in the place of a node whose circuit is open."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Say which circuit is open, and for how long."""
    raise NodeError(
        f"the circuit of {inputs['node']!r} is open after {inputs['failures']} failures in a row",
        code=5005,
        retryable=False,
        details={"circuit": "open", "wait_ms": inputs["wait_ms"]},
    )
