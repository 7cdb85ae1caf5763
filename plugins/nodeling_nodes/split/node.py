"""Cut a list or a text into parts; joined, the parts are what was cut."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

from nodeling import Context, NodeError

MAX_PARTS = 100_000


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Find where to cut, and cut."""
    value = inputs["value"]
    if "separator" in inputs:
        if not isinstance(value, str):
            raise NodeError("only a text is cut by a `separator`", code=4001, retryable=False)
        parts: list[Any] = value.split(inputs["separator"])
    else:
        parts = [value[start:end] for start, end in pairwise(_cuts(len(value), inputs))]
    if len(parts) > MAX_PARTS:
        raise NodeError(f"{len(parts)} parts are more than {MAX_PARTS}", code=4005, retryable=False)
    return {"parts": parts, "count": len(parts), "total": sum(map(len, parts))}


def _cuts(length: int, inputs: dict[str, Any]) -> list[int]:
    """Where the parts begin, and where the last one ends."""
    if "size" in inputs:
        return [*range(0, length, inputs["size"]), length]
    if "parts" in inputs:
        count = min(inputs["parts"], length)
        small, rest = divmod(length, count) if count else (0, 0)
        return [0, *accumulate(small + (i < rest) for i in range(count))]
    shares = inputs["shares"]
    whole = sum(shares)
    if whole <= 0:
        raise NodeError("the `shares` add up to nothing", code=4001, retryable=False)
    return [0, *(round(length * sofar / whole) for sofar in accumulate(shares))]
