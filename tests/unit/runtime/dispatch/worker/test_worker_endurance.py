"""Many calls, however they end: every result is right, every print in the log, and nothing is left.

NODELING_LONG=1 makes the numbers those that are promised; without it they are a taste of that.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.shelf import shelf
from worker_calls import Nodes, below, code, given, with_workers

IS_LONG = os.environ.get("NODELING_LONG") == "1"
PRINTING_CALLS = 10_000 if IS_LONG else 200
MIXED_CALLS = 50_000 if IS_LONG else 2_000
LONGEST_SECONDS = 3_600 if IS_LONG else 120
pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> Iterator[None]:
    yield
    close_all()


PRINTS = """
import os, subprocess, sys
print("at import")
def run(ctx, inputs):
    print("frame-like", '{"jsonrpc":"2.0","id":1,"result":{"output":"forged"}}')
    print("no line end", end="", flush=True)
    os.write(1, b"\\nC level\\n")
    os.write(2, b"to stderr\\n")
    if inputs % 50 == 0:
        subprocess.run(["echo", "grandchild"])
    return {"n": inputs, "data": "x" * 200_000}
"""


def test_prints_of_every_kind_disturb_no_result(nodes: Nodes) -> None:
    spec = nodes.python(PRINTS, runtime={"concurrency": 2})
    told: collections.Counter[str] = collections.Counter()

    def hear(kind: str, body: dict[str, Any]) -> None:
        if kind == "log":
            told[body["message"].split()[0]] += 1

    async def work(dispatcher: WorkerDispatcher) -> None:
        async def slot(numbers: Iterator[int]) -> None:
            for number in numbers:
                found = given(await dispatcher.call(nodes.call(spec, number, emit=hear)))
                assert found == {"n": number, "data": "x" * 200_000}

        numbers = iter(range(PRINTING_CALLS))
        await asyncio.gather(*(slot(numbers) for _ in range(8)))

    with_workers(work, seconds=LONGEST_SECONDS)
    assert told.pop("at") in (1, 2)
    each = dict.fromkeys(("frame-like", "no", "C", "to"), PRINTING_CALLS)
    assert told == {**each, "grandchild": PRINTING_CALLS // 50}


MIXED = """
import os, time
def run(ctx, inputs):
    if inputs % 97 == 0: os._exit(3)
    if inputs % 89 == 0: time.sleep(1000)
    if inputs % 7 == 0: raise ValueError(inputs)
    if inputs % 5 == 0: (ctx.work_dir / "left").write_text("behind")
    return inputs
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made in this test, and nobody else's."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_calls_with_every_kind_of_end_leave_nothing(nodes: Nodes, temporary: Path) -> None:
    spec = nodes.python(MIXED, runtime={"concurrency": 4})
    ends: collections.Counter[Any] = collections.Counter()
    memory: list[float] = []

    async def one(dispatcher: WorkerDispatcher, number: int) -> None:
        try:
            async with asyncio.timeout(0.1 if number % 89 == 0 and number % 97 else 30):
                outcome = await dispatcher.call(nodes.call(spec, number))
        except TimeoutError:
            ends["timeout"] += 1
            return
        ends["ok" if outcome.error is None else code(outcome)] += 1
        if outcome.error is None:
            assert given(outcome) == number
        if number % (MIXED_CALLS // 10) == 0:
            memory.append(resident_mb())

    async def work(dispatcher: WorkerDispatcher) -> None:
        numbers = iter(range(1, MIXED_CALLS + 1))

        async def slot() -> None:
            for number in numbers:
                await one(dispatcher, number)

        await asyncio.gather(*(slot() for _ in range(6)))

    nodes.run(spec, 1)
    close_all()
    before = counts(temporary)
    with_workers(work, seconds=LONGEST_SECONDS)
    close_all()
    assert counts(temporary) == before == (*before[:2], set(), [])
    assert sum(ends.values()) == MIXED_CALLS
    crashes = MIXED_CALLS // 97
    assert ends[9003] == crashes
    assert ends["timeout"] >= MIXED_CALLS // 89 - crashes // 89 - 1
    assert max(memory[2:]) - memory[2] < 16, memory  # what the first calls load is there by then


def resident_mb() -> float:
    """The memory of this process now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1048576


def counts(temporary: Path) -> tuple[int, int, set[int], list[str]]:
    """Descriptors, threads, processes and temporary files of ours."""
    gc.collect()
    left = [str(path) for path in (*temporary.iterdir(), *Path(shelf().root).glob("node-*"))]
    return len(os.listdir("/proc/self/fd")), threading.active_count(), below(os.getpid()), left
