"""`for-each`: a child for every item of a list."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from container_stage import Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def each(items: Any, do: Any, **more: Any) -> dict[str, Any]:
    return {"name": "each", "node": "for-each", "in": items, "do": do, **more}


def body(value: Any = "${item}", node: str = "echo", **more: Any) -> dict[str, Any]:
    return {"name": "body", "node": node, "inputs": {"value": value}, **more}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    items=st.lists(st.integers(0, 99) | st.text(max_size=3) | st.none(), max_size=30),
    bound=st.integers(1, 9),
    sequential=st.booleans(),
)
def test_results_stand_in_the_order_of_the_list(
    stage: Stage, items: list[Any], bound: int, sequential: bool
) -> None:
    strategy = "sequential" if sequential else "parallel"
    step = each("${ctx.request.body}", body("${[index, item]}"), max_concurrent=bound, strategy=strategy)
    result = stage.run([step], items)
    assert result.output["results"] == [[i, item] for i, item in enumerate(items)]
    info = result.output["execution_info"]
    assert (info["total"], info["completed"]) == (len(items), len(items))
    assert info["concurrent_peak"] <= (1 if sequential else min(bound, max(len(items), 0)))


def test_an_empty_list_is_legal_and_gives_zeros(stage: Stage) -> None:
    result = stage.run([each([], body())])
    info = result.output["execution_info"]
    assert result.output["results"] == [] and "errors" not in result.output
    counted = (
        "total",
        "completed",
        "failed",
        "cancelled",
        "skipped",
        "timed_out",
        "concurrent_peak",
        "leaked",
    )
    assert {info[key] for key in counted} == {0}
    assert info["children"] == []


def test_items_have_a_name_and_a_place(stage: Stage) -> None:
    step = each(["a", "b"], body("${letter + string(index) + string(letter_index)}"), **{"as": "letter"})
    assert stage.run([step]).output["results"] == ["a00", "b11"]


def test_the_inner_name_hides_the_outer_one(stage: Stage) -> None:
    inner = {"name": "inner", "node": "for-each", "in": "${item}", "do": body("${[item, index]}")}
    result = stage.run([each([[1, 2], [3]], inner)])
    found = [one["results"] for one in result.output["results"]]
    assert found == [[[1, 0], [2, 1]], [[3, 0]]]


def test_both_can_be_seen_under_names_of_their_own(stage: Stage) -> None:
    inner = {
        "name": "inner",
        "node": "for-each",
        "in": "${row}",
        "as": "cell",
        "do": body("${[row_index, cell]}"),
    }
    result = stage.run([each([[1, 2], [3]], inner, **{"as": "row"})])
    assert [one["results"] for one in result.output["results"]] == [[[0, 1], [0, 2]], [[1, 3]]]


def test_names_are_unknown_outside(stage: Stage) -> None:
    said = stage.refusals(
        [each([1], body()), {"name": "after", "node": "echo", "inputs": {"value": "${item}"}}]
    )
    assert said == ["nothing is called 'item' here"]


def test_batches_hand_out_lists(stage: Stage) -> None:
    result = stage.run([each([1, 2, 3, 4, 5], body("${[index, item]}"), batch=2)])
    assert result.output["results"] == [[0, [1, 2]], [1, [3, 4]], [2, [5]]]


def test_groups_have_a_barrier_between_them(stage: Stage) -> None:
    step = each([1, 2, 3, 4, 5], body(), batch_size=2, max_concurrent=5)
    info = stage.run([step]).output["execution_info"]
    starts = [child["started_ms"] for child in info["children"]]
    ends = [child["started_ms"] + child["duration_ms"] for child in info["children"]]
    assert info["concurrent_peak"] <= 2 and info["total"] == 5
    assert max(ends[:2]) <= min(starts[2:4]) + 0.01 and max(ends[2:4]) <= starts[4] + 0.01


def test_a_list_of_steps_runs_as_one_scope_for_each_item(stage: Stage) -> None:
    steps = [
        {"name": "twice", "node": "echo", "inputs": {"value": "${item * 2}"}},
        {"name": "more", "node": "echo", "inputs": {"value": "${steps.twice.output + 1}"}},
    ]
    assert stage.run([each([1, 2, 3], steps)]).output["results"] == [3, 5, 7]


def test_writes_stay_with_their_child(stage: Stage) -> None:
    steps = [
        {"name": "write", "node": "put", "inputs": {"a": "${item}"}},
        {"name": "look", "node": "vars", "inputs": {"keys": ["a"]}},
    ]
    result = stage.run(
        [
            {"name": "before", "node": "put", "inputs": {"a": 0}},
            each([1, 2], steps),
            {"name": "after", "node": "vars", "inputs": {"keys": ["a"]}},
        ]
    )
    assert result.steps["each"].output["results"] == [{"a": 1}, {"a": 2}]
    assert result.output == {"a": 0}


FAIL_ON_TWO = {
    "name": "maybe",
    "node": "if-else",
    "if": "${item == 2}",
    "then": {"name": "bad", "node": "fail", "inputs": {"code": 4777}},
    "else": {"name": "good", "node": "echo", "inputs": {"value": "${item}"}},
}


def test_fail_fast_ends_with_the_first_failure_and_all_that_is_known(stage: Stage) -> None:
    result = stage.run([each([1, 2, 3, 4], FAIL_ON_TWO, strategy="sequential")])
    error = result.steps["each"].error
    assert result.status == "failed" and error is not None
    assert (error["code"], error["details"]["cause_code"]) == ("container.failed", 4777)
    assert error["details"]["results"] == [1, None, None, None]
    info = error["details"]["execution_info"]
    assert [info[key] for key in ("total", "completed", "failed", "cancelled")] == [4, 1, 1, 2]
    assert stage.told == ["fail bad"]


def test_continue_partial_keeps_what_succeeded(stage: Stage) -> None:
    result = stage.run([each([1, 2, 3], FAIL_ON_TWO, error_handling="continue-partial")])
    assert result.status == "succeeded"
    assert result.output["results"] == [1, None, 3]
    (error,) = result.output["errors"]
    assert (error["node"], error["index"], error["code"], error["attempts"]) == ("maybe", 1, 4777, 1)


@pytest.mark.parametrize(("wanted", "status"), [(2, "succeeded"), (3, "failed")])
def test_too_few_successes_fail_the_step(stage: Stage, wanted: int, status: str) -> None:
    step = each([1, 2, 3], FAIL_ON_TWO, error_handling="continue-partial", min_success=wanted)
    result = stage.run([step])
    assert result.status == status
    if status == "failed":
        error = result.steps["each"].error
        assert error is not None and error["code"] == "container.min_success"
        assert error["details"]["results"] == [1, None, 3]


def test_all_may_fail_when_no_success_is_wanted(stage: Stage) -> None:
    result = stage.run([each([2, 2], FAIL_ON_TWO, error_handling="continue-partial")])
    assert result.status == "succeeded" and result.output["results"] == [None, None]
    assert result.output["execution_info"]["failed"] == 2


def test_each_child_has_the_timeout(stage: Stage) -> None:
    hang = {"name": "stuck", "node": "hang"}
    result = stage.run([each([1], hang, timeout=30, error_handling="continue-partial")])
    (error,) = result.output["errors"]
    assert (error["code"], error["details"]["limit"]) == (9005, "timeout")
    assert result.output["execution_info"]["timed_out"] == 1
    assert stage.cancelled == ["stuck"]


def test_the_global_timeout_ends_all_and_says_so(stage: Stage) -> None:
    step = each([1, 2, 3], {"name": "stuck", "node": "hang"}, global_timeout="30ms", max_concurrent=2)
    result = stage.run([step])
    error = result.steps["each"].error
    assert error is not None and error["code"] == 9005
    assert error["message"].endswith("timed out after 30 ms")
    assert error["details"]["limit"] == "global_timeout"
    info = error["details"]["execution_info"]
    assert [info[key] for key in ("total", "cancelled", "failed", "timed_out")] == [3, 3, 0, 0]
    assert stage.cancelled == ["stuck", "stuck"]


def test_a_child_that_is_skipped_by_its_own_condition_is_counted(stage: Stage) -> None:
    result = stage.run([each([1, 2, 3], body(**{"if": "${item != 2}"}))])
    assert result.output["results"] == [1, None, 3]
    info = result.output["execution_info"]
    assert [info[key] for key in ("total", "completed", "skipped")] == [3, 2, 1]


def test_bounds_may_be_expressions(stage: Stage) -> None:
    more = {"max_concurrent": "${ctx.request.body.bound}", "timeout": "${ctx.request.body.time}"}
    step = each("${[1, 2, 3]}", body(), **more)
    result = stage.run([step], {"bound": 1, "time": "5s"})
    assert result.output["execution_info"]["concurrent_peak"] == 1
    refused = stage.run([step], {"bound": 0, "time": "5s"}).steps["each"].error
    assert refused is not None and refused["code"] == 4002
    soon = stage.run([step], {"bound": 1, "time": "soon"}).steps["each"].error
    assert soon is not None and soon["code"] == "document.duration"


def test_what_is_no_list_fails_the_step(stage: Stage) -> None:
    error = stage.run([each("${ctx.request.body}", body())], {"a": 1}).steps["each"].error
    assert error is not None and error["code"] == "expr.type"


def test_a_list_may_be_written_out_with_expressions_inside(stage: Stage) -> None:
    assert stage.run([each(["${1 + 1}", 3], body())]).output["results"] == [2, 3]


def test_a_child_that_changes_its_item_is_seen_by_nobody(stage: Stage) -> None:
    from nodeling import node

    @node(name="spoil", blocking=False)
    def spoil(inputs: Any) -> Any:
        inputs["value"]["list"].append("spoilt")
        return inputs["value"]

    workflow = stage.workflow(
        {
            "name": "test",
            "steps": [
                {"name": "make", "node": "echo", "inputs": {"value": [{"list": []}, {"list": []}]}},
                each("${steps.make.output + steps.make.output}", body(node="spoil")),
                {"name": "after", "node": "echo", "inputs": {"value": "${steps.make.output}"}},
            ],
        }
    )
    workflow.definitions["spoil"] = spoil
    result = workflow.run()
    assert result.steps["each"].output["results"] == [{"list": ["spoilt"]}] * 4
    assert result.output == [{"list": []}, {"list": []}]


def test_ten_megabytes_in_ten_thousand_items_are_decoded_no_more_than_thrice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes decoded are counted, not time: all the items together, beside the list itself."""
    row = {"text": "x" * 980}
    count = 10_000
    size = len(orjson.dumps([row] * count))
    decoded = 0
    real = orjson.loads

    def counting(data: Any) -> Any:
        nonlocal decoded
        decoded += len(data)
        return real(data)

    steps = [each("${ctx.request.body}", body("${len(item.text)}"))]
    workflow = stage.workflow({"name": "test", "steps": steps})
    given = [row] * count
    monkeypatch.setattr(orjson, "loads", counting)
    result = workflow.run(given)
    total = decoded
    monkeypatch.undo()
    assert result.succeeded and sum(result.output["results"]) == 980 * count
    assert size >= 9_900_000
    assert total <= 3 * size
