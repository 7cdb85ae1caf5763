"""What is there before any work is done: cold starts, memory, and a context that nobody reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparisons.stage import Stage, on_all_cores
from benchmarks.figures import OURS, Group
from benchmarks.raw_pipe import RawPipe
from benchmarks.shapes import NODES, TIMEOUT_MS, loaded
from benchmarks.transport import rows_of
from benchmarks.turns import Contestant

from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import registry_for
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.registry import NodeSpec

BARE = "python -c pass"
CHILD_SECONDS = 60.0
BRANCHES = 10
CONTEXTS = (("1 KB", 1_000), ("10 MB", 10_000_000))
PROBE = Path(__file__).parents[1] / "memory_probe.py"


async def groups(stage: Stage) -> list[Group]:
    """Every group of figures of this comparison."""
    with on_all_cores():
        return [await _cold(stage), await _memory(stage), await _context(stage)]


async def _cold(stage: Stage) -> Group:
    stage.say("cold starts")
    trivial = stage.folder / "trivial.json"
    step = {"name": "one", "node": "assign", "inputs": {"set": {"value": 1}}}
    trivial.write_text(json.dumps({"name": "trivial", "steps": [step]}), encoding="utf-8")
    spec = registry_for(NODES, [NODES], installed=True).find("echo-worker")
    if not isinstance(spec, NodeSpec):
        raise SystemExit(str(spec))

    async def worker() -> float:
        began = time.perf_counter()
        started = RawPipe(spec)
        started.call({"rows": []})
        took = time.perf_counter() - began
        started.close()
        return took

    nodectl = [sys.executable, "-m", "nodeling_runtime"]
    contestants: dict[str, Contestant] = {
        BARE: _command([sys.executable, "-c", "pass"]),
        "nodectl --version": _command([*nodectl, "--version"]),
        "nodectl run, one step": _command([*nodectl, "run", str(trivial), "--json"]),
        "a worker's first answer": worker,
    }
    times = await stage.contest(contestants)
    what = "from the start of a process to its end, and of a Python worker to its first answer"
    return Group.of("cold", "Cold start", what, "ms", BARE, times, 1e3)


def _command(argv: Sequence[str]) -> Contestant:
    # An installer leaves bytecode behind, or the first run does: nobody pays for its making again and again.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    async def turn() -> float:
        began = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, timeout=CHILD_SECONDS, check=False, env=env)
        took = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"{argv}: {(done.stderr or done.stdout).decode()}")
        return took

    return turn


async def _memory(stage: Stage) -> Group:
    stage.say("memory")
    done = subprocess.run(
        [sys.executable, PROBE],
        capture_output=True,
        encoding="utf-8",
        timeout=CHILD_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROBE.parents[1])},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    times = {label: [value] for label, value in found.items()}
    what = "an idle worker of a Python node, its share and all that it has mapped; and what the host needs"
    return Group.of("memory", "Memory", what, "MB", "", times)


async def _context(stage: Stage) -> Group:
    stage.say("a context that nobody reads")
    child = [
        {"name": f"n{i}", "node": "add-one", "inputs": {"value": i}, "timeout": TIMEOUT_MS}
        for i in range(BRANCHES)
    ]
    step = {"name": "all", "node": "parallel", "nodes": child}
    workflow = loaded({"name": "context", "steps": [step]})
    contestants = {}
    for name, size in CONTEXTS:
        options = {"inputs": {"rows": rows_of(size)}}

        async def turn(options: dict[str, object] = options) -> float:
            given = run_options(options)  # which checks and encodes it, once for all branches
            began = time.perf_counter()
            outcome = await execute(workflow, given)
            took = time.perf_counter() - began
            if outcome.status != "succeeded":
                raise RuntimeError(f"{outcome.status}: {outcome.error}")
            return took

        contestants[f"{OURS}, {name}"] = turn
    times = await stage.contest(contestants)
    what = f"{BRANCHES} branches of a workflow, each handed a context of that size that it does not read"
    base = f"{OURS}, {CONTEXTS[0][0]}"
    return Group.of("context", "Unread context", what, "us a branch", base, times, 1e6 / BRANCHES)
