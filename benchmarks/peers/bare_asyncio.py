"""Bare coroutines: a TaskGroup behind a Semaphore, and tasks awaited one after the other."""

from __future__ import annotations

import asyncio

from answering import SLEEP_SECONDS, SLEEPERS_AT_ONCE, SLEEPS, serve

AT_ONCE = 100


async def add_one(value: int) -> int:
    return value + 1


async def doze(value: int) -> int:
    await asyncio.sleep(SLEEP_SECONDS)
    return value


async def fan(node, width, at_once):
    permits = asyncio.Semaphore(at_once)

    async def one(value):
        async with permits:
            return await node(value)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(i)) for i in range(width)]
    return sum(task.result() for task in tasks)


async def chain(length):
    value = 0
    for _ in range(length):
        value = await asyncio.create_task(add_one(value))
    return value


async def lattice(side):
    """Each node waits for the one to its left and the one above it."""
    tasks = {}

    async def one(row, column):
        above = await tasks[row - 1, column] if row else 0
        left = await tasks[row, column - 1] if column else 0
        return await add_one(max(above, left))

    async with asyncio.TaskGroup() as group:
        for row in range(side):
            for column in range(side):
                tasks[row, column] = group.create_task(one(row, column))
    return tasks[side - 1, side - 1].result()


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        serve(
            {
                "fan": lambda size: runner.run(fan(add_one, size, AT_ONCE)),
                "chain": lambda size: runner.run(chain(size)),
                "lattice": lambda size: runner.run(lattice(size)),
                "sleeps": lambda size: runner.run(fan(doze, SLEEPS, SLEEPERS_AT_ONCE)),
            }
        )
