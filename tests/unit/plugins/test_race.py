"""`race`: the first children that succeed."""

from __future__ import annotations

from typing import Any

from container_stage import Stage


def race(*children: Any, **more: Any) -> dict[str, Any]:
    return {"name": "race", "node": "race", "nodes": list(children), **more}


def late(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "node": "late", "inputs": {"value": value}}


HANG = {"name": "stuck", "node": "hang"}
BAD = {"name": "bad", "node": "fail", "inputs": {"code": 4321}}


def test_the_first_that_succeeds_wins_and_the_others_end(stage: Stage) -> None:
    result = stage.run([race(HANG, late("quick", 7))])
    assert result.output["results"] == [None, 7]
    assert result.output["winners"] == ["quick"]
    assert stage.cancelled == ["stuck"]
    info = result.output["execution_info"]
    assert [info[key] for key in ("total", "completed", "cancelled", "failed")] == [2, 1, 1, 0]


def test_a_failure_is_no_victory(stage: Stage) -> None:
    result = stage.run([race(BAD, HANG, late("quick", 7))])
    assert result.status == "succeeded"
    assert result.output["results"] == [None, None, 7]
    (error,) = result.output["errors"]
    assert (error["node"], error["code"]) == ("bad", 4321)


def test_none_succeeds_and_the_step_fails_with_every_error(stage: Stage) -> None:
    result = stage.run([race(BAD, {**BAD, "name": "worse"})])
    error = result.steps["race"].error
    assert error is not None and error["code"] == "container.min_success"
    assert [one["node"] for one in error["details"]["errors"]] == ["bad", "worse"]
    assert error["details"]["results"] == [None, None]


def test_several_may_have_to_win(stage: Stage) -> None:
    result = stage.run([race(late("a", 1), HANG, late("b", 2), min_success=2)])
    assert result.output["results"] == [1, None, 2]
    assert sorted(result.output["winners"]) == ["a", "b"]
    assert stage.cancelled == ["stuck"]


def test_more_winners_than_children_are_a_failure(stage: Stage) -> None:
    children = [{"name": name, "node": "echo", "inputs": {"value": 1}} for name in ("a", "b")]
    error = stage.run([race(*children, min_success=3)]).steps["race"].error
    assert error is not None and error["code"] == "container.min_success"


def test_only_the_winners_writes_leave(stage: Stage) -> None:
    loser = [{"name": "mark", "node": "put", "inputs": {"a": "loser"}}, HANG]
    winner = [{"name": "wait", **{k: v for k, v in late("x", 1).items() if k != "name"}}]
    winner.append({"name": "claim", "node": "put", "inputs": {"a": "winner"}})
    result = stage.run(
        [
            race(
                {"name": "slow", "node": "sequence", "steps": loser},
                {"name": "quick", "node": "sequence", "steps": winner},
            ),
            {"name": "look", "node": "vars", "inputs": {"keys": ["a"]}},
        ]
    )
    assert result.output == {"a": "winner"}


def test_what_has_not_started_is_cancelled(stage: Stage) -> None:
    first = {"name": "first", "node": "echo", "inputs": {"value": 1}}
    never = {"name": "never", "node": "log"}
    result = stage.run([race(first, never, max_concurrent=1)])
    assert result.output["results"] == [1, None] and stage.told == []
    statuses = [child["status"] for child in result.output["execution_info"]["children"]]
    assert statuses == ["succeeded", "cancelled"]


def test_no_children_are_legal(stage: Stage) -> None:
    result = stage.run([race()])
    assert (result.status, result.output["results"], result.output["winners"]) == ("succeeded", [], [])


def test_the_global_timeout_is_named(stage: Stage) -> None:
    error = stage.run([race(HANG, global_timeout=30)]).steps["race"].error
    assert error is not None and (error["code"], error["details"]["limit"]) == (9005, "global_timeout")
    assert stage.cancelled == ["stuck"]


def test_a_child_that_times_out_has_lost(stage: Stage) -> None:
    result = stage.run([race({**HANG, "timeout": 30}, late("quick", 7), max_concurrent=2)])
    assert result.output["winners"] == ["quick"]
    error = stage.run([race({**HANG, "timeout": 30})]).steps["race"].error
    assert error is not None and error["details"]["errors"][0]["code"] == 9005


def test_siblings_do_not_see_one_another(stage: Stage) -> None:
    peek = {"name": "peek", "node": "echo", "inputs": {"value": "${steps.stuck.status}"}}
    (said,) = stage.refusals([race(HANG, peek)])
    assert said == "'stuck' runs beside 'peek': children here do not see one another"
