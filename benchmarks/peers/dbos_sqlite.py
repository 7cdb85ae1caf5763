"""DBOS on SQLite: every step is kept before the next one begins."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve
from dbos import DBOS


@DBOS.step()
async def add_one(value: int) -> int:
    return value + 1


@DBOS.step()
async def doze(value: int) -> int:
    await asyncio.sleep(SLEEP_SECONDS)
    return value


@DBOS.workflow()
async def fan(width: int) -> int:
    return sum(await asyncio.gather(*(add_one(value) for value in range(width))))


@DBOS.workflow()
async def chain(length: int) -> int:
    value = 0
    for _ in range(length):
        value = await add_one(value)
    return value


@DBOS.workflow()
async def sleeps(width: int) -> int:
    permits = asyncio.Semaphore(SLEEPERS_AT_ONCE)

    async def one(value):
        async with permits:
            return await doze(value)

    return sum(await asyncio.gather(*(one(value) for value in range(width))))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="nodeling-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'dbos.sqlite'}"
        DBOS(
            config={
                "name": "benchmarks",
                "system_database_url": url,
                "log_level": "ERROR",
                "run_admin_server": False,
            }
        )
        DBOS.launch()
        try:
            with asyncio.Runner() as runner:
                serve(
                    {
                        "durable-fan": lambda size: runner.run(fan(size)),
                        "durable-chain": lambda size: runner.run(chain(size)),
                        "sleeps": lambda size: runner.run(sleeps(SLEEPS)),
                    }
                )
        finally:
            DBOS.destroy()
