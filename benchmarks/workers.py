"""Measures what a warm worker costs beside a raw pipe to it, and beside a tool call of the MCP SDK.

    python -m benchmarks.workers [--rounds N] [--no-mcp] [--json FILE]

Everything is pinned to one core and takes turns, so that the ratios hold on a busy machine: a pipe between
two cores costs whatever the scheduler makes of it. The figures are medians over the rounds. The MCP
SDK is installed into an environment of its own at the first run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.environments import python_with
from benchmarks.raw_pipe import RawPipe
from benchmarks.transport import rows_of, transport
from benchmarks.turns import in_turn, pin

from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded, load, registry_for
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.registry import NodeSpec

ROUNDS = 15
MCP = ("mcp==2.3.0",)
NODES = Path(__file__).with_name("nodes")
SIZES = {"200 B": (200, 400), "10 KB": (10_000, 150), "1 MB": (1_000_000, 4)}  # bytes, calls in a round
STEPS = 50
AT_ONCE = 32
MCP_CALLS = 40
COLD_STARTS = 3


def main(arguments: list[str] | None = None) -> int:
    """Run every pair, print a table, and write the figures when asked to."""
    parser = argparse.ArgumentParser(prog="benchmarks.workers", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each pair (%(default)s)")
    parser.add_argument("--no-mcp", action="store_true", help="leave the MCP SDK out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single time as JSON")
    given = parser.parse_args(arguments)
    pin()
    times = asyncio.run(_all(max(1, given.rounds), not given.no_mcp))
    close_all()
    report = {"rounds": given.rounds, "times_us": times, "ratios": _ratios(times)}
    print("\n".join(_table(report)))
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


async def _all(rounds: int, with_mcp: bool) -> dict[str, dict[str, list[float]]]:
    registry = registry_for(NODES, [NODES], installed=True)
    spec = registry.find("echo-worker")
    if not isinstance(spec, NodeSpec):
        raise SystemExit(str(spec))
    raw, dispatcher = RawPipe(spec), WorkerDispatcher()
    times = {}
    try:
        for name, (size, count) in SIZES.items():
            rows = rows_of(size)
            pair = {
                "raw pipe": lambda rows=rows, count=count: _raw(raw, rows, count),
                "transport": lambda rows=rows, count=count: transport(
                    dispatcher, spec, {"rows": rows}, count
                ),
            }
            if size < max(size for size, _ in SIZES.values()):
                chain = _chain(min(STEPS, count))
                pair["engine"] = lambda rows=rows, chain=chain: _engine(chain, rows)
            times[name] = await in_turn(pair, rounds)
        times["cold start"] = await in_turn(
            {"python -c pass": _bare_python, "worker": lambda: _cold_worker(spec)}, rounds
        )
        if with_mcp:
            times["beside MCP"] = await _beside_mcp(dispatcher, spec, rounds)
    finally:
        raw.close()
        await dispatcher.close()
    return times


# -- the contestants


async def _raw(raw: RawPipe, rows: Any, count: int) -> float:
    inputs = {"rows": rows}
    began = time.perf_counter()
    for _ in range(count):
        raw.call(inputs)
    return (time.perf_counter() - began) / count * 1e6


def _chain(length: int) -> Loaded:
    steps = [
        {
            "name": f"n{i}",
            "node": "echo-worker",
            "inputs": {"rows": f"${{steps.n{i - 1}.output.rows}}" if i else "${ctx.request.body.rows}"},
            "timeout": "30s",
        }
        for i in range(length)
    ]
    loaded = load(from_data({"name": "chain", "steps": steps}, "chain"), base=NODES, folders=[NODES])
    loaded.ready()
    return loaded


async def _engine(loaded: Loaded, rows: Any) -> float:
    options = run_options({"inputs": {"rows": rows}})
    events: list[Any] = []
    options.listeners.append(events.append)
    began = time.perf_counter()
    outcome = await execute(loaded, options)
    took = time.perf_counter() - began
    steps = len(outcome.records)
    if outcome.status != "succeeded" or len(events) < 2 * steps:
        raise RuntimeError(f"{outcome.status}: {outcome.error}")
    return took / steps * 1e6


async def _bare_python() -> float:
    began = time.perf_counter()
    for _ in range(COLD_STARTS):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - began) / COLD_STARTS * 1e6


async def _cold_worker(spec: NodeSpec) -> float:
    took = 0.0
    for _ in range(COLD_STARTS):
        began = time.perf_counter()
        worker = RawPipe(spec)
        worker.call({"rows": []})
        took += time.perf_counter() - began
        worker.close()
    return took / COLD_STARTS * 1e6


# -- the MCP SDK


async def _beside_mcp(dispatcher: WorkerDispatcher, spec: NodeSpec, rounds: int) -> dict[str, list[float]]:
    rows = rows_of(200)
    chain = _chain(STEPS)
    command = [str(python_with("mcp", MCP)), str(Path(__file__).with_name("mcp_client.py")), json.dumps(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:

        async def mcp(at_once: int) -> float:
            if client.stdin is None or client.stdout is None:
                raise RuntimeError("the MCP client has no pipes")
            client.stdin.write(f"{MCP_CALLS} {at_once}\n")
            client.stdin.flush()
            return float(client.stdout.readline())

        try:
            return await in_turn(
                {
                    "MCP, one at a time": lambda: mcp(1),
                    "engine, one at a time": lambda: _engine(chain, rows),
                    "MCP, 32 in flight": lambda: mcp(AT_ONCE),
                    "transport, 32 in flight": lambda: transport(
                        dispatcher, spec, {"rows": rows}, 1000, AT_ONCE
                    ),
                },
                rounds,
            )
        finally:
            if client.stdin is not None:
                client.stdin.close()
            client.wait(20)


# -- the report

PAIRS = (
    ("200 B", "transport", "raw pipe", "at most 2.0"),
    ("10 KB", "transport", "raw pipe", "at most 1.25"),
    ("1 MB", "transport", "raw pipe", "at most 1.1"),
    ("200 B", "engine", "raw pipe", "at most 4"),
    ("10 KB", "engine", "raw pipe", ""),
    ("cold start", "worker", "python -c pass", "at most 2"),
    ("beside MCP", "MCP, one at a time", "engine, one at a time", "at least 20"),
    ("beside MCP", "MCP, 32 in flight", "transport, 32 in flight", "at least 20"),
)


def _ratios(times: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    found = []
    for group, upper, lower, wanted in PAIRS:
        if group not in times:
            continue
        ratios = sorted(a / b for a, b in zip(times[group][upper], times[group][lower], strict=True))
        found.append(
            {
                "what": f"{group}: {upper} / {lower}",
                "median": round(statistics.median(ratios), 2),
                "low": round(ratios[len(ratios) // 4], 2),
                "high": round(ratios[(len(ratios) * 3) // 4], 2),
                "goal": wanted,
            }
        )
    return found


def _table(report: dict[str, Any]) -> list[str]:
    lines = [f"{'':38} {'median us':>10} {'lowest':>10}"]
    for group, contestants in report["times_us"].items():
        for name, times in contestants.items():
            label = f"{group}: {name}"
            lines.append(f"{label:38} {statistics.median(times):10.1f} {min(times):10.1f}")
    lines += ["", f"{'':52} {'ratio':>6} {'middle half':>14}  goal"]
    for one in report["ratios"]:
        spread = f"{one['low']:.2f} .. {one['high']:.2f}"
        lines.append(f"{one['what']:52} {one['median']:6.2f} {spread:>14}  {one['goal']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
