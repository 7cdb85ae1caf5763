"""The kitchen sink's `stream`: a generator is another kind of function, so it is another entry."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> Generator[Any, None, Any]:
    """Yield `n` chunks, each `{"n": i, "text": …}`, and return `returns`."""
    for index in range(inputs.get("n", 0)):
        yield {"n": index, "text": "c" * inputs.get("bytes", 0)}
    return inputs.get("returns")
