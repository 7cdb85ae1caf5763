"""Prints what idle workers and running children need in memory, as JSON: a process of its own, so that
nothing else is counted."""

from __future__ import annotations

import asyncio
import gc
import json
import statistics

import psutil
from benchmarks.shapes import SLEEPERS_AT_ONCE, SLEEPS, fan, loaded, runner

from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.options import run_options

CHILDREN = 1_000


def main() -> None:
    """Measure both, and print them."""
    figures = asyncio.run(_workers())
    figures |= asyncio.run(_children())
    print(json.dumps(figures))


async def _workers() -> dict[str, float]:
    await runner(fan("doze-worker", SLEEPS, SLEEPERS_AT_ONCE))()
    commands = ((one, " ".join(one.cmdline())) for one in psutil.Process().children(recursive=True))
    found = [one.memory_full_info() for one, command in commands if "nodeling.worker" in command]
    close_all()
    if not found:
        raise RuntimeError("no worker is left after the run")
    return {
        "an idle worker, proportional": statistics.median(one.pss for one in found) / 1e6,
        "an idle worker, resident": statistics.median(one.rss for one in found) / 1e6,
    }


async def _children() -> dict[str, float]:
    child = {"name": "one", "node": "doze", "inputs": {"value": "${item}"}}
    step = {
        "name": "all",
        "node": "for-each",
        "in": "${ctx.request.body}",
        "max_concurrent": CHILDREN,
        "do": child,
    }
    workflow = loaded({"name": "children", "steps": [step]})
    await execute(workflow, run_options({"inputs": [1]}))
    gc.collect()
    process, most = psutil.Process(), 0
    before = process.memory_info().rss
    running = asyncio.ensure_future(execute(workflow, run_options({"inputs": list(range(CHILDREN))})))
    while not running.done():
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.005)
    if running.result().status != "succeeded":
        raise RuntimeError(running.result().error)
    return {f"{CHILDREN:,} running children": (most - before) / 1e6}


if __name__ == "__main__":
    main()
