"""What the parallel container promises, shown with coroutines, threads and processes."""

from __future__ import annotations

import asyncio
import os
import shlex
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psutil
import pytest

from nodeling import Context, NodeError, RunResult, Workflow, node
from probes import Probe, SharedProbe, bash_node

PROBE = Probe()


@pytest.fixture(autouse=True)
def _fresh_probe() -> None:
    PROBE.__init__()  # type: ignore[misc]


@node
async def nap(ms: float, value: Any = None) -> Any:
    with PROBE:
        await asyncio.sleep(ms / 1_000)
    return value


@node
def thread_nap(ms: float, value: Any = None) -> Any:
    with PROBE:
        time.sleep(ms / 1_000)
    return value


@node
async def refuse(ms: float = 0, code: int = 4200) -> None:
    with PROBE:
        await asyncio.sleep(ms / 1_000)
        raise NodeError("refused", code=code)


@node
async def writes(key: str, value: Any) -> Any:
    return value


NODES = (nap, thread_nap, refuse)


def child(name: str, target: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "node": target, "inputs": inputs}


def workflow_of(
    children: list[dict[str, Any]],
    *,
    nodes: list[Path] | None = None,
    merge: str | None = None,
    **execution: Any,
) -> Workflow:
    workflow = Workflow("w", nodes=nodes or [])
    workflow.definitions |= {definition.name: definition for definition in NODES}
    keys: dict[str, Any] = {"execution": execution, "nodes": children}
    if merge is not None:
        keys["merge"] = merge
    workflow.step("work", "parallel", **keys)
    return workflow


def info_of(result: RunResult) -> dict[str, Any]:
    step = result.steps["work"]
    report = step.output if step.error is None else step.error["details"]
    info: dict[str, Any] = report["execution_info"]
    assert info["total"] == info["completed"] + info["failed"] + info["cancelled"] + info["skipped"]
    return info


@pytest.mark.parametrize("target", ["nap", "thread-nap"])
def test_ten_naps_at_five_run_five_at_once_and_in_two_naps_of_time(target: str) -> None:
    result = workflow_of([child(f"c{i}", target, ms=100, value=i) for i in range(10)], max_concurrent=5).run()
    info = info_of(result)
    assert info["concurrent_peak"] == PROBE.peak == 5
    assert result.output["results"] == list(range(10))
    longest = max(told["duration_ms"] for told in info["children"])
    assert info["duration_ms"] < 2.5 * max(longest, 100), "two waves, not three"
    assert 3.5 < info["speedup"] <= 5.0


def test_eight_blocking_functions_at_eight_all_overlap() -> None:
    barrier = threading.Barrier(8)

    @node
    def meets() -> int:
        with PROBE:
            return barrier.wait(timeout=10) * 0 + 1

    workflow = Workflow("w")
    workflow.definitions["meets"] = meets
    workflow.step(
        "work", "parallel", execution={"max_concurrent": 8}, nodes=[child(f"c{i}", "meets") for i in range(8)]
    )
    result = workflow.run()
    assert result.output["results"] == [1] * 8
    assert info_of(result)["concurrent_peak"] == PROBE.peak == 8
    assert len({told["worker"] for told in info_of(result)["children"]}) == 8


def test_bash_children_are_counted_as_they_are(tmp_path: Path) -> None:
    probe = SharedProbe(tmp_path / "probe")
    meet = "while (( $(<$cd_probe/peak) < 3 )); do sleep 0.01; done; sleep 0.05"
    bash_node(tmp_path / "nodes", "meet", probe.bash(meet) + "echo '{}'\n")
    children = [child(f"c{i}", "meet") for i in range(6)]
    result = workflow_of(children, nodes=[tmp_path / "nodes"], max_concurrent=3, timeout="20s").run()
    assert result.succeeded
    assert info_of(result)["concurrent_peak"] == probe.peak == 3
    assert (probe.inside, probe.entries) == (0, 6)
    assert all(told["worker"].startswith("pid ") for told in info_of(result)["children"])


