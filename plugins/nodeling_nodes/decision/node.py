"""Ask a question once."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Give the answer as true, false or null, and as 1, 0 or null."""
    asked = inputs["condition"]
    answer = None if asked is None else bool(asked)
    word = "unknown" if answer is None else str(answer).lower()
    if inputs.get("fail_when") == word:
        raise NodeError(f"the answer is {word}", retryable=False)
    return {"condition": answer, "value": None if answer is None else int(answer)}
