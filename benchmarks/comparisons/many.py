"""Many durable runs at once: how fast they are, and that the last ones need no more memory than the first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.comparisons.stage import Stage
from benchmarks.figures import OURS, Group
from benchmarks.many_runs import RUNS_AT_ONCE, STEPS

MARKS = (1_000, 5_000, 10_000)  # runs after which it is written down how things are
FAST_RUNS = 1_000  # fewer show the speed of the weaker durability
PATIENCE_SECONDS = 600.0
ROOT = Path(__file__).parents[2]


def groups(stage: Stage) -> list[Group]:
    """Steps a second, part by part, and the memory at the end of each part."""
    full = _marks(stage, "full", MARKS)
    (fast,) = _marks(stage, "fast", (FAST_RUNS,))
    last = full[-1]
    rates = {f"{OURS}, full, all {last['runs']:,} runs": [last["runs"] * STEPS / last["seconds"]]}
    for before, mark in zip(({"runs": 0, "seconds": 0.0}, *full), full, strict=False):
        label = f"{OURS}, full, runs {before['runs'] + 1:,} to {mark['runs']:,}"
        rates[label] = [(mark["runs"] - before["runs"]) * STEPS / (mark["seconds"] - before["seconds"])]
    rates[f"{OURS}, fast, {fast['runs']:,} runs"] = [fast["runs"] * STEPS / fast["seconds"]]
    memory = {f"after {mark['runs']:,} runs": [mark["resident_mb"]] for mark in full}
    what = f"runs of {STEPS} trivial steps, {RUNS_AT_ONCE} at once, in a process of their own"
    resident = f"resident memory of the process, durability full: {what}"
    return [
        Group.of("throughput", "Durable throughput", what, "steps/s", next(iter(rates)), rates),
        Group.of("throughput memory", "Memory of many runs", resident, "MB", next(iter(memory)), memory),
    ]


def _marks(stage: Stage, durability: str, marks: tuple[int, ...]) -> list[dict[str, Any]]:
    stage.say(f"{marks[-1]:,} runs of {STEPS} steps, durability {durability}")
    command = [sys.executable, "-m", "benchmarks.many_runs", stage.folder, durability, *map(str, marks)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