def test_kinds_mix_under_one_bound(tmp_path: Path) -> None:
    probe = SharedProbe(tmp_path / "probe")
    met = tmp_path / "probe" / "peak"

    def all_here() -> bool:
        return int(met.read_text() or 0) >= 4

    @node
    async def on_the_loop() -> str:
        with probe:
            while not all_here():
                await asyncio.sleep(0.01)
        return "loop"

    @node
    def on_a_thread() -> str:
        with probe:
            while not all_here():
                time.sleep(0.01)
        return "thread"

    script = probe.bash("while (( $(<$cd_probe/peak) < 4 )); do sleep 0.01; done")
    bash_node(tmp_path / "nodes", "in-a-process", script + "echo '\"process\"'\n")
    workflow = Workflow("w", nodes=[tmp_path / "nodes"])
    workflow.definitions |= {"on-the-loop": on_the_loop, "on-a-thread": on_a_thread}
    kinds = ["on-the-loop", "on-a-thread", "in-a-process"] * 3
    workflow.step(
        "work",
        "parallel",
        execution={"max_concurrent": 4, "timeout": "20s"},
        nodes=[child(f"c{i}", kind) for i, kind in enumerate(kinds)],
    )
    result = workflow.run()
    assert result.output["results"] == ["loop", "thread", "process"] * 3
    assert info_of(result)["concurrent_peak"] == probe.peak == 4


def test_sequential_gives_the_same_results_one_after_the_other() -> None:
    children = [child(f"c{i}", "nap", ms=20, value=i) for i in range(4)] + [child("bad", "refuse", ms=20)]
    outputs = {}
    for strategy in ("parallel", "sequential"):
        PROBE.__init__()  # type: ignore[misc]
        result = workflow_of(children, strategy=strategy, error_handling="continue-partial").run()
        info = info_of(result)
        assert info["concurrent_peak"] == PROBE.peak == (1 if strategy == "sequential" else 5)
        outputs[strategy] = (result.output["results"], [e["code"] for e in result.output["errors"]])
        if strategy == "sequential":
            assert 0.9 < info["speedup"] <= 1.0
    assert outputs["parallel"] == outputs["sequential"] == ([0, 1, 2, 3, None], [4200])


def alive(marker: str) -> list[int]:
    """The processes, zombies aside, whose command line holds this text."""
    processes = [p for p in psutil.process_iter(["cmdline", "status"]) if p.info["status"] != "zombie"]
    return [p.pid for p in processes if marker in " ".join(p.info["cmdline"] or ())]


def test_fail_fast_ends_twenty_mixed_children_for_real(tmp_path: Path) -> None:
    nap_seconds = f"10.{os.getpid()}"  # how these processes are recognised
    probe = SharedProbe(tmp_path / "probe")
    script = probe.bash(f"(sleep {nap_seconds} & sleep {nap_seconds}; wait) & sleep {nap_seconds} & wait")
    bash_node(tmp_path / "nodes", "sleeps", script)

    @node
    async def on_the_loop() -> None:
        with probe:
            await asyncio.sleep(10)

    @node
    def on_a_thread(ctx: Context) -> None:
        with probe:
            while not ctx.cancelled:
                time.sleep(0.01)

    @node
    async def third() -> None:
        with probe:
            while probe.entries < 20:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            raise NodeError("the third", code=4242)

    workflow = Workflow("w", nodes=[tmp_path / "nodes"])
    workflow.definitions |= {"on-the-loop": on_the_loop, "on-a-thread": on_a_thread, "third": third}
    kinds = [("on-the-loop", "on-a-thread", "sleeps")[i % 3] for i in range(20)]
    kinds[2] = "third"
    workflow.step(
        "work",
        "parallel",
        execution={"max_concurrent": 20},
        nodes=[child(f"c{i}", kind) for i, kind in enumerate(kinds)],
    )
    failed_at: list[float] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "step.finished" and event["name"] == "c2":
            failed_at.append(time.monotonic())

    result = workflow.run(on_event=listen)
    assert time.monotonic() - failed_at[0] < 1.5
    error = result.steps["work"].error
    assert error is not None
    assert (error["code"], error["details"]["cause_code"]) == ("container.failed", 4242)
    assert error["message"] == "c2 failed: the third"
    info = info_of(result)
    assert (info["total"], info["failed"], info["cancelled"], info["leaked"]) == (20, 1, 19, 0)
    assert info["concurrent_peak"] == probe.peak == 20
    assert alive(nap_seconds) == []


