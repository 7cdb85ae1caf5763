"""Count words with code that blocks: a plain function gets a thread of its own."""

from __future__ import annotations

import time

from nodeling import Context, Node


class SlowCount(Node):
    """A class with `handle` is a node too."""

    def handle(self, ctx: Context, inputs: dict[str, list[str]]) -> dict[str, int]:
        """Count words."""
        time.sleep(0.08)
        words = sum(len(line.split()) for line in inputs["lines"])
        ctx.log(f"counted {words} words")
        return {"words": words}
