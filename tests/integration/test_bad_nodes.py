"""Nodes that misbehave: the step fails with its code, nothing hangs, and the next one is none the worse."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling import Context, RunResult, Workflow, node
from probes import Probe, python_node

GRACE = 1.0  # what a node in process gets between being told to end and being given up


def one(target: Callable[..., Any], *, events: list[dict[str, Any]] | None = None, **keys: Any) -> RunResult:
    """A run of one step."""
    workflow = Workflow("bad")
    workflow.step("it", target, **keys)
    return workflow.run(on_event=None if events is None else events.append)


def error_of(result: RunResult) -> dict[str, Any]:
    assert result.status == "failed"
    error = result.steps["it"].error
    assert error is not None
    return error


# -- what they return, and what they raise


def a_set() -> Any:
    return {1, 2}


def not_a_number() -> Any:
    return {"deep": [float("nan")]}


def infinity() -> Any:
    return float("inf")


def too_large() -> Any:
    return {"n": 2**60}


def circular() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


def lone_surrogate() -> Any:
    return "\ud800"


async def a_set_from_a_coroutine() -> Any:
    return {1}


@pytest.mark.parametrize(
    "function",
    [a_set, not_a_number, infinity, too_large, circular, lone_surrogate, a_set_from_a_coroutine],
)
def test_an_output_that_is_no_json_value_fails_with_4006(function: Callable[..., Any]) -> None:
    error = error_of(one(function))
    assert error["code"] == 4006
    assert error["message"].startswith("the output is no JSON value")
    assert error["retryable"] is False


def leaves() -> None:
    raise SystemExit(3)


def interrupts() -> None:
    raise KeyboardInterrupt


def recurses() -> None:
    recurses()


def stops() -> None:
    raise StopIteration(7)


def cancels() -> None:
    raise asyncio.CancelledError


def out_of_memory() -> None:
    raise MemoryError("a list too long")


async def leaves_on_the_loop() -> None:
    sys.exit("good bye")


async def interrupts_on_the_loop() -> None:
    raise KeyboardInterrupt


async def recurses_on_the_loop() -> None:
    await recurses_on_the_loop()


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (leaves, "SystemExit"),
        (interrupts, "KeyboardInterrupt"),
        (recurses, "RecursionError"),
        (stops, "StopIteration"),
        (cancels, "CancelledError"),
        (out_of_memory, "MemoryError"),
        (leaves_on_the_loop, "SystemExit"),
        (interrupts_on_the_loop, "KeyboardInterrupt"),
        (recurses_on_the_loop, "RecursionError"),
    ],
)
def test_whatever_a_node_raises_is_its_own_failure(function: Callable[..., Any], kind: str) -> None:
    error = error_of(one(function))
    assert (error["code"], error["type"]) == (4000, kind)
    assert function.__name__ in error["details"]["traceback"]
    assert one(lambda: 1, events=[]).output == 1, "and the next run is none the worse"


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def is_speechless() -> None:
    raise ValueError("later") from SpeechlessError()


def test_an_error_whose_message_cannot_be_made_is_the_nodes_all_the_same() -> None:
    def fails() -> None:
        raise SpeechlessError

    error = error_of(one(fails))
    assert (error["code"], error["type"]) == (4000, "SpeechlessError")
    assert error["message"] == "SpeechlessError: (its message cannot be read: RuntimeError)"
    assert error_of(one(is_speechless))["details"]["cause"]["type"] == "SpeechlessError"


def test_a_module_that_raises_on_import_fails_its_step(tmp_path: Path) -> None:
    python_node(
        tmp_path / "nodes", "broken", "import nothing_of_that_name\n\ndef run(ctx, inputs):\n    return 1\n"
    )
    workflow = Workflow("bad", nodes=[tmp_path / "nodes"])
    workflow.step("it", "broken")
    error = error_of(workflow.run())
    assert error["code"] == "node.import"
    assert "nothing_of_that_name" in error["message"]
    assert "broken" in error["details"]["traceback"]


@pytest.mark.parametrize("code", ["raise SystemExit(4)", "raise KeyboardInterrupt", "def run(:"])
def test_no_way_to_end_an_import_ends_the_process(tmp_path: Path, code: str) -> None:
    python_node(tmp_path / "nodes", "broken", code)
    workflow = Workflow("bad", nodes=[tmp_path / "nodes"])
    workflow.step("it", "broken")
    assert error_of(workflow.run())["code"] == "node.import"


def test_a_module_that_hangs_on_import_hinders_no_other_node(tmp_path: Path) -> None:
    python_node(tmp_path / "nodes", "hangs", "import threading\nthreading.Event().wait(8)\n")
    python_node(tmp_path / "nodes", "fine", "def run(ctx, inputs):\n    return 7\n")
    workflow = Workflow("bad", nodes=[tmp_path / "nodes"])
    workflow.step("it", "hangs", needs=[], timeout=150)
    workflow.step("fine", "fine", needs=[])
    began = time.monotonic()
    result = workflow.run()
    assert result.outputs["fine"] == 7
    assert result.steps["fine"].duration_ms < 1_000
    assert error_of(result)["code"] == 9005
    assert time.monotonic() - began < 0.15 + GRACE + 1.0


# -- cancellation that is not taken


async def swallows(until: float = 1e9) -> str:
    end = time.monotonic() + until
    while time.monotonic() < end:
        try:
            await asyncio.sleep(min(60.0, end - time.monotonic()))
        except asyncio.CancelledError:
            continue
    return "late"


def test_a_coroutine_that_swallows_cancellation_is_given_up_after_its_grace() -> None:
    result = one(swallows, timeout=100)
    error = error_of(result)
    assert (error["code"], error["details"]["limit"]) == (9005, "timeout")
    assert error["message"] == "timed out after 100 ms"
    assert result.leaked == 1
    assert 1_100 <= result.steps["it"].duration_ms < 1_900


def test_what_a_given_up_coroutine_returns_late_is_dropped() -> None:
    events: list[dict[str, Any]] = []
    ended = threading.Event()

    async def late(ctx: Context) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(GRACE + 0.2)
        ctx.progress(1)
        ctx.set("key", "late")
        ended.set()
        return "late"

    async def waits(ctx: Context) -> Any:
        while not ended.is_set():
            await asyncio.sleep(0.01)
        return ctx.get("key")

    workflow = Workflow("bad")
    workflow.step("it", late, timeout=50, on_error="continue")
    workflow.step("after", waits)
    result = workflow.run(on_event=events.append)
    assert ended.is_set()
    assert (result.steps["it"].output, result.output) == (None, None)
    assert [e["event"] for e in events if e.get("step") == "it"] == ["step.started", "step.finished"]


def test_a_swallowed_timeout_does_not_end_the_next_attempt() -> None:
    attempts: list[int] = []

    async def stubborn_once(ctx: Context) -> int:
        attempts.append(ctx.attempt)
        if ctx.attempt > 1:
            await asyncio.sleep(GRACE + 0.3)  # longer than the grace that began with the first attempt's end
            return ctx.attempt
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return -1
        return 0

    result = one(stubborn_once, timeout=1_800, retry={"attempts": 2, "delay": 1})
    assert (result.status, result.output, attempts) == ("succeeded", 2, [1, 2])


def test_a_container_of_nodes_that_swallow_cancellation_returns_on_time() -> None:
    probe = Probe()

    async def stubborn() -> str:
        probe.enter()
        return await swallows()

    @node
    async def fails() -> None:
        probe.enter()
        await asyncio.sleep(0.05)
        raise ValueError("enough")

    workflow = Workflow("bad")
    workflow.definitions |= {"stubborn": node(stubborn), "fails": fails}
    children = [{"name": f"s{i}", "node": "stubborn"} for i in range(3)] + [{"name": "f", "node": "fails"}]
    workflow.step("it", "parallel", nodes=children)
    began = time.monotonic()
    info = error_of(workflow.run())["details"]["execution_info"]
    assert time.monotonic() - began < 0.05 + GRACE + 0.9
    assert (info["failed"], info["cancelled"], info["leaked"]) == (1, 3, 3)
    assert info["concurrent_peak"] == probe.peak == 4


def test_a_node_that_cancels_its_own_task_fails_and_leaves_the_task_usable() -> None:
    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    async def after() -> list[int]:
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(5):
            await asyncio.sleep(0.001)
        return [task.cancelling()]

    workflow = Workflow("bad")
    workflow.step("it", cancels_itself, on_error="continue")
    workflow.step("after", after)
    result = workflow.run()
    assert result.steps["it"].error is not None
    assert result.steps["it"].error["message"] == "the node cancelled itself"
    assert result.output == [0]


def test_a_node_that_cancels_its_own_task_and_returns_harms_nobody() -> None:
    async def cancels_and_returns() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return 5

    async def after() -> int:
        await asyncio.sleep(0)
        return 6

    workflow = Workflow("bad")
    workflow.step("it", cancels_and_returns)
    workflow.step("after", after)
    result = workflow.run()
    assert (result.outputs["it"], result.outputs["after"]) == (5, 6)


@pytest.mark.parametrize("inner", [0.05, 0.2, 30.0])
def test_a_timeout_inside_a_node_and_the_engines_do_not_meet(inner: float) -> None:
    async def patient() -> str:
        try:
            async with asyncio.timeout(inner):
                await asyncio.sleep(60)
        except TimeoutError:
            return "its own"
        return "none"

    result = one(patient, timeout=200)
    if inner == 0.05:
        assert result.output == "its own"
    elif inner == 30.0:
        assert error_of(result)["code"] == 9005
    else:  # both at once: either of them, but nothing else
        assert result.output == "its own" or error_of(result)["code"] == 9005


def test_a_coroutine_that_raises_while_it_is_cancelled_has_still_timed_out() -> None:
    async def complains() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("no")

    error = error_of(one(complains, timeout=30))
    assert (error["code"], error["details"]["limit_ms"]) == (9005, 30)


def test_a_task_group_inside_a_node_survives_the_engines_timeout() -> None:
    left: list[str] = []

    async def part() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append("part")

    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(part())
            group.create_task(part())

    assert error_of(one(grouped, timeout=40))["code"] == 9005
    assert left == ["part", "part"]


# -- the loop, held up


def test_a_coroutine_that_blocks_the_loop_has_timed_out_all_the_same() -> None:
    async def blocks() -> str:
        time.sleep(0.2)
        return "done"

    error = error_of(one(blocks, timeout=50))
    assert error["code"] == 9005
    assert error["details"]["unresponsive"] is True


def test_the_watchdog_names_the_step_that_holds_the_loop_up() -> None:
    events: list[dict[str, Any]] = []

    async def hog() -> None:
        time.sleep(0.3)

    one(hog, events=events)
    lag = [event for event in events if event["event"] == "engine.lag"]
    assert [(e["step"], e["node"], e["level"]) for e in lag] == [("it", "hog", "warning")]
    assert lag[0]["lag_ms"] >= 250
    assert "stack" not in lag[0]
    assert events[-1]["event"] == "run.finished"


def test_after_a_second_the_stack_is_kept_and_stderr_hears_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    events: list[dict[str, Any]] = []

    async def hog_for_long() -> None:
        time.sleep(1.2)

    one(hog_for_long, events=events)
    lag = [event for event in events if event["event"] == "engine.lag"]
    assert "time.sleep(1.2)" in lag[0]["stack"]
    assert "step 'it' (node 'hog-for-long') has kept the event loop from turning" in capfd.readouterr().err


def test_the_watchdog_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODELING_WATCHDOG", "0")
    events: list[dict[str, Any]] = []

    async def hog() -> None:
        time.sleep(0.3)

    one(hog, events=events)
    assert "engine.lag" not in {event["event"] for event in events}


def test_a_thread_that_is_busy_is_no_lag_of_the_loop() -> None:
    events: list[dict[str, Any]] = []

    def busy() -> int:
        end = time.monotonic() + 0.4
        count = 0
        while time.monotonic() < end:
            count += 1
        return count

    assert one(busy, events=events).output > 0
    assert "engine.lag" not in {event["event"] for event in events}


# -- functions that never return


def test_a_function_that_never_returns_does_not_keep_the_process(tmp_path: Path) -> None:
    script = tmp_path / "stuck.py"
    script.write_text(
        textwrap.dedent(
            """
            import threading, time
            from nodeling import Workflow

            def stuck():
                threading.Event().wait()

            workflow = Workflow("w")
            workflow.step("it", stuck, timeout=300)
            began = time.monotonic()
            result = workflow.run()
            print(result.steps["it"].error["code"], result.leaked, time.monotonic() - began)
            """
        ),
        encoding="utf-8",
    )
    began = time.monotonic()
    done = subprocess.run(  # bounded: a process that stays is a failure
        [sys.executable, str(script)], capture_output=True, text=True, timeout=20, check=False
    )
    took = time.monotonic() - began
    code, leaked, inside = done.stdout.split()
    assert (done.returncode, code, leaked) == (0, "9005", "1")
    assert float(inside) < 0.3 + 2.0
    assert took - float(inside) < 3.0, "starting Python and leaving it, and nothing else"
    assert done.stderr == ""


# -- generators


def test_the_chunks_of_a_generator_are_its_output_unless_it_returns_one() -> None:
    events: list[dict[str, Any]] = []

    def counts(n: int) -> Iterator[int]:
        yield from range(n)

    def sums(n: int) -> Any:
        total = 0
        for i in range(n):
            total += i
            yield {"so_far": total}
        return total

    async def counts_async(n: int) -> AsyncIterator[int]:
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    assert one(counts, inputs={"n": 3}, events=events).output == [0, 1, 2]
    chunks = [
        (e["seq_of_chunk"] if "seq_of_chunk" in e else e["data"])
        for e in events
        if e["event"] == "step.chunk"
    ]
    assert chunks == [0, 1, 2]
    assert one(sums, inputs={"n": 4}).output == 6
    assert one(counts_async, inputs={"n": 3}).output == [0, 1, 2]


def test_a_generator_that_fails_or_yields_no_json_fails_its_step() -> None:
    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError("half way")

    def yields_a_set() -> Iterator[Any]:
        yield {1}

    async def breaks_async() -> AsyncIterator[int]:
        yield 1
        raise ValueError("half way")

    assert error_of(one(breaks))["message"] == "ValueError: half way"
    assert error_of(one(yields_a_set))["code"] == 4006
    assert error_of(one(breaks_async))["message"] == "ValueError: half way"


def test_a_timed_out_generator_is_closed_and_its_thread_comes_back() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.02)
                yield 1
        finally:
            closed.set()

    result = one(endless, timeout=100)
    assert error_of(result)["code"] == 9005
    assert closed.wait(2)
    assert result.leaked == 0


def test_a_timed_out_async_generator_is_closed() -> None:
    closed = threading.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(0.01)
                yield 1
        finally:
            closed.set()

    assert error_of(one(endless, timeout=60))["code"] == 9005
    assert closed.is_set()


def test_events_of_threads_arrive_in_the_engines_loop_and_in_order() -> None:
    threads: set[int] = set()
    seen: list[Any] = []

    def listener(event: dict[str, Any]) -> None:
        threads.add(threading.get_ident())
        if event["event"] == "step.progress":
            seen.append(event["progress"])

    def reports(ctx: Context) -> None:
        for i in range(50):
            ctx.progress(i)

    workflow = Workflow("w")
    workflow.step("it", reports)
    workflow.run(on_event=listener)
    assert len(threads) == 1
    assert seen == list(range(50))