def test_two_of_five_that_fail_leave_two_nulls_and_two_errors() -> None:
    children = [child(f"c{i}", "refuse" if i in (1, 3) else "nap", ms=5) for i in range(5)]
    for i in (0, 2, 4):
        children[i]["inputs"]["value"] = i
    result = workflow_of(children, error_handling="continue-partial").run()
    assert result.succeeded
    assert result.output["results"] == [0, None, 2, None, 4]
    assert [(e["node"], e["index"], e["code"], e["attempts"]) for e in result.output["errors"]] == [
        ("c1", 1, 4200, 1),
        ("c3", 3, 4200, 1),
    ]
    info = info_of(result)
    assert (info["completed"], info["failed"]) == (3, 2)
    failed = workflow_of(children, error_handling="fail-fast").run()
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "container.failed"
    assert info_of(failed)["failed"] == 1


def test_continue_partial_succeeds_even_if_all_fail_and_says_so() -> None:
    result = workflow_of(
        [child(f"c{i}", "refuse") for i in range(3)], error_handling="continue-partial"
    ).run()
    assert result.succeeded
    assert (info_of(result)["completed"], info_of(result)["failed"]) == (0, 3)


def test_too_few_successes_fail_the_step() -> None:
    children = [child("good", "nap", ms=1), child("bad", "refuse")]
    result = workflow_of(children, error_handling="continue-partial", min_success=2).run()
    assert result.error is not None
    assert result.error["code"] == "container.min_success"
    assert result.error["message"] == "1 of 2 children succeeded, 2 were wanted"
    assert info_of(result)["completed"] == 1


def test_the_two_timeouts_are_told_apart() -> None:
    slow = [child("slow", "nap", ms=10_000), child("quick", "nap", ms=1, value=1)]
    own = workflow_of(slow, timeout=60, error_handling="continue-partial").run()
    assert own.output["errors"][0]["details"] == {"limit": "timeout", "limit_ms": 60}
    assert (info_of(own)["timed_out"], info_of(own)["failed"]) == (1, 1)
    both = workflow_of(slow, global_timeout=60, error_handling="continue-partial").run()
    assert both.error is not None
    assert both.error["code"] == 9005
    assert both.error["message"] == "timed out after 60 ms"
    assert both.error["details"]["limit"] == "global_timeout"
    assert both.error["details"]["results"] == [None, 1]
    info = info_of(both)
    assert (info["timed_out"], info["failed"], info["cancelled"], info["completed"]) == (0, 0, 1, 1)


def test_an_empty_list_is_legal_and_returns_zeros() -> None:
    result = workflow_of([]).run()
    info = info_of(result)
    assert result.output["results"] == []
    assert "errors" not in result.output
    assert {
        key: info[key] for key in ("total", "completed", "concurrent_peak", "work_ms", "speedup", "leaked")
    } == {
        "total": 0,
        "completed": 0,
        "concurrent_peak": 0,
        "work_ms": 0,
        "speedup": 0,
        "leaked": 0,
    }


def test_a_bound_far_above_the_children_costs_nothing() -> None:
    result = workflow_of([child("c", "nap", ms=1)], max_concurrent=1_000_000_000).run()
    assert info_of(result)["concurrent_peak"] == PROBE.peak == 1


# -- writes


@node
async def write(ctx: Context, value: Any) -> None:
    ctx.set("key", value)


@node
async def mark(ctx: Context) -> Any:
    seen = ctx.get("key")
    ctx.set("key", "later")
    return seen


@node
async def read(ctx: Context) -> Any:
    return ctx.get("key")


def writing(one: Any, other: Any, *, merge: str | None = None) -> RunResult:
    workflow = Workflow("w")
    workflow.definitions |= {"write": write, "read": read}
    keys: dict[str, Any] = {} if merge is None else {"merge": merge}
    children = [child("left", "write", value=one), child("right", "write", value=other)]
    workflow.step("work", "parallel", nodes=children, **keys)
    workflow.step("after", "read")
    return workflow.run()


def test_equal_writes_of_two_branches_pass() -> None:
    assert writing({"a": 1}, {"a": 1.0}).output == {"a": 1}


