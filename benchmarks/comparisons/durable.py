"""Runs that are kept: chains and fans on SQLite beside peers and the disk's floor, what the journal costs the
loop, and many runs at once."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from benchmarks.comparisons import journal, many
from benchmarks.comparisons.stage import Stage
from benchmarks.figures import OURS, Group
from benchmarks.shapes import LENGTH, WIDTH, add_one, chain, fan
from benchmarks.turns import Contestant

from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.store.opening import DURABILITIES

KEPT_BUDGET = (
    5.0  # times as many seconds as other contests have: some peers take seconds, and a busy disk many rounds
)
ROW = b'{"kind":"step","path":"n42","status":"succeeded","output":43,"started":1764086400.1}' + b" " * 106


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    return [
        await _kept(stage, "chain", chain(LENGTH), LENGTH),
        await _kept(stage, "fan", fan(add_one, WIDTH, WIDTH), WIDTH),
        await journal.group(stage),
        *many.groups(stage),
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
        times = await stage.contest(contestants, stage.seconds * KEPT_BUDGET)
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
