"""Fails."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Fail; a server's fault may pass, a client's does not."""
    status = inputs.get("code", 500)
    details: dict[str, Any] = {key: inputs[key] for key in ("code", "name", "body") if key in inputs}
    raise NodeError(inputs["message"], details=details, retryable=None if status >= 500 else False)
