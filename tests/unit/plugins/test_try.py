"""`try`: a failure handled where it happens."""

from __future__ import annotations

from typing import Any

from container_stage import Stage

BAD = {"name": "bad", "node": "fail", "inputs": {"code": 4123, "message": "no luck"}}


def guard(*, wrapped: Any = BAD, **more: Any) -> dict[str, Any]:
    return {"name": "guard", "node": "try", "try": wrapped, **more}


def log(name: str) -> dict[str, Any]:
    return {"name": name, "node": "log"}


def test_what_succeeds_gives_its_output_and_nothing_is_caught(stage: Stage) -> None:
    step = guard(wrapped=log("good"), **{"catch": log("caught"), "finally": log("last")})
    assert stage.run([step]).output == "good"
    assert stage.told == ["good", "last"]


def test_a_failure_is_caught_and_the_output_is_the_catchs(stage: Stage) -> None:
    result = stage.run([guard(**{"catch": log("caught"), "finally": log("last")})])
    assert (result.status, result.output) == ("succeeded", "caught")
    assert stage.told == ["fail bad", "caught", "last"]


def test_catch_sees_the_failure_as_ctx_error(stage: Stage) -> None:
    seen = {"name": "seen", "node": "echo", "inputs": {"value": "${ctx.error}"}}
    found = stage.run([guard(catch=seen)]).output
    assert (found["code"], found["step"], found["message"]) == (4123, "bad", "no luck")


def test_the_failed_step_is_named_however_deep_it_is(stage: Stage) -> None:
    deep = [{"name": "outer", "node": "sequence", "steps": [log("first"), BAD]}]
    seen = {"name": "seen", "node": "echo", "inputs": {"value": "${ctx.error.step}"}}
    assert stage.run([guard(wrapped=deep, catch=seen)]).output == "bad"


def test_finally_runs_and_the_failure_stays(stage: Stage) -> None:
    result = stage.run([guard(**{"finally": log("last")})])
    error = result.steps["guard"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4123, "bad")
    assert stage.told == ["fail bad", "last"]


def test_finally_sees_the_failure_too(stage: Stage) -> None:
    last = {"name": "last", "node": "log", "inputs": {"say": "${ctx.error.code}"}}
    stage.run([guard(**{"catch": log("caught"), "finally": last})])
    assert stage.told == ["fail bad", "caught", 4123]


def test_a_failing_catch_fails_the_step_after_finally(stage: Stage) -> None:
    worse = {"name": "worse", "node": "fail", "inputs": {"code": 4999}}
    result = stage.run([guard(**{"catch": worse, "finally": log("last")})])
    error = result.steps["guard"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4999, "worse")
    assert stage.told == ["fail bad", "fail worse", "last"]


def test_a_failing_finally_fails_what_had_succeeded(stage: Stage) -> None:
    worse = {"name": "worse", "node": "fail", "inputs": {"code": 4999}}
    result = stage.run([guard(wrapped=log("good"), **{"finally": worse})])
    error = result.steps["guard"].error
    assert error is not None and error["code"] == 4999


def test_the_writes_of_all_that_ran_leave(stage: Stage) -> None:
    step = guard(
        wrapped={"name": "good", "node": "put", "inputs": {"a": 1, "b": 1}},
        **{"finally": {"name": "last", "node": "put", "inputs": {"b": 2, "c": 2}}},
    )
    look = {"name": "look", "node": "vars", "inputs": {"keys": ["a", "b", "c"]}}
    assert stage.run([step, look]).output == {"a": 1, "b": 2, "c": 2}


def test_catch_may_write_what_try_had_written(stage: Stage) -> None:
    step = guard(
        wrapped=[{"name": "half", "node": "put", "inputs": {"a": 1}}, BAD],
        catch={"name": "mend", "node": "put", "inputs": {"a": 2}},
    )
    look = {"name": "look", "node": "vars", "inputs": {"keys": ["a"]}}
    assert stage.run([step, look]).output == {"a": 2}


def test_a_handled_failure_inside_is_none(stage: Stage) -> None:
    step = guard(wrapped={**BAD, "on_error": "continue"}, catch=log("caught"))
    result = stage.run([step])
    assert (result.status, result.output, stage.told) == ("succeeded", None, ["fail bad"])


def test_finally_runs_when_the_step_is_cut_off(stage: Stage) -> None:
    step = guard(wrapped={"name": "stuck", "node": "hang"}, timeout=400, **{"finally": log("last")})
    result = stage.run([step])
    error = result.steps["guard"].error
    assert error is not None and error["code"] == 9005
    assert stage.told == ["hang stuck", "last"] and stage.cancelled == ["stuck"]


def test_a_retry_repeats_the_whole(stage: Stage) -> None:
    flaky = [
        {"name": "times", "node": "count"},
        {"name": "bad", "node": "fail", "if": "${steps.times.output < 3}", "inputs": {"code": 9001}},
    ]
    step = guard(wrapped=flaky, retry={"attempts": 3, "delay": 1}, **{"finally": log("last")})
    result = stage.run([step])
    assert result.status == "succeeded" and result.steps["guard"].attempts == 3
    assert stage.told == ["fail bad", "last", "fail bad", "last", "last"]


def test_neither_catch_nor_finally_is_refused(stage: Stage) -> None:
    (said,) = stage.refusals([guard()])
    assert "'catch'" in said or "'finally'" in said or "none of the 2" in said
