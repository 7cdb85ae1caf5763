"""What a node costs in Python function calls, on the five paths that most runs take.

Calls are counted, not seconds: a busy machine changes nothing, and a layer, a closure or a lookup that every
node suddenly pays for does. Each bound is what was counted (CPython 3.11, given beside it) and about a tenth
more. Who makes a path cheaper lowers its bound; who has to raise one says in the commit what was bought.
Counted is what 200 nodes more add to a run of 100, in the loop's thread; what a run costs once is left out.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nodeling import node
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.host import execute
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.engine.step import StepJob
from virtual_time import run_virtual

FEW, MANY, VERY_MANY = 100, 300, 1_500
ECHO = "def run(ctx, inputs):\n    return inputs\n"
ECHO_MANIFEST = '{"name": "echo", "runtime": {"type": "runtime.python3"}}'
Way = Callable[[Loaded], Coroutine[Any, Any, RunOutcome]]

# For each path: at most so many calls a node, and how many there were.
BOUNDS = {
    "fan-out": 47,  # 43
    "chain": 68,  # 62
    "for-each": 64,  # 58
    "worker call": 137,  # 124
    "durable chain": 145,  # 131
}


@node(name="add-one")
async def add_one(value: int) -> int:
    """A trivial node, so that what is counted is everything else."""
    return value + 1


def loaded(document: dict[str, Any], folder: Path | None = None) -> Loaded:
    found = load(
        from_data(document, document["name"]),
        base=folder,
        folders=[] if folder is None else [folder / "nodes"],
        definitions={"add-one": add_one},
    )
    found.ready()
    return found


def fan_out(count: int) -> Loaded:
    children = [{"name": f"n{i}", "node": "add-one", "inputs": {"value": i}} for i in range(count)]
    step = {"name": "all", "node": "parallel", "execution": {"max_concurrent": 5, "timeout": "30s"}}
    return loaded({"name": "fan-out", "steps": [{**step, "nodes": children}]})


def chain(count: int, target: str = "add-one", folder: Path | None = None) -> Loaded:
    before = "${{steps.n{}.output}}" if target == "add-one" else "${{steps.n{}.output.value}}"
    steps = [
        {
            "name": f"n{i}",
            "node": target,
            "inputs": {"value": before.format(i - 1) if i else 0},
            "timeout": "30s",
        }
        for i in range(count)
    ]
    return loaded({"name": "chain", "steps": steps}, folder)


def for_each(count: int) -> Loaded:
    body = {"name": "one", "node": "add-one", "inputs": {"value": "${item}"}}
    step = {"name": "each", "node": "for-each", "in": list(range(count)), "do": body}
    return loaded({"name": "for-each", "steps": [step]})


async def plainly(workflow: Loaded) -> RunOutcome:
    return await execute(workflow, run_options({}))


class Counting:
    """Counts the calls that this thread makes: functions entered, coroutines and generators gone on with."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Counting:
        gc.disable()  # what is collected meanwhile would be counted too
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_exception: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _count(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.calls += event == "call"


async def counted(workflow: Loaded, way: Way) -> int:
    with Counting() as counting:
        outcome = await way(workflow)
    assert outcome.status == "succeeded", outcome.error
    return counting.calls


def calls_a_node(make: Callable[[int], Loaded], many: int = MANY) -> float:
    """In this process, where the clock stands still: even the turns of the loop are the same each time."""
    found = []
    for count in (FEW, many):
        workflow = make(count)
        asyncio.run(plainly(workflow))  # what is done once for each workflow; code is loaded on a thread
        found.append(run_virtual(lambda workflow=workflow: counted(workflow, plainly)))
    return (found[1] - found[0]) / (many - FEW)


def least_calls_a_node(make: Callable[[int], Loaded], way: Way) -> float:
    """Of several times the least: where somebody else takes part, the loop may have to turn more often."""
    few, many = make(FEW), make(MANY)

    async def once() -> float:
        await way(many)
        await way(few)
        return (await counted(many, way) - await counted(few, way)) / (MANY - FEW)

    return min(asyncio.run(once()) for _ in range(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    echo = tmp_path / "nodes" / "echo"
    echo.mkdir(parents=True)
    (tmp_path / ".nodeling").mkdir()
    (echo / "node.py").write_text(ECHO, encoding="utf-8")
    (echo / "config.json").write_text(ECHO_MANIFEST, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "make"),
    [("fan-out", fan_out), ("chain", chain), ("for-each", for_each)],
    ids=lambda one: str(one),
)
def test_a_node_in_this_process_costs_no_more_calls_than_it_did(
    path: str, make: Callable[[int], Loaded]
) -> None:
    assert calls_a_node(make) <= BOUNDS[path]


@pytest.mark.parametrize("make", [fan_out, chain, for_each])
def test_a_node_among_many_costs_what_one_among_few_does(make: Callable[[int], Loaded]) -> None:
    assert calls_a_node(make, VERY_MANY) <= calls_a_node(make) * 1.05


def test_a_call_of_a_warm_worker_costs_no_more_calls_than_it_did(folder: Path) -> None:
    assert least_calls_a_node(lambda count: chain(count, "echo", folder), plainly) <= BOUNDS["worker call"]


def test_a_step_that_is_kept_costs_no_more_calls_than_it_did(tmp_path: Path) -> None:
    keeper = Keeper.open(str(tmp_path / "runs.db"), "fast")

    def kept(workflow: Loaded) -> Coroutine[Any, Any, RunOutcome]:
        return run_durably(keeper, workflow, run_options({}))

    try:
        assert least_calls_a_node(chain, kept) <= BOUNDS["durable chain"]
    finally:
        keeper.close()


def test_a_layer_that_every_node_pays_for_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, before = StepJob.run, calls_a_node(chain)

    async def layer(self: StepJob) -> None:
        await honest(self)

    monkeypatch.setattr(StepJob, "run", layer)
    assert calls_a_node(chain) >= before + 1