def test_unequal_writes_fail_naming_both_writers() -> None:
    result = writing(1, 2)
    assert result.error is not None
    assert result.error["code"] == "context.conflict"
    assert "left and right both wrote 'key'" in result.error["message"]
    assert result.error["details"]["writers"] == ["left", "right"]


@pytest.mark.parametrize(("merge", "expected"), [("last", {"b": 2}), ("deep", {"a": 1, "b": 2})])
def test_a_merge_settles_unequal_writes(merge: str, expected: Any) -> None:
    assert writing({"a": 1}, {"b": 2}, merge=merge).output == expected


def test_a_write_that_follows_another_overwrites_it() -> None:
    workflow = Workflow("w")
    workflow.definitions |= {"write": write, "mark": mark}
    workflow.step("first", write, inputs={"value": "early"})
    workflow.step("work", "parallel", nodes=[child("m", "mark")])
    workflow.step("after", read)
    result = workflow.run()
    assert result.outputs["work"]["results"] == ["early"]
    assert result.output == "later"


@pytest.mark.parametrize("kind", ["async", "thread"])
def test_a_child_that_changes_its_nested_input_is_seen_by_nobody(kind: str) -> None:
    async def spoil(rows: list[dict[str, Any]]) -> Any:
        before = [dict(row) for row in rows]
        rows[0]["n"] = "spoiled"
        rows.append({"n": 3})
        return before

    def spoil_on_a_thread(rows: list[dict[str, Any]]) -> Any:
        before = [dict(row) for row in rows]
        rows[0]["n"] = "spoiled"
        rows.append({"n": 3})
        return before

    target: Callable[..., Any] = spoil if kind == "async" else spoil_on_a_thread
    workflow = Workflow("w")
    workflow.definitions["spoil"] = node(name="spoil")(target)
    inputs = {"rows": "${ctx.request.body.rows}"}
    workflow.step(
        "work", "parallel", nodes=[{"name": f"c{i}", "node": "spoil", "inputs": inputs} for i in range(4)]
    )
    given = {"rows": [{"n": 1}, {"n": 2}]}
    result = workflow.run(given)
    assert result.output["results"] == [given["rows"]] * 4
    assert given == {"rows": [{"n": 1}, {"n": 2}]}


# -- nesting


def nested(depth: int, width: int, bound: int) -> dict[str, Any]:
    counter = iter(range(10_000))

    def level(left: int) -> dict[str, Any]:
        name = f"n{next(counter)}"
        if left == 0:
            return child(name, "nap", ms=5, value=1)
        inner = [level(left - 1) for _ in range(width)]
        return {"name": name, "node": "parallel", "execution": {"max_concurrent": bound}, "nodes": inner}

    return level(depth)


def test_bounds_of_nested_containers_multiply_and_hold() -> None:
    top = nested(2, 4, 2)
    result = workflow_of(top["nodes"], max_concurrent=2).run()
    assert result.succeeded
    assert info_of(result)["concurrent_peak"] == 2
    inner = [part["execution_info"]["concurrent_peak"] for part in result.output["results"]]
    assert inner == [2, 2, 2, 2]
    assert PROBE.peak == 4
    assert PROBE.entries == 16


def test_one_permit_for_the_whole_run_does_not_stop_nested_containers() -> None:
    top = nested(3, 3, 5)
    workflow = workflow_of(top["nodes"], max_concurrent=5)
    workflow.document["settings"] = {"max_concurrent": 1}
    result = workflow.run(timeout="20s")
    assert result.succeeded
    assert (PROBE.peak, PROBE.entries) == (1, 27)
    leaf_info = result.output["results"][0]["results"][0]["execution_info"]
    assert leaf_info["concurrent_peak"] == 1, "what waits for a permit does not run"


def test_a_bound_on_one_node_holds_across_containers(tmp_path: Path) -> None:
    probe = SharedProbe(tmp_path / "probe")
    code = f"""
import asyncio, sys
sys.path.append({str(Path(__file__).parents[3])!r})

async def run(ctx, inputs):
    from pathlib import Path
    from probes import SharedProbe
    probe = SharedProbe.__new__(SharedProbe)
    probe.folder = Path({shlex.quote(str(probe.folder))!r})
    with probe:
        await asyncio.sleep(0.02)
    return 1
"""
    from probes import python_node

    python_node(tmp_path / "nodes", "narrow", code, runtime={"type": "python", "concurrency": 2})
    workflow = Workflow("w", nodes=[tmp_path / "nodes"])
    for name in ("one", "two"):
        children = [child(f"{name}{i}", "narrow") for i in range(5)]
        workflow.step(name, "parallel", needs=[], nodes=children)
    assert workflow.run().succeeded
    assert (probe.peak, probe.entries) == (2, 10)


