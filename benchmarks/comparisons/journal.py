"""What the journal costs the engine's loop: the time of its thread with a journal, less that without one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.comparisons.stage import Stage
from benchmarks.figures import Group
from benchmarks.shapes import LENGTH, WIDTH, add_one, chain, fan
from benchmarks.turns import Contestant

from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.journal import Journal
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import Appended, Claim, RunFilter
from nodeling_runtime.store.writer import Source, Writer

PLAIN, NOTED, KEPT = "nothing kept", "written down", "and waited for"


class _AtOnce(Writer):
    """Keeps whatever is noted at once, and nowhere: what is left is the loop's own part."""

    events = 0

    def fetch(self, source: Source) -> None:
        """Take it, and say that it is kept."""
        batch = source.taken()
        if batch is not None and isinstance(source, Journal):
            self.events += len(batch.facts)
            source.settle(len(batch.facts), Appended(self.events))


async def group(stage: Stage) -> Group:
    """Microseconds an event: written down alone, and with the turns of the loop that wait for a commit."""
    found: dict[str, list[float]] = {}
    for work, workflow in (("chain", chain(LENGTH)), ("fan", fan(add_one, WIDTH, WIDTH))):
        stage.say(f"the journal of a {work} of {LENGTH}")
        found |= await _costs(stage, work, workflow)
    what = (
        "processor time of the loop's thread for each event, beyond that of the same run of which nothing is "
        "kept: as it is written down, and with the turns in which commits are waited for"
    )
    return Group.of("journal", "The journal on the loop", what, "us an event", "", found, 1e6)


async def _costs(stage: Stage, work: str, workflow: Loaded) -> dict[str, list[float]]:
    writer = _AtOnce(MemoryStore())
    keeper = Keeper.open(str(Path(stage.folder) / f"journal-{work}.db"), "off")

    async def plain() -> RunOutcome:
        return await execute(workflow, run_options({}))

    async def noted() -> RunOutcome:
        return await execute(workflow, run_options({}), lambda: Journal(writer, Claim("run", "me", 1)))

    async def kept() -> RunOutcome:
        return await run_durably(keeper, workflow, run_options({}))

    try:
        times = await stage.contest({PLAIN: _thread(plain), NOTED: _thread(noted), KEPT: _thread(kept)})
        (row,) = keeper.store.runs(RunFilter(limit=1))
    finally:
        keeper.close()
        writer.close()
    base = times[PLAIN]
    return {
        f"{work}, {label}": [(a - b) / row.last_seq for a, b in zip(times[label], base, strict=True)]
        for label in (NOTED, KEPT)
    }


def _thread(run: Callable[[], Awaitable[RunOutcome]]) -> Contestant:
    async def turn() -> float:
        began = time.thread_time()
        outcome = await run()
        took = time.thread_time() - began
        if outcome.status != "succeeded":
            raise RuntimeError(f"{outcome.status}: {outcome.error}")
        return took

    return turn
