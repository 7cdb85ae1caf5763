"""Pools of children, through a container written for the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling import RunResult, Workflow, node
from probes import Probe, write_node

PROBE = Probe()
SCRIPT: dict[str, Callable[..., Any]] = {}

CODE = """
import sys
from nodeling import FlowNode

class Scripted(FlowNode):
    async def handle(self, ctx, inputs, flow):
        return await sys.modules[%r].SCRIPT["handle"](inputs["nodes"], flow)
"""


@node
async def tick(ms: float = 1, fails: bool = False) -> float:
    with PROBE:
        await asyncio.sleep(ms / 1_000)
        if fails:
            raise ValueError("told to")
    return ms


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., RunResult]:
    """Run a container whose code is a function of the test."""
    PROBE.__init__()  # type: ignore[misc]
    config = {"type": "object", "properties": {"nodes": {"x-nodeling": "steps"}}}
    write_node(tmp_path, "scripted", {"node.py": CODE % __name__}, flow=True, config=config)

    def run(handle: Callable[..., Any], *children: dict[str, Any], **keys: Any) -> RunResult:
        SCRIPT["handle"] = handle
        workflow = Workflow("w", nodes=[tmp_path])
        workflow.definitions["tick"] = tick
        named = [{"name": f"c{i}", "node": "tick", "inputs": given} for i, given in enumerate(children)]
        workflow.step("box", "scripted", nodes=named, **keys)
        return workflow.run()

    return run


def starts(children: list[Any]) -> list[Any]:
    from nodeling import Start

    return [Start(child) for child in children]


def test_a_lazy_iterator_is_bounded_and_asked_only_as_far_as_slots_are_free(
    play: Callable[..., RunResult],
) -> None:
    ahead: list[int] = []

    async def handle(children: list[Any], flow: Any) -> Any:
        pool = flow.pool(limit=3)

        def lazily() -> Iterator[Any]:
            for number, start in enumerate(starts(children)):
                ahead.append(number - PROBE.entries + PROBE.inside)
                yield start

        runs = await pool.run(lazily())
        return [run.output for run in runs], pool.execution_info()

    result = play(handle, *[{"ms": 5}] * 10)
    assert result.output[1]["concurrent_peak"] == PROBE.peak == 3
    assert max(ahead) <= 3


def test_an_iterator_that_raises_ends_the_running_children_and_fails_the_container(
    play: Callable[..., RunResult],
) -> None:
    async def handle(children: list[Any], flow: Any) -> Any:
        pool = flow.pool(limit=3)

        def breaks() -> Iterator[Any]:
            yield starts(children)[0]
            raise KeyError("no more")

        return await pool.run(breaks())

    result = play(handle, {"ms": 60_000})
    assert result.error is not None
    assert (result.error["code"], result.error["type"]) == (4000, "KeyError")
    assert PROBE.inside == 0


def test_a_callback_that_raises_loses_no_child_and_fails_the_container(
    play: Callable[..., RunResult],
) -> None:
    ended: list[str] = []

    async def handle(children: list[Any], flow: Any) -> Any:
        def settled(run: Any) -> None:
            ended.append(run.status)
            raise ValueError("in the callback")

        return await flow.pool(limit=2).run(starts(children), settled=settled)

    result = play(handle, {"ms": 1}, {"ms": 60_000})
    assert result.error is not None
    assert result.error["message"] == "ValueError: in the callback"
    assert sorted(ended) == ["cancelled", "succeeded"]
    assert PROBE.inside == 0


def test_two_calls_of_one_pool_are_two_groups_with_one_count(play: Callable[..., RunResult]) -> None:
    order: list[str] = []

    async def handle(children: list[Any], flow: Any) -> Any:
        pool = flow.pool(limit=5)
        for half in (children[:3], children[3:]):
            await pool.run(starts(half), settled=lambda run: order.append(run.name))
            assert PROBE.inside == 0
        return pool.execution_info("grouped")

    info = play(handle, *[{"ms": 30 - 5 * i} for i in range(6)]).output
    assert (info["total"], info["completed"], info["strategy"]) == (6, 6, "grouped")
    assert info["concurrent_peak"] == PROBE.peak == 3
    assert [set(order[:3]), set(order[3:])] == [{"c0", "c1", "c2"}, {"c3", "c4", "c5"}]
    assert [told["name"] for told in info["children"]] == [f"c{i}" for i in range(6)]


def test_a_cancelled_pool_counts_those_that_never_started(play: Callable[..., RunResult]) -> None:
    async def handle(children: list[Any], flow: Any) -> Any:
        pool = flow.pool(limit=1)
        await pool.run(starts(children), settled=lambda run: pool.cancel("enough"))
        return pool.execution_info()

    info = play(handle, {"ms": 1}, {"ms": 1}, {"ms": 1}).output
    assert (info["completed"], info["cancelled"], info["total"]) == (1, 2, 3)
    assert [told["started_ms"] is None for told in info["children"]] == [False, True, True]


def test_a_container_that_is_timed_out_ends_its_children_and_starts_nothing_more(
    play: Callable[..., RunResult],
) -> None:
    async def handle(children: list[Any], flow: Any) -> Any:
        return await flow.pool(limit=2).run(starts(children))

    result = play(handle, *[{"ms": 60_000}] * 5, timeout=50)
    assert result.error is not None
    assert (result.error["code"], result.error["details"]["limit"]) == (9005, "timeout")
    assert (PROBE.entries, PROBE.inside) == (2, 0)


def test_a_child_started_alone_and_ended_at_once_never_runs(play: Callable[..., RunResult]) -> None:
    async def handle(children: list[Any], flow: Any) -> Any:
        run = flow.start(children[0])
        run.cancel("changed my mind")
        await run.wait()
        return run.status

    assert play(handle, {"ms": 5}).output == "cancelled"
    assert PROBE.entries == 0
