"""Many durable runs at once: how fast they are, and that the last ones need no more memory than the first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from benchmarks.comparisons.stage import Stage
from benchmarks.figures import OURS, Group
from benchmarks.shapes import chain
from benchmarks.turns import Contestant

from nodeling_runtime.engine.durable import Keeper
from nodeling_runtime.engine.loaded import Loaded

Durable = Callable[[Keeper, Loaded], Contestant]

STEPS = 5
RUNS_AT_ONCE = 64
MARKS = (1_000, 5_000, 10_000)  # runs after which it is written down how things are
FAST_RUNS = 2_000  # with the weaker durability fewer show its speed


@dataclass(frozen=True, slots=True)
class _Mark:
    """How things are after so many runs."""

    runs: int
    seconds: float
    resident_mb: float


async def groups(stage: Stage, durable: Durable) -> list[Group]:
    """Steps a second, part by part, and the memory at the end of each part."""
    full = await _marks(stage, durable, "full", MARKS)
    (fast,) = await _marks(stage, durable, "fast", (FAST_RUNS,))
    last = full[-1]
    rates = {f"{OURS}, full, all {last.runs:,} runs": [last.runs * STEPS / last.seconds]}
    before = _Mark(0, 0.0, 0.0)
    for mark in full:
        label = f"{OURS}, full, runs {before.runs + 1:,} to {mark.runs:,}"
        rates[label] = [(mark.runs - before.runs) * STEPS / (mark.seconds - before.seconds)]
        before = mark
    rates[f"{OURS}, fast, {fast.runs:,} runs"] = [fast.runs * STEPS / fast.seconds]
    memory = {f"after {mark.runs:,} runs": [mark.resident_mb] for mark in full}
    what = f"runs of {STEPS} trivial steps, {RUNS_AT_ONCE} at once"
    return [
        Group.of("throughput", "Durable throughput", what, "steps/s", next(iter(rates)), rates),
        Group.of(
            "throughput memory",
            "Memory of many runs",
            f"resident memory of the whole process, durability full, {what}",
            "MB",
            next(iter(memory)),
            memory,
        ),
    ]


async def _marks(stage: Stage, durable: Durable, durability: str, marks: tuple[int, ...]) -> list[_Mark]:
    stage.say(f"{marks[-1]:,} runs of {STEPS} steps, durability {durability}")
    keeper = Keeper.open(str(stage.folder / f"many-{durability}.db"), durability)
    try:
        one = durable(keeper, chain(STEPS))
        await one()  # to warm up
        return await _many(one, marks)
    finally:
        keeper.close()


async def _many(one: Contestant, marks: tuple[int, ...]) -> list[_Mark]:
    numbers = iter(range(marks[-1]))
    found: list[_Mark] = []
    done = 0
    began = time.perf_counter()

    async def slot() -> None:
        nonlocal done
        for _ in numbers:
            await one()
            done += 1
            if done in marks:
                found.append(_Mark(done, time.perf_counter() - began, _resident()))

    async with asyncio.TaskGroup() as group:
        for _ in range(RUNS_AT_ONCE):
            group.create_task(slot())
    return found


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
