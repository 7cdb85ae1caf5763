"""The kitchen sink on a loop: what differs when a node's function is async."""

from __future__ import annotations

import asyncio
from typing import Any

from nodeling import Context

from .node import ACTIONS


async def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Do what `inputs.do` says; sleep as coroutines do."""
    if inputs["do"] == "sleep":
        ctx.log("started")
        await asyncio.sleep(inputs["ms"] / 1000)
        return inputs.get("value")
    return ACTIONS[inputs["do"]](ctx, inputs)
