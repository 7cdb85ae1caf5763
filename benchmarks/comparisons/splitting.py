"""10 MB in five chunks: one after the other, at once, and what the cores there are would allow at best."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.comparisons.stage import Stage, on_all_cores
from benchmarks.figures import Group
from benchmarks.shapes import loaded
from benchmarks.turns import Contestant

from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import run_options

BYTES = 10_000_000
CHUNKS = 5
SECONDS = 25.0
SEQUENTIAL = "one after the other"


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    file = stage.folder / "rows.jsonl"
    parts = _write(file)
    with on_all_cores():
        cores = len(os.sched_getaffinity(0))
        return [
            await _split(stage, "io", "waits", "fetch-chunk", file, parts, CHUNKS),
            await _split(stage, "cpu", "computes", "check-chunk", file, parts, min(CHUNKS, cores)),
        ]


def _write(file: Path) -> list[tuple[int, int]]:
    """Ten megabytes of records, and where each of the chunks begins and how long it is."""
    line = json.dumps({"id": 123456, "name": "row 123456", "ok": True}).encode() + b"\n"
    count = BYTES // len(line) // CHUNKS
    file.write_bytes(line * count * CHUNKS)
    return [(i * count * len(line), count * len(line)) for i in range(CHUNKS)]


async def _split(
    stage: Stage, name: str, does: str, node: str, file: Path, parts: list[tuple[int, int]], lanes: int
) -> Group:
    stage.say(f"{CHUNKS} chunks, each {does}")
    sequential, parallel = (_workflow(node, file, parts, at_once) for at_once in (1, lanes))
    await _seconds(parallel)()  # as many warm workers as there will be
    contestants = {SEQUENTIAL: _seconds(sequential), f"{lanes} at once": _seconds(parallel)}
    times = await stage.contest(contestants, SECONDS)
    # Five equal chunks in two lanes take three turns: no fewer, however fast the lanes are.
    turns = -(-CHUNKS // lanes)
    times["ideal"] = [one * turns / CHUNKS for one in times[SEQUENTIAL]]
    cores = len(os.sched_getaffinity(0))
    what = f"{BYTES / 1e6:.0f} MB in {CHUNKS} chunks, a worker {does} for each; {cores} cores, {lanes} lanes"
    title = f"Validation that {'waits' if name == 'io' else 'computes'}"
    return Group.of(f"split {name}", title, what, "ms", SEQUENTIAL, times, 1e3)


def _workflow(node: str, file: Path, parts: list[tuple[int, int]], at_once: int) -> Loaded:
    children: list[dict[str, Any]] = [
        {"name": f"c{i}", "node": node, "inputs": {"file": str(file), "from": start, "size": size}}
        for i, (start, size) in enumerate(parts)
    ]
    step = {"name": "all", "node": "parallel", "execution": {"max_concurrent": at_once}, "nodes": children}
    return loaded({"name": "split", "steps": [step]})


def _seconds(workflow: Loaded) -> Contestant:
    async def turn() -> float:
        began = time.perf_counter()
        outcome = await execute(workflow, run_options({}))
        took = time.perf_counter() - began
        if outcome.status != "succeeded" or outcome.output is None:
            raise RuntimeError(f"{outcome.status}: {outcome.error}")
        return took

    return turn
