"""`while`: a child again and again while a condition holds."""

from __future__ import annotations

from typing import Any

import pytest
from container_stage import Stage


def loop(condition: Any, do: Any, **more: Any) -> dict[str, Any]:
    return {"name": "loop", "node": "while", "while": condition, "do": do, **more}


COUNT = {"name": "body", "node": "count"}


def test_it_asks_before_every_round(stage: Stage) -> None:
    result = stage.run([loop("${(steps.body?.output ?? 0) < 3}", COUNT)])
    assert result.output == {"output": 3, "iterations": 3}


def test_no_round_at_all_gives_null(stage: Stage) -> None:
    result = stage.run([loop(False, COUNT)])
    assert result.output == {"output": None, "iterations": 0} and stage.calls == {}


def test_the_body_in_the_condition_is_that_of_the_last_round(stage: Stage) -> None:
    body = {"name": "body", "node": "echo", "inputs": {"value": "${iteration}"}}
    result = stage.run([loop("${(steps.body?.output ?? -1) != 4}", body)])
    assert result.output == {"output": 4, "iterations": 5}


def test_rounds_are_counted_under_a_name(stage: Stage) -> None:
    body = {"name": "body", "node": "log", "inputs": {"say": "${round}"}}
    stage.run([loop("${round < 3}", body, **{"as": "round"})])
    assert stage.told == [0, 1, 2]


def test_writes_go_from_round_to_round_and_out(stage: Stage) -> None:
    body = [{"name": "more", "node": "put", "inputs": {"n": "${ctx.vars.n + 1}"}}]
    result = stage.run(
        [
            {"name": "before", "node": "put", "inputs": {"n": 0}},
            loop("${ctx.vars.n < 5}", body),
            {"name": "after", "node": "vars", "inputs": {"keys": ["n"]}},
        ]
    )
    assert result.steps["loop"].output["iterations"] == 5
    assert result.output == {"n": 5}


def test_a_deleted_variable_stays_deleted_behind_the_loop(stage: Stage) -> None:
    body = [{"name": "forget", "node": "drop", "inputs": {"key": "n"}}]
    result = stage.run(
        [
            {"name": "before", "node": "put", "inputs": {"n": 0}},
            loop("${has(ctx.vars.n)}", body),
            {"name": "after", "node": "vars", "inputs": {"keys": ["n"]}},
        ]
    )
    assert (result.steps["loop"].output["iterations"], result.output) == (1, {})


def test_going_on_beyond_the_bound_is_a_failure(stage: Stage) -> None:
    result = stage.run([loop(True, COUNT, max_iterations=4)])
    error = result.steps["loop"].error
    assert result.status == "failed" and error is not None
    assert (error["code"], error["details"]["iterations"]) == ("container.max_iterations", 4)
    assert stage.calls == {"count": 4}


def test_reaching_the_bound_with_nothing_left_is_none(stage: Stage) -> None:
    result = stage.run([loop("${iteration < 4}", COUNT, max_iterations=4)])
    assert result.output == {"output": 4, "iterations": 4}


def test_a_thousand_rounds_are_the_bound_by_default(stage: Stage) -> None:
    error = stage.run([loop(True, COUNT)]).steps["loop"].error
    assert error is not None and error["code"] == "container.max_iterations"
    assert stage.calls == {"count": 1_000}


def test_a_failing_round_ends_the_loop(stage: Stage) -> None:
    body = [
        {"name": "ok", "node": "count"},
        {"name": "bad", "node": "fail", "if": "${steps.ok.output == 2}", "inputs": {"code": 4242}},
    ]
    result = stage.run([loop(True, body)])
    error = result.steps["loop"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4242, "bad")
    assert stage.calls == {"count": 2}


def test_a_handled_failure_goes_on(stage: Stage) -> None:
    body = {"name": "bad", "node": "fail", "on_error": "continue"}
    result = stage.run([loop("${iteration < 3}", body)])
    assert (result.status, result.output) == ("succeeded", {"output": None, "iterations": 3})


@pytest.mark.parametrize("value", [1, "true", None, []])
def test_what_is_neither_true_nor_false_fails_the_step(stage: Stage, value: Any) -> None:
    error = stage.run([loop("${ctx.request.body}", COUNT)], value).steps["loop"].error
    assert error is not None and error["code"] == "expr.type" and "neither true nor false" in error["message"]
    assert stage.calls == {}


def test_each_round_has_a_path_of_its_own(stage: Stage) -> None:
    events: list[dict[str, Any]] = []
    stage.run([loop("${iteration < 2}", COUNT)], on_event=events.append)
    paths = {event["step"] for event in events if event.get("name") == "body"}
    assert paths == {"loop[0]/body", "loop[1]/body"}
