"""Prints how many durable runs went, how fast, and how much memory there was, as JSON: a process of its own,
so that nothing else is counted.

    python -m benchmarks.many_runs FOLDER DURABILITY RUNS…
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import psutil
from benchmarks.shapes import chain

from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.options import run_options

STEPS = 5
RUNS_AT_ONCE = 64


def main(folder: str, durability: str, *marks: str) -> None:
    """Make as many runs as the last mark says, and print one object for each mark."""
    keeper = Keeper.open(str(Path(folder) / f"many-{durability}.db"), durability)
    try:
        found = asyncio.run(_many(keeper, [int(mark) for mark in marks]))
    finally:
        keeper.close()
    print(json.dumps(found))


async def _many(keeper: Keeper, marks: list[int]) -> list[dict[str, float]]:
    workflow = chain(STEPS)
    process = psutil.Process()
    found: list[dict[str, float]] = []
    done = 0

    async def one() -> None:
        outcome = await run_durably(keeper, workflow, run_options({}))
        if outcome.status != "succeeded":
            raise RuntimeError(f"{outcome.status}: {outcome.error}")

    async def slot() -> None:
        nonlocal done
        for _ in numbers:
            await one()
            done += 1
            if done in marks:
                resident = process.memory_info().rss / 1e6
                found.append({"runs": done, "seconds": time.perf_counter() - began, "resident_mb": resident})

    await one()  # to warm up
    numbers = iter(range(marks[-1]))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(RUNS_AT_ONCE):
            group.create_task(slot())
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
