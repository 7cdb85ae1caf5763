"""Count letters, in a coroutine: hundreds of them wait on one thread."""

from __future__ import annotations

import asyncio
from typing import Any

from nodeling import Context


async def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, int]:
    """Count letters."""
    lines = inputs["lines"]
    letters = 0
    for done, line in enumerate(lines, start=1):
        await asyncio.sleep(0.03)
        letters += sum(character.isalpha() for character in line)
        ctx.progress(done, len(lines))
    return {"letters": letters}
