"""What a node sees of its run, and what its writes do."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling import Context, NodelingError, Workflow, node
from nodeling.worker_context import SentSource


@node
def keep(ctx: Context, key: str, value: Any) -> str:
    ctx.set(key, value)
    return key


@node
def look(ctx: Context) -> Any:
    return {"vars": dict(ctx.vars), "who": {key: ctx.who(key) for key in ctx.vars}}


def _two(first: dict[str, Any], second: Any) -> Any:
    wf = Workflow("two")
    wf.step("first", keep, inputs=first)
    wf.step("second", second)
    result = wf.run({"month": "May"}, request={"headers": {"h": "1"}, "method": "POST"})
    result.raise_for_status()
    return result.output


def test_a_write_reaches_the_next_step_with_its_writer() -> None:
    seen = _two({"key": "rows", "value": [1, 2]}, look)
    assert seen["vars"] == {"rows": [1, 2], "first": "rows"}
    assert seen["who"] == {"rows": "first", "first": "first"}


def test_reading_gives_a_copy_and_writing_keeps_one() -> None:
    @node
    def careless(ctx: Context) -> Any:
        mine = {"list": [1]}
        ctx.set("mine", mine)
        mine["list"].append(2)
        read = ctx.get("rows")
        read.append("changed")
        return [ctx.get("mine"), ctx.vars["rows"] is read, ctx.get("absent", "fallback")]

    assert _two({"key": "rows", "value": [1]}, careless) == [{"list": [1]}, True, "fallback"]

    wf = Workflow("three")
    wf.step("first", keep, inputs={"key": "rows", "value": [1]})
    wf.step("second", careless)
    wf.step("third", look)
    assert wf.run().output["vars"]["rows"] == [1]


def test_a_deleted_key_is_gone_for_later_steps() -> None:
    @node
    def drop(ctx: Context) -> Any:
        ctx.delete("rows")
        return "rows" in ctx.vars

    wf = Workflow("drop")
    wf.step("first", keep, inputs={"key": "rows", "value": 1})
    wf.step("second", drop)
    wf.step("third", look)
    result = wf.run()
    assert result.outputs["second"] is False
    assert "rows" not in result.output["vars"]


def test_a_steps_name_cannot_be_written() -> None:
    wf = Workflow("reserved")
    wf.step("first", keep, inputs={"key": "second", "value": 1})
    wf.step("second", look)
    error = wf.run().steps["first"].error
    assert error is not None
    assert error["code"] == "context.reserved"


def test_a_value_that_is_no_json_is_refused_when_it_is_set() -> None:
    @node
    def wrong(ctx: Context) -> int:
        ctx.set("x", {1, 2})
        return 1

    wf = Workflow("wrong")
    wf.step("only", wrong)
    error = wf.run().steps["only"].error
    assert error is not None
    assert error["code"] == 4006


def test_the_request_is_there_part_by_part() -> None:
    @node
    def asked(ctx: Context) -> Any:
        with pytest.raises(KeyError, match="did you mean 'headers'"):
            ctx.request["header"]
        return [
            ctx.request.body,
            ctx.request.headers,
            ctx.request.method,
            ctx.request.query,
            ctx.request.path,
        ]

    assert _two({"key": "k", "value": 1}, asked) == [{"month": "May"}, {"h": "1"}, "POST", {}, ""]


def test_reads_narrows_what_a_node_sees() -> None:
    @node(reads=["vars.rows", "request.body"])
    def narrow(ctx: Context) -> Any:
        with pytest.raises(NodelingError) as caught:
            ctx.get("other")
        assert caught.value.code == "context.not_sent"
        return [list(ctx.vars), ctx.get("rows"), ctx.request.body]

    wf = Workflow("narrow")
    wf.step("a", keep, inputs={"key": "rows", "value": 1})
    wf.step("b", keep, inputs={"key": "other", "value": 2})
    wf.step("c", narrow)
    assert wf.run("body").output == [["rows"], 1, "body"]


def test_the_work_folder_is_private_and_gone_afterwards() -> None:
    places: list[Path] = []

    @node
    def work(ctx: Context) -> bool:
        places.append(ctx.work_dir)
        (ctx.work_dir / "note").write_text("x", encoding="utf-8")
        return ctx.work_dir == places[0] and (ctx.work_dir.stat().st_mode & 0o077) == 0

    wf = Workflow("work")
    wf.step("only", work)
    assert wf.run().output is True
    assert not places[0].exists()
    assert not places[0].parent.exists()


def test_logs_progress_and_metrics_become_events() -> None:
    @node
    def tell(ctx: Context) -> int:
        ctx.log("plain", rows=3)
        ctx.log.warning("careful")
        ctx.progress(1, 2, "half")
        ctx.metric("rows", 7)
        return 1

    events: list[Any] = []
    wf = Workflow("tell")
    wf.step("only", tell)
    result = wf.run(on_event=events.append)
    kinds = [event["event"] for event in events]
    assert kinds == [
        "run.started",
        "step.started",
        "step.log",
        "step.log",
        "step.progress",
        "step.metric",
        "step.finished",
        "run.finished",
    ]
    assert events[2]["data"] == {"rows": 3}
    assert events[3]["level"] == "warning"
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert result.steps["only"].metrics["rows"] == 7


def test_the_idempotency_key_is_the_same_over_retries_and_differs_by_step() -> None:
    keys: dict[str, set[str]] = {"a": set(), "b": set()}

    @node
    def keyed(ctx: Context) -> int:
        keys[ctx.step].add(ctx.idempotency_key)
        if ctx.attempt < 3:
            raise ValueError("again")
        return ctx.attempt

    wf = Workflow("keys")
    for name in keys:
        wf.step(name, keyed, retry={"attempts": 3, "delay": 1, "max_delay": 1})
    assert wf.run().outputs == {"a": 3, "b": 3}
    assert [len(found) for found in keys.values()] == [1, 1]
    assert keys["a"] != keys["b"]


def test_a_deadline_is_told_and_cancelled_is_false_until_it_is_true() -> None:
    @node
    def timed(ctx: Context) -> Any:
        left = ctx.remaining()
        return [ctx.cancelled, ctx.deadline is not None, left is not None and 0 < left <= 60]

    wf = Workflow("timed")
    wf.step("only", timed, timeout="1m")
    assert wf.run().output == [False, True, True]
    wf = Workflow("free", nodes=())
    wf.step("only", timed)
    assert wf.run().output == [False, False, False]


def test_a_listener_that_raises_is_dropped_and_hurts_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[str] = []

    def listener(event: Any) -> None:
        calls.append(event["event"])
        raise RuntimeError("no")

    document = {"name": "x", "steps": [{"name": "a", "node": "parallel", "nodes": []}]}
    result = nodeling.run(document, on_event=listener)
    assert result.succeeded
    assert calls == ["run.started"]
    assert "listener failed" in capsys.readouterr().err


def _put_off(made: list[int]) -> Context:
    def make_up() -> dict[str, Any]:
        made.append(1)
        return {
            "source": SentSource({"vars": {"a": 1}}, ()),
            "emit": lambda kind, data: None,
            "cancelled": lambda: False,
            "make_work_dir": Path,
            "step": "load",
            "secrets": {"TOKEN": "t"},
        }

    return Context._put_off(make_up)


LOOKS: list[Callable[[Context], object]] = [
    lambda ctx: ctx.step,
    lambda ctx: ctx.vars["a"],
    lambda ctx: ctx.log("said"),
    lambda ctx: ctx.set("b", 2),
    lambda ctx: ctx.cancelled,
    copy.copy,
    lambda ctx: [getattr(ctx, name) for name in ("env", "config", "attempt", "request")],
]


@pytest.mark.parametrize("look_at", LOOKS)
def test_a_context_that_was_put_off_is_made_up_once_when_it_is_looked_at(
    look_at: Callable[[Context], object],
) -> None:
    made: list[int] = []
    ctx = _put_off(made)
    assert not made
    look_at(ctx)
    look_at(ctx)
    assert made == [1]
    assert (ctx.step, ctx.get("a"), ctx.secrets) == ("load", 1, {"TOKEN": "t"})


def test_what_a_node_puts_into_a_context_stays_there() -> None:
    ctx = _put_off([])
    ctx.step = "mine"
    assert ctx.secrets == {"TOKEN": "t"} and ctx.step == "mine"


def test_what_a_context_does_not_have_is_missing_put_off_or_not() -> None:
    ctx = _put_off([])
    for _ in range(2):
        with pytest.raises(AttributeError, match="'Context' object has no attribute 'colour'"):
            ctx.colour  # type: ignore[attr-defined]  # noqa: B018
        assert not hasattr(ctx, "__setstate__")
        ctx.set("b", 2)


def test_two_threads_that_look_at_once_lose_no_write() -> None:
    for _ in range(50):
        ctx = _put_off([])
        start = threading.Barrier(4)

        def write(number: int, ctx: Context = ctx, start: threading.Barrier = start) -> None:
            start.wait(30)
            ctx.set(f"k{number}", number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(ctx._delta) == ["k0", "k1", "k2", "k3"]
