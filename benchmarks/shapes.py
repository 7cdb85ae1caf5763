"""The workloads, each twice: as a workflow of nodeling and as bare asyncio.

Both sides of a pair run the same coroutine the same number of times under the same bound. What the pair
does not share is what a runtime is for: schemas checked in and out, a timeout on every call, a context
snapshot, statuses, measured times. Nothing is kept on disk on either side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeling import NodeDefinition, node
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.options import run_options

NODES = Path(__file__).with_name("nodes")
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


@node(name="doze-on-a-thread")
def doze_on_a_thread(value: int) -> int:
    """The same in a function that blocks, so that it gets a thread."""
    time.sleep(SLEEP_SECONDS)
    return value


def shapes() -> list[Shape]:
    """Every workload, its workflow loaded and checked once."""
    return [
        Shape(
            "fan-out",
            f"{WIDTH} trivial async nodes in one `parallel`, {WIDTH} at once",
            WIDTH,
            runner(fan(add_one, WIDTH, WIDTH)),
            lambda: _bare_fan(add_one, WIDTH, WIDTH),
        ),
        Shape(
            "chain",
            f"{LENGTH} trivial async nodes, each fed by the one before",
            LENGTH,
            runner(chain(LENGTH)),
            _bare_chain,
        ),
        Shape(
            "sleeps",
            f"{SLEEPS} sleeps of {SLEEP_SECONDS * 1_000:.0f} ms, {SLEEPERS_AT_ONCE} at once",
            SLEEPS,
            runner(fan(doze, SLEEPS, SLEEPERS_AT_ONCE)),
            lambda: _bare_fan(doze, SLEEPS, SLEEPERS_AT_ONCE),
            SLEEPS / SLEEPERS_AT_ONCE * SLEEP_SECONDS * 1_000,
        ),
    ]


# -- the workflows


def loaded(document: dict[str, Any]) -> Loaded:
    """A workflow of these nodes and of the ones in `nodes/`, checked."""
    definitions: dict[str, NodeDefinition] = {one.name: one for one in (add_one, doze, doze_on_a_thread)}
    found = load(from_data(document, document["name"]), base=NODES, folders=[NODES], definitions=definitions)
    found.ready()
    return found


def runner(workflow: Loaded, inputs: Any = None) -> Run:
    """Runs it once, and insists that it succeeds."""

    async def once() -> None:
        outcome = await execute(workflow, run_options({"inputs": inputs}))
        if outcome.status != "succeeded":
            raise RuntimeError(f"{outcome.workflow} {outcome.status}: {outcome.error}")

    return once


def fan(target: NodeDefinition | str, width: int, at_once: int) -> Loaded:
    """One `parallel` of `width` children."""
    name = _name(target)
    children = [{"name": f"n{i}", "node": name, "inputs": {"value": i}} for i in range(width)]
    execution = {"max_concurrent": at_once, "timeout": TIMEOUT_MS}
    step = {"name": "all", "node": "parallel", "execution": execution, "nodes": children}
    return loaded({"name": "fan-out", "steps": [step]})


def each(at_once: int) -> Loaded:
    """One `for-each` over the numbers in the request."""
    child = {"name": "one", "node": add_one.name, "inputs": {"value": "${item}"}, "timeout": TIMEOUT_MS}
    step = {
        "name": "all",
        "node": "for-each",
        "in": "${ctx.request.body}",
        "max_concurrent": at_once,
        "do": child,
    }
    return loaded({"name": "each", "steps": [step]})


def chain(length: int, target: NodeDefinition | str = "add-one") -> Loaded:
    """Steps that each take the output of the one before."""
    steps = [
        {
            "name": f"n{i}",
            "node": _name(target),
            "inputs": {"value": f"${{steps.n{i - 1}.output}}" if i else 0},
            "timeout": TIMEOUT_MS,
        }
        for i in range(length)
    ]
    return loaded({"name": "chain", "steps": steps})


def lattice(side: int) -> Loaded:
    """A square of steps, each of which waits for the one to its left and the one above it."""
    steps = []
    for row in range(side):
        for column in range(side):
            above = [f"n{row - 1}_{column}"] if row else []
            left = [f"n{row}_{column - 1}"] if column else []
            value = f"${{steps.{(above + left)[0]}.output}}" if above + left else 0
            steps.append(
                {
                    "name": f"n{row}_{column}",
                    "node": add_one.name,
                    "needs": above + left,
                    "inputs": {"value": value},
                    "timeout": TIMEOUT_MS,
                }
            )
    return loaded({"name": "lattice", "steps": steps})


def _name(target: NodeDefinition | str) -> str:
    return target if isinstance(target, str) else target.name


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
