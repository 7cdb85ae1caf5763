"""Many children, many steps: time in proportion, memory bounded, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from nodeling import NodeError, Workflow, node
from probes import Probe

ROUNDS = 10
CHILDREN = 10_000
PROBE = Probe()


@node
async def quick(n: int) -> int:
    """Every 50th fails, every 500th overstays its timeout."""
    with PROBE:
        if n % 500 == 7:
            await asyncio.sleep(60)
        if n % 50 == 3:
            raise NodeError("refused", code=4200)
        if n % 10 == 1:
            await asyncio.sleep(0)
        return n


@node
def quick_on_a_thread(n: int) -> int:
    with PROBE:
        if n % 50 == 3:
            raise NodeError("refused", code=4200)
        return n


def rounds(target: str) -> Workflow:
    workflow = Workflow("rounds")
    workflow.definitions |= {"quick": quick, "quick-on-a-thread": quick_on_a_thread}
    workflow.step(
        "each",
        "for-each",
        in_="${ctx.request.body}",
        max_concurrent=20,
        error_handling="continue-partial",
        do={"name": "one", "node": target, "timeout": 250, "inputs": {"n": "${item}"}},
    )
    return workflow


def figures() -> tuple[int, int, int]:
    gc.collect()
    process = psutil.Process()
    return threading.active_count(), process.num_fds(), process.memory_info().rss


def settled(wanted: tuple[int, int]) -> tuple[int, int]:
    """Threads and descriptors, once those of the last run have had the time to go."""
    until = time.monotonic() + 15
    found = figures()[:2]
    while (found[0] > wanted[0] or found[1] > wanted[1]) and time.monotonic() < until:
        threading.Event().wait(0.05)
        found = figures()[:2]
    return found


@pytest.mark.parametrize(("target", "count"), [("quick", CHILDREN), ("quick-on-a-thread", 500)])
def test_a_hundred_thousand_children_leave_nothing_behind(target: str, count: int) -> None:
    workflow = rounds(target)
    items = list(range(count))
    before = figures()[:2]
    memory = []
    for _ in range(ROUNDS):
        PROBE.__init__()  # type: ignore[misc]
        result = workflow.run(items)
        info = result.output["execution_info"]
        timed_out = count // 500 if target == "quick" else 0
        assert info["total"] == count
        # A machine that stood still for a quarter of a second times out some that would have done well.
        assert timed_out <= info["timed_out"] <= timed_out + count // 50
        assert info["failed"] - info["timed_out"] <= count // 50
        assert info["completed"] == count - info["failed"]
        assert info["leaked"] == 0
        assert info["failed"] >= count // 50 + timed_out
        # A stall between the start of one and its first line times it out uncounted.
        assert count - (info["timed_out"] - timed_out) <= PROBE.entries <= count
        assert PROBE.inside == 0
        assert PROBE.peak <= info["concurrent_peak"] <= 20
        if target == "quick":
            assert PROBE.peak == info["concurrent_peak"]
        del result, info
        memory.append(figures()[2])
    assert settled(before) <= before
    first, last = max(memory[1:4]), min(memory[-3:])
    assert last < first * 1.25 + 16 * 2**20, [round(rss / 2**20) for rss in memory]


def test_no_task_outlives_its_run() -> None:
    async def several() -> int:
        for _ in range(3):
            await rounds("quick").arun(list(range(1_000)))
        return len(asyncio.all_tasks())

    assert asyncio.run(several()) == 1


LONG = """
import json, re, sys, time
from pathlib import Path
from nodeling import Workflow, node

@node
async def one(n: int) -> int:
    return n + 1

count = 10_000
workflow = Workflow("long")
workflow.definitions["one"] = one
if sys.argv[1] == "chain":
    workflow.document["steps"] = [
        {"name": f"s{i}", "node": "one", "inputs": {"n": "${steps.s%d.output}" % (i - 1) if i else 0}}
        for i in range(count)
    ]
else:
    workflow.step(
        "each", "for-each", in_="${ctx.request.body}", max_concurrent=50,
        do={"name": "one", "node": "one", "inputs": {"n": "${item}"}},
    )
began = time.process_time()
faults = workflow.check()
checked = time.process_time() - began
began = time.perf_counter()
result = workflow.run(list(range(count)))
ran = time.perf_counter() - began
last = result.output if sys.argv[1] == "chain" else result.output["results"][-1]
# Not ru_maxrss, in which a program inherits the peak of the one that started it.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps([len(faults), checked, ran, result.status, last, peak]))
"""


@pytest.mark.parametrize("shape", ["chain", "for-each"])
def test_ten_thousand_steps_are_checked_and_run_within_their_means(tmp_path: Path, shape: str) -> None:
    script = tmp_path / "long.py"
    script.write_text(textwrap.dedent(LONG), encoding="utf-8")
    began = cpu_of_children()
    done = subprocess.run(
        [sys.executable, str(script), shape],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=dict(os.environ),
    )
    faults, checked, ran, status, last, peak_mib = json.loads(done.stdout)
    assert (faults, status, last) == (0, "succeeded", 10_000)
    assert done.stderr == ""
    assert peak_mib < 400
    assert cpu_of_children() - began < 20
    # The process's own time: two seconds on a quiet machine are promised, twice that is left for a slow one.
    assert checked < 4
    assert ran < 20


def cpu_of_children() -> float:
    times: Any = os.times()
    return float(times.children_user + times.children_system)
