"""Calls that cross into another process: warm ones of every size, blobs, and whole workflows of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from benchmarks.c_echo import CEcho
from benchmarks.comparisons.stage import Stage, timed
from benchmarks.figures import OURS, Group
from benchmarks.mcp_peer import McpSession
from benchmarks.raw_pipe import RawPipe
from benchmarks.shapes import LENGTH, NODES, WIDTH, chain, fan, loaded, runner
from benchmarks.transport import rows_of, transport
from benchmarks.turns import Contestant

from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded, registry_for
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.registry import NodeSpec

AT_ONCE = 32
STEPS = 50
MCP_CALLS = 40
MCP_LARGEST = 10_000  # beyond it a call takes seconds
# The name of a size, its bytes, the calls of a turn one by one, and at once.
SIZES = (
    ("200 B", 200, 300, 1_000),
    ("10 KB", 10_000, 100, 320),
    ("1 MB", 1_000_000, 3, 32),
    ("10 MB", 10_000_000, 1, 32),
)
RAW = "raw pipe, same worker"
FLOOR = "raw pipe, echo in C"
BIG_ROWS = 220_000  # 10 MB of records
LARGEST_WARM_UP = 100_000_000  # bytes of a turn
SIZE_SECONDS = 4.0  # for each size and way


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    return [
        *await _calls(stage),
        await _workflows(stage, "fan"),
        await _workflows(stage, "chain"),
        await _forwarded(stage),
    ]


async def _calls(stage: Stage) -> list[Group]:
    spec = registry_for(NODES, [NODES], installed=True).find("echo-worker")
    if not isinstance(spec, NodeSpec):
        raise SystemExit(str(spec))
    # One process for all callers, as every other contestant has.
    echo, raw, dispatcher = CEcho(), RawPipe(spec), WorkerDispatcher(Bounds(most_workers=1))
    found = []
    mcp = McpSession.started(stage)
    try:
        for name, size, count, many in SIZES:
            rows = rows_of(size)
            for at_once, calls in ((1, count), (AT_ONCE, many)):
                stage.say(f"warm calls of {name}, {at_once} in flight")
                contestants = _contestants(echo, raw, dispatcher, spec, rows, calls, at_once)
                if size <= MCP_LARGEST and at_once == 1:
                    contestants[f"{OURS}, whole call"] = _steps(STEPS, rows)
                if mcp is not None and size <= MCP_LARGEST:
                    contestants[mcp.label] = mcp.contestant(rows, MCP_CALLS, at_once)
                # The largest take so long that nothing of the first one is seen in them.
                warm_up = size * calls < LARGEST_WARM_UP
                times = await stage.contest(contestants, SIZE_SECONDS, warm_up=warm_up)
                way = "one at a time" if at_once == 1 else f"{AT_ONCE} in flight"
                base = RAW if at_once == 1 else FLOOR
                what = f"an echo of {name} in a warm process, {way}"
                found.append(
                    Group.of(
                        f"call {name} x{at_once}",
                        f"Warm calls, {name}, {way}",
                        what,
                        "us a call",
                        base,
                        times,
                    )
                )
    finally:
        echo.close()
        raw.close()
        if mcp is not None:
            mcp.close()
        await dispatcher.close()
    return found


def _contestants(
    echo: CEcho,
    raw: RawPipe,
    dispatcher: WorkerDispatcher,
    spec: NodeSpec,
    rows: Any,
    calls: int,
    at_once: int,
) -> dict[str, Contestant]:
    inputs = {"rows": rows}

    async def floor() -> float:
        return echo.measured(inputs, calls, at_once)

    async def same_worker() -> float:
        began = time.perf_counter()
        for _ in range(calls):
            raw.call(inputs)
        return (time.perf_counter() - began) / calls * 1e6

    found: dict[str, Contestant] = {FLOOR: floor}
    if at_once == 1:
        found[RAW] = same_worker
    found[f"{OURS}, transport"] = lambda: transport(dispatcher, spec, inputs, calls, at_once)
    return found


def _steps(length: int, rows: Any) -> Contestant:
    """A whole call: a step of a chain, schemas checked, a timeout armed, events told to a listener."""
    steps = [
        {
            "name": f"n{i}",
            "node": "echo-worker",
            "inputs": {"rows": f"${{steps.n{i - 1}.output.rows}}" if i else "${ctx.request.body.rows}"},
            "timeout": "30s",
        }
        for i in range(length)
    ]
    workflow = loaded({"name": "chain", "steps": steps})

    async def turn() -> float:
        options = run_options({"inputs": {"rows": rows}})
        events: list[Any] = []
        options.listeners.append(events.append)
        began = time.perf_counter()
        outcome = await execute(workflow, options)
        took = time.perf_counter() - began
        if outcome.status != "succeeded" or len(events) < 2 * length:
            raise RuntimeError(f"{outcome.status}: {outcome.error}")
        return took / length * 1e6

    return turn


async def _workflows(stage: Stage, work: str) -> Group:
    stage.say(f"{work} of {WIDTH} to a warm worker")
    make: dict[str, Callable[[], Loaded]] = {
        "fan": lambda: fan("add-worker", WIDTH, 1),  # one at once: one process, as execnet's gateway is
        "chain": lambda: chain(LENGTH, "add-worker"),
    }
    rivals = {name: turn for name, turn in stage.rivals(work, WIDTH).items() if name.startswith("execnet")}
    contestants = {OURS: timed(runner(make[work]())), **rivals}
    base = next(iter(rivals), OURS)
    title = f"{'Fan-out' if work == 'fan' else 'Chain'} of {WIDTH} to a warm worker"
    what = f"a {work} of {WIDTH} trivial nodes in one warm Python process"
    times = await stage.contest(contestants)
    return Group.of(f"worker {work}", title, what, "us a node", base, times, 1e6 / WIDTH)


async def _forwarded(stage: Stage) -> Group:
    stage.say("10 MB from worker to worker")
    steps = [
        {"name": "make", "node": "make-rows", "inputs": {"count": "${ctx.request.body}"}},
        {"name": "count", "node": "count-rows", "inputs": {"rows": "${steps.make.output}"}},
    ]
    workflow = loaded({"name": "forward", "steps": steps})
    rows = [{"id": i, "name": f"row {i}", "ok": True} for i in range(BIG_ROWS)]
    data = orjson.dumps(rows)

    async def forward() -> float:
        began = time.process_time()
        await runner(workflow, BIG_ROWS)()
        return time.process_time() - began

    async def decode_and_encode() -> float:
        began = time.process_time()
        if len(orjson.dumps(orjson.loads(data))) != len(data):
            raise RuntimeError("something was lost")
        return time.process_time() - began

    base = "decode and encode"
    contestants: dict[str, Contestant] = {base: decode_and_encode, f"{OURS}, as a blob": forward}
    what = (
        f"the host's own processor time for {len(data) / 1e6:.0f} MB that one worker makes and another takes"
    )
    times = await stage.contest(contestants, SIZE_SECONDS)
    return Group.of("forward", "10 MB from worker to worker", what, "ms", base, times, 1e3)
