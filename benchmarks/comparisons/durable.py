"""Runs that are kept: chains and fans on SQLite beside peers and the disk's floor, and many runs at once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import psutil
from benchmarks.comparisons.stage import Stage
from benchmarks.figures import OURS, Group
from benchmarks.shapes import LENGTH, WIDTH, add_one, chain, fan
from benchmarks.turns import Contestant

from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.store.opening import DURABILITIES

RUNS = 10_000
STEPS = 5
RUNS_AT_ONCE = 64
THROUGHPUT_BUDGET = 2.5  # times as many seconds as another contest has; then no further run begins
ROW = b'{"kind":"step","path":"n42","status":"succeeded","output":43,"started":1764086400.1}' + b" " * 106


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    return [
        await _kept(stage, "chain", chain(LENGTH), LENGTH),
        await _kept(stage, "fan", fan(add_one, WIDTH, WIDTH), WIDTH),
        *await _throughput(stage),
    ]


async def _kept(stage: Stage, work: str, workflow: Loaded, size: int) -> Group:
    stage.say(f"durable {work} of {size}")
    keepers = {one: Keeper.open(str(stage.folder / f"{work}-{one}.db"), one) for one in DURABILITIES}
    floor = _commits(stage.folder / f"{work}-floor.db", size)
    base = f"{size} commits, FULL"
    contestants: dict[str, Contestant] = {base: floor}
    for durability, keeper in keepers.items():
        contestants[f"{OURS}, {durability}"] = _durable(keeper, workflow)
    contestants |= stage.rivals(f"durable-{work}", size)
    try:
        times = await stage.contest(contestants)
    finally:
        for keeper in keepers.values():
            keeper.close()
    what = f"a {work} of {size} trivial nodes, every step kept on disk"
    return Group.of(f"durable {work}", f"Durable {work} of {size}", what, "ms", base, times, 1e3)


def _durable(keeper: Keeper, workflow: Loaded) -> Contestant:
    async def turn() -> float:
        began = time.perf_counter()
        outcome = await run_durably(keeper, workflow, run_options({}))
        took = time.perf_counter() - began
        if outcome.status != "succeeded":
            raise RuntimeError(f"{outcome.status}: {outcome.error}")
        return took

    return turn


def _commits(path: Path, count: int) -> Contestant:
    """The floor: as many transactions of one small row, each on the disk before the next begins."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB)")

    async def turn() -> float:
        began = time.perf_counter()
        for _ in range(count):
            db.execute("INSERT INTO event (body) VALUES (?)", (ROW,))
        return time.perf_counter() - began

    return turn


# -- many runs


async def _throughput(stage: Stage) -> list[Group]:
    workflow, seconds = chain(STEPS), stage.seconds * THROUGHPUT_BUDGET
    rates: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    for durability in ("full", "fast"):
        stage.say(f"up to {RUNS:,} runs of {STEPS} steps, durability {durability}")
        keeper = Keeper.open(str(stage.folder / f"many-{durability}.db"), durability)
        try:
            rate, runs, grown = await _many(keeper, workflow, seconds)
        finally:
            keeper.close()
        label = f"{OURS}, {durability}, {runs:,} runs"
        rates[label], memory[label] = [rate], [grown]
    what = f"runs of {STEPS} trivial steps, {RUNS_AT_ONCE} at once, for {seconds:.0f} s at most"
    first = next(iter(rates))
    return [
        Group.of("throughput", "Durable throughput", what, "steps/s", first, rates),
        Group.of(
            "throughput memory",
            "Memory of many runs",
            f"resident memory added by {what}",
            "MB",
            first,
            memory,
        ),
    ]


async def _many(keeper: Keeper, workflow: Loaded, seconds: float) -> tuple[float, int, float]:
    """Steps a second, how many runs were made, and the megabytes of memory that they added."""
    await _durable(keeper, workflow)()
    numbers = iter(range(RUNS))
    done = 0
    before = _resident()
    began = time.perf_counter()
    one = _durable(keeper, workflow)

    async def slot() -> None:
        nonlocal done
        for _ in numbers:
            if time.perf_counter() - began > seconds:
                return
            await one()
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(RUNS_AT_ONCE):
            group.create_task(slot())
    took = time.perf_counter() - began
    return done * STEPS / took, done, max(0.0, _resident() - before)


def _resident() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
