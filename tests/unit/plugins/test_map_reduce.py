"""`map-reduce`: a step for every item, then one over all their results."""

from __future__ import annotations

from typing import Any

import pytest
from container_stage import Stage

SUM = {"name": "total", "node": "echo", "inputs": {"value": "${sum(results)}"}}
DOUBLE = {"name": "double", "node": "echo", "inputs": {"value": "${item * 2}"}}


def both(items: Any, mapped: Any = None, reduce: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "name": "work",
        "node": "map-reduce",
        "in": items,
        "map": DOUBLE if mapped is None else mapped,
        "reduce": SUM if reduce is None else reduce,
        **more,
    }


def test_it_gives_the_reduced_value_beside_the_results(stage: Stage) -> None:
    result = stage.run([both([1, 2, 3])])
    assert (result.output["reduced"], result.output["results"]) == (12, [2, 4, 6])
    info = result.output["execution_info"]
    assert (info["total"], info["completed"]) == (3, 3)


def test_an_empty_list_is_reduced_too(stage: Stage) -> None:
    result = stage.run([both([])])
    assert (result.output["reduced"], result.output["results"]) == (0, [])


def test_batches_and_names(stage: Stage) -> None:
    mapped = {"name": "part", "node": "echo", "inputs": {"value": "${sum(rows) + index}"}}
    result = stage.run([both([1, 2, 3], mapped, batch=2, **{"as": "rows"})])
    assert result.output["results"] == [3, 4]


MAYBE = {
    "name": "maybe",
    "node": "if-else",
    "if": "${item == 2}",
    "then": {"name": "bad", "node": "fail", "inputs": {"code": 4777}},
    "else": {"name": "good", "node": "echo", "inputs": {"value": "${item}"}},
}


def test_a_failure_ends_it_before_the_reduction(stage: Stage) -> None:
    reduce = {"name": "total", "node": "log"}
    result = stage.run([both([1, 2, 3], MAYBE, reduce, max_concurrent=1)])
    error = result.steps["work"].error
    assert error is not None and error["code"] == "container.failed"
    assert error["details"]["results"] == [1, None, None]
    assert stage.told == ["fail bad"]


def test_what_succeeded_is_reduced_under_continue_partial(stage: Stage) -> None:
    result = stage.run([both([1, 2, 3], MAYBE, error_handling="continue-partial")])
    assert (result.output["reduced"], result.output["results"]) == (4, [1, None, 3])
    assert [error["index"] for error in result.output["errors"]] == [1]


@pytest.mark.parametrize(("wanted", "status"), [(2, "succeeded"), (3, "failed")])
def test_too_few_successes_are_a_failure(stage: Stage, wanted: int, status: str) -> None:
    step = both([1, 2, 3], MAYBE, error_handling="continue-partial", min_success=wanted)
    assert stage.run([step]).status == status


def test_a_failing_reduction_is_the_steps_failure(stage: Stage) -> None:
    reduce = {"name": "broken", "node": "fail", "inputs": {"code": 4888}}
    error = stage.run([both([1], reduce=reduce)]).steps["work"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4888, "broken")


def test_no_writes_leave(stage: Stage) -> None:
    mapped = {"name": "write", "node": "put", "inputs": {"a": "${item}"}}
    reduce = {"name": "more", "node": "put", "inputs": {"a": 9, "b": 9}}
    look = {"name": "look", "node": "vars", "inputs": {"keys": ["a", "b"]}}
    assert stage.run([both([1, 2], mapped, reduce), look]).output == {}


def test_the_reduction_may_be_a_list_of_steps(stage: Stage) -> None:
    reduce = [SUM, {"name": "more", "node": "echo", "inputs": {"value": "${steps.total.output + 1}"}}]
    assert stage.run([both([1, 2], reduce=reduce)]).output["reduced"] == 7


def test_results_are_known_to_the_reduction_alone(stage: Stage) -> None:
    mapped = {"name": "early", "node": "echo", "inputs": {"value": "${results}"}}
    assert stage.refusals([both([1], mapped)]) == ["nothing is called 'results' here"]


def test_the_bound_holds(stage: Stage) -> None:
    result = stage.run([both(list(range(10)), max_concurrent=1)])
    assert result.output["execution_info"]["concurrent_peak"] == 1
