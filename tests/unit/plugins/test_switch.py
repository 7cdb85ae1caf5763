"""`switch`: the case that equals a value."""

from __future__ import annotations

from typing import Any

import pytest
from container_stage import Stage


def case(when: Any, name: str) -> dict[str, Any]:
    return {"when": when, "do": {"name": name, "node": "log"}}


def switch(on: Any, *cases: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "pick", "node": "switch", "on": on, "cases": list(cases), **more}


@pytest.mark.parametrize(
    ("body", "wanted"), [("a", "one"), ("b", "several"), ("c", "several"), ("d", "other"), (None, "other")]
)
def test_a_value_or_one_of_a_list_chooses(stage: Stage, body: Any, wanted: str) -> None:
    cases = (case("a", "one"), case(["b", "c"], "several"))
    step = switch("${ctx.request.body}", *cases, default={"name": "other", "node": "log"})
    assert stage.run([step], body).output == wanted
    assert stage.told == [wanted]


def test_the_first_case_that_fits_wins(stage: Stage) -> None:
    assert stage.run([switch(1, case(1, "first"), case(1, "second"))]).output == "first"


def test_nothing_fits_and_null_is_given(stage: Stage) -> None:
    result = stage.run([switch(2, case(1, "first"))])
    assert (result.status, result.output, stage.told) == ("succeeded", None, [])


@pytest.mark.parametrize(
    ("on", "when", "fits"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, None, True),
        ({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": True}, {"a": 1}, False),
        ([1, 2], [[1, 2]], True),
        ([1, 2], [1, 2], True),
        (1, [[1]], False),
        ([], [], True),
    ],
)
def test_values_are_compared_as_json(stage: Stage, on: Any, when: Any, fits: bool) -> None:
    result = stage.run([switch("${ctx.request.body}", case(when, "yes"))], on)
    assert result.output == ("yes" if fits else None)


def test_a_case_may_be_an_expression(stage: Stage) -> None:
    step = switch("${ctx.request.body.x}", case("${ctx.request.body.y}", "same"))
    assert stage.run([step], {"x": 3, "y": 3}).output == "same"


def test_the_writes_of_the_case_leave(stage: Stage) -> None:
    write = {"when": 1, "do": [{"name": "write", "node": "put", "inputs": {"a": 1}}]}
    look = {"name": "after", "node": "vars", "inputs": {"keys": ["a"]}}
    assert stage.run([switch(1, write), look]).output == {"a": 1}


def test_a_failure_in_the_case_is_the_steps_failure(stage: Stage) -> None:
    bad = {"when": 1, "do": [{"name": "bad", "node": "fail", "inputs": {"code": 4444}}]}
    error = stage.run([switch(1, bad)]).steps["pick"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4444, "bad")


def test_only_the_chosen_case_is_evaluated(stage: Stage) -> None:
    broken = {"name": "broken", "node": "echo", "inputs": {"value": "${ctx.request.body.none.at.all}"}}
    assert stage.run([switch(1, case(1, "one"), {"when": 2, "do": broken})], {}).output == "one"