def test_workers_that_replace_given_up_ones_stay_within_the_bound() -> None:
    """The second group begins while a replacement for the first group's worker is on its way."""
    probe = Probe()  # its own: what was given up goes on into the next test

    @node
    async def stubborn(number: int) -> int:
        with probe:
            if number:
                await asyncio.sleep(0.05)
                return number
            end = asyncio.get_running_loop().time() + 1.2
            probe.leave()  # what happens after it was given up is not the pool's any more
            while asyncio.get_running_loop().time() < end:
                try:
                    await asyncio.sleep(end - asyncio.get_running_loop().time())
                except asyncio.CancelledError:
                    continue
            probe.enter()
        return -1

    workflow = Workflow("w")
    workflow.definitions["stubborn"] = stubborn
    children = [child(f"c{i}", "stubborn", number=i) for i in range(6)]
    children[0]["timeout"] = 20
    execution = {"max_concurrent": 2, "batch_size": 2, "error_handling": "continue-partial"}
    workflow.step("work", "parallel", execution=execution, nodes=children)
    result = workflow.run()
    assert info_of(result)["concurrent_peak"] == 2
    assert info_of(result)["leaked"] == 1
    assert probe.peak == 2


def test_a_caller_may_retry_inside_the_bound_and_keeps_its_slot() -> None:
    seen: list[int] = []

    @node
    async def flaky(ctx: Context) -> int:
        seen.append(ctx.attempt)
        if ctx.attempt < 3:
            raise NodeError("again", code=5000)
        return ctx.attempt

    workflow = Workflow("w")
    workflow.definitions |= {"flaky": flaky, "nap": nap}
    retry = {"attempts": 3, "delay": 10}
    children = [{"name": "f", "node": "flaky", "retry": retry}, child("n", "nap", ms=1, value="n")]
    workflow.step("work", "parallel", execution={"max_concurrent": 1}, nodes=children)
    result = workflow.run(random=lambda: 1.0)
    assert (result.output["results"], seen) == ([3, "n"], [1, 2, 3])
    first, second = info_of(result)["children"]
    assert first["attempts"] == 3
    assert first["duration_ms"] >= 30, "ten milliseconds, then twenty"
    assert second["started_ms"] >= first["duration_ms"]


# -- what a container leaves behind when it is cut short, and what a child must not


def test_a_container_that_is_timed_out_still_says_all_that_was_known() -> None:
    children = [child("quick", "nap", ms=1, value=1), *[child(f"c{i}", "nap", ms=60_000) for i in range(4)]]
    workflow = workflow_of(children, max_concurrent=2)
    workflow.document["steps"][0]["timeout"] = 80
    result = workflow.run()
    assert result.error is not None
    assert (result.error["code"], result.error["details"]["limit"]) == (9005, "timeout")
    info = info_of(result)
    assert (info["total"], info["completed"], info["cancelled"]) == (5, 1, 4)
    assert (info["concurrent_peak"], info["strategy"]) == (PROBE.peak, "parallel")
    assert result.error["details"]["results"] == [1, None, None, None, None]


STAIN: ContextVar[str] = ContextVar("stain", default="none")


@node
async def stain(number: int) -> str:
    before = STAIN.get()
    STAIN.set(f"set by {number}")
    await asyncio.sleep(0)
    assert STAIN.get() == f"set by {number}"
    return before


def test_a_context_variable_that_a_child_sets_reaches_no_other() -> None:
    workflow = Workflow("w")
    workflow.definitions["stain"] = stain
    children = [child(f"c{i}", "stain", number=i) for i in range(6)]
    workflow.step("work", "parallel", execution={"max_concurrent": 2}, nodes=children)
    workflow.step("after", stain, inputs={"number": 9})
    result = workflow.run()
    assert result.outputs["work"]["results"] == ["none"] * 6
    assert result.output == "none"
    assert info_of(result)["concurrent_peak"] <= 2
