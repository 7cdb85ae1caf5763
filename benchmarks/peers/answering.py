"""How a peer's program talks: `WORK SIZE` in a line, the seconds that it took out in another.

It needs nothing but the standard library, because each peer runs in an environment of its own. What the
peer's libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping

SLEEPS = 10
SLEEP_SECONDS = 0.1
SLEEPERS_AT_ONCE = 5

# Does the work of a size, once.
Work = Callable[[int], object]


def serve(works: Mapping[str, Work]) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(json.dumps({"works": sorted(works)}), file=answers, flush=True)
    for line in sys.stdin:
        name, size = line.split()
        began = time.perf_counter()
        result = works[name](int(size))
        seconds = time.perf_counter() - began
        expected(name, int(size), result)
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


def expected(name: str, size: int, result: object) -> None:
    """Whether the work was done: a fan gives the sum of its children's results, a chain its length."""
    wanted = {"fan": sum(range(1, size + 1)), "chain": size, "sleeps": sum(range(SLEEPS))}
    known = wanted.get(name.removeprefix("durable-"))
    if known is not None and result != known:
        raise RuntimeError(f"{name} of {size} gave {result!r} instead of {known}")
