"""The workloads, each twice: as a workflow of nodeling and as bare asyncio.

Both sides of a pair run the same coroutine the same number of times under the same bound. What the pair
does not share is what a runtime is for: schemas checked in and out, a timeout on every call, a context
snapshot, statuses, measured times. Nothing is kept on disk on either side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nodeling import NodeDefinition, node
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.options import run_options

TIMEOUT_MS = 30_000
WIDTH = 100
LENGTH = 100
SLEEPS = 10
SLEEP_SECONDS = 0.1
SLEEPERS_AT_ONCE = 5

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Shape:
    """One workload: its two sides, what they do, and how long the work itself takes at least."""

    name: str
    what: str
    calls: int
    engine: Run
    bare: Run
    floor_ms: float = 0.0


@node(name="add-one")
async def add_one(value: int) -> int:
    """A trivial node, so that what is measured is everything else."""
    return value + 1


@node(name="doze")
async def doze(value: int) -> int:
    """A node that waits as long as a quick service would take to answer."""
    await asyncio.sleep(SLEEP_SECONDS)
    return value


def shapes() -> list[Shape]:
    """Every workload, its workflow loaded and checked once."""
    return [
        Shape(
            "fan-out",
            f"{WIDTH} trivial async nodes in one `parallel`, {WIDTH} at once",
            WIDTH,
            _runner(_fan(add_one, WIDTH, WIDTH)),
            lambda: _bare_fan(add_one, WIDTH, WIDTH),
        ),
        Shape(
            "chain",
            f"{LENGTH} trivial async nodes, each fed by the one before",
            LENGTH,
            _runner(_chain()),
            _bare_chain,
        ),
        Shape(
            "sleeps",
            f"{SLEEPS} sleeps of {SLEEP_SECONDS * 1_000:.0f} ms, {SLEEPERS_AT_ONCE} at once",
            SLEEPS,
            _runner(_fan(doze, SLEEPS, SLEEPERS_AT_ONCE)),
            lambda: _bare_fan(doze, SLEEPS, SLEEPERS_AT_ONCE),
            SLEEPS / SLEEPERS_AT_ONCE * SLEEP_SECONDS * 1_000,
        ),
    ]


# -- the workflows


def _loaded(document: dict[str, Any]) -> Loaded:
    definitions: dict[str, NodeDefinition] = {one.name: one for one in (add_one, doze)}
    loaded = load(from_data(document, document["name"]), definitions=definitions)
    loaded.ready()
    return loaded


def _runner(loaded: Loaded) -> Run:
    async def once() -> None:
        outcome = await execute(loaded, run_options({}))
        if outcome.status != "succeeded":
            raise RuntimeError(f"{outcome.workflow} {outcome.status}: {outcome.error}")

    return once


def _fan(target: NodeDefinition, width: int, at_once: int) -> Loaded:
    children = [{"name": f"n{i}", "node": target.name, "inputs": {"value": i}} for i in range(width)]
    execution = {"max_concurrent": at_once, "timeout": TIMEOUT_MS}
    step = {"name": "all", "node": "parallel", "execution": execution, "nodes": children}
    return _loaded({"name": "fan-out", "steps": [step]})


def _chain() -> Loaded:
    steps = [
        {
            "name": f"n{i}",
            "node": add_one.name,
            "inputs": {"value": f"${{steps.n{i - 1}.output}}" if i else 0},
            "timeout": TIMEOUT_MS,
        }
        for i in range(LENGTH)
    ]
    return _loaded({"name": "chain", "steps": steps})


# -- the same in bare asyncio


async def _bare_fan(target: NodeDefinition, width: int, at_once: int) -> None:
    permits = asyncio.Semaphore(at_once)

    async def one(value: int) -> int:
        async with permits:
            result: int = await target(value)
            return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(i)) for i in range(width)]
    if len([task.result() for task in tasks]) != width:
        raise RuntimeError("a task gave nothing")


async def _bare_chain() -> None:
    value = 0
    for _ in range(LENGTH):
        value = await asyncio.create_task(add_one(value))
    if value != LENGTH:
        raise RuntimeError("the chain lost a link")
