"""Measures what the engine costs beside bare asyncio: both in one process, taking turns.

    python -m benchmarks.run [--rounds N] [--json FILE]

Taking turns makes the ratio hold on a busy machine: whatever slows one side down slows the other too. The
figures are medians. Loading and checking a document is measured apart and is no part of a run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.shapes import Run, Shape, shapes

ROUNDS = 40
WARM_UP = 5
BUDGET_SECONDS = 30.0  # for one workload; fewer rounds are made when they would take longer


def main(arguments: list[str] | None = None) -> int:
    """Run every workload, print a table, and write the figures when asked to."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each workload (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    given = parser.parse_args(arguments)
    began = time.perf_counter()
    loaded = shapes()
    load_ms = (time.perf_counter() - began) * 1_000
    figures = asyncio.run(_all(loaded, max(1, given.rounds)))
    report = {"machine": _machine(), "load_ms": round(load_ms, 1), "shapes": figures}
    print("\n".join(_table(report)))
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


async def _all(loaded: list[Shape], rounds: int) -> list[dict[str, Any]]:
    return [await _measure(shape, rounds) for shape in loaded]


async def _measure(shape: Shape, rounds: int) -> dict[str, Any]:
    for _ in range(min(WARM_UP, rounds)):
        pair = await _once(shape.engine) + await _once(shape.bare)
    rounds = max(min(rounds, 3), min(rounds, int(BUDGET_SECONDS * 1_000 / pair)))
    engine, bare = [], []
    for turn in range(rounds):
        order = [(shape.engine, engine), (shape.bare, bare)]
        for run, times in order if turn % 2 else reversed(order):
            times.append(await _once(run))
    return _figures(shape, engine, bare)


async def _once(run: Run) -> float:
    gc.collect()  # so that neither side pays for what the other left behind
    began = time.perf_counter()
    await run()
    return (time.perf_counter() - began) * 1_000


def _figures(shape: Shape, engine: list[float], bare: list[float]) -> dict[str, Any]:
    ours, theirs = statistics.median(engine), statistics.median(bare)
    return {
        "name": shape.name,
        "what": shape.what,
        "calls": shape.calls,
        "rounds": len(engine),
        "engine_ms": round(ours, 3),
        "bare_ms": round(theirs, 3),
        "ratio": round(statistics.median(a / b for a, b in zip(engine, bare, strict=True)), 3),
        "engine_per_call_us": round(ours / shape.calls * 1_000, 1),
        "added_per_call_us": round((ours - theirs) / shape.calls * 1_000, 1),
        "floor_ms": shape.floor_ms,
        "engine_times_ms": [round(time_, 3) for time_ in engine],
        "bare_times_ms": [round(time_, 3) for time_ in bare],
    }


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}


def _table(report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    lines = [
        f"Python {machine['python']}, {machine['cpus']} CPUs; "
        f"loading and checking all workflows took {report['load_ms']:.0f} ms",
        "",
        f"{'workload':<10} {'rounds':>6} {'engine':>10} {'asyncio':>10} {'ratio':>7} {'added a call':>13}",
    ]
    lines.extend(
        f"{one['name']:<10} {one['rounds']:>6} {one['engine_ms']:>7.2f} ms {one['bare_ms']:>7.2f} ms "
        f"{one['ratio']:>7.2f} {one['added_per_call_us']:>10.1f} us"
        for one in report["shapes"]
    )
    lines.append("")
    lines.extend(f"{one['name']}: {one['what']}" for one in report["shapes"])
    return lines


if __name__ == "__main__":
    sys.exit(main())
