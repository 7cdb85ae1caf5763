"""Say which binding is missing."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: Any) -> Any:
    """Fail, naming the session."""
    name = ctx.config.get("session", "?")
    raise NodeError(
        f"the session {name!r} is bound to no node", code=4002, retryable=False, hint=f"--bind {name}=NODE"
    )
