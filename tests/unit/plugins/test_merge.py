"""merge: against a naive model, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeling import NodeError, Workflow
from nodeling.testing import FakeContext
from nodeling_nodes.merge.node import run

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=1), inner, max_size=3)
    ),
)
NAMED = st.dictionaries(st.text("abc", min_size=1, max_size=2), VALUES, max_size=4)


def merged(**inputs: Any) -> Any:
    return run(FakeContext(), inputs)


def model(strategy: str, values: dict[Any, Any], named: bool) -> Any:
    there = {name: value for name, value in values.items() if value is not None}
    if strategy in ("collect-all", "collect-available"):
        return there if named else list(there.values())
    if strategy == "first":
        return ([*there.values(), None])[0]
    if strategy == "combine-dict":
        out: dict[str, Any] = {}
        for value in there.values():
            out |= value
        return out
    if strategy == "concat":
        joined: list[Any] = []
        for value in there.values():
            joined += value
        return joined
    columns = list(there.values())
    rows = [[column[i] for column in columns] for i in range(min(map(len, columns), default=0))]
    return [dict(zip(there, row, strict=True)) for row in rows] if named else rows


@given(values=NAMED, named=st.booleans(), strategy=st.sampled_from(["collect-available", "first"]))
def test_what_is_there_is_kept_in_its_order(values: dict[str, Any], named: bool, strategy: str) -> None:
    given_values: Any = values if named else list(values.values())
    keyed = values if named else dict(enumerate(given_values))
    found = merged(values=given_values, strategy=strategy)
    assert found["result"] == model(strategy, keyed, named)
    assert sorted(map(str, [*found["available"], *found["missing"]])) == sorted(map(str, keyed))
    assert all(keyed[name] is None for name in found["missing"])


@given(values=NAMED)
def test_collect_all_wants_every_value(values: dict[str, Any]) -> None:
    absent = [name for name, value in values.items() if value is None]
    if not absent:
        assert merged(values=values, strategy="collect-all")["result"] == values
        return
    with pytest.raises(NodeError, match="missing: " + ", ".join(absent)):
        merged(values=values, strategy="collect-all")


OBJECTS = st.dictionaries(st.text("xyz", max_size=1), VALUES, max_size=3)


@given(values=st.dictionaries(st.text("abc", min_size=1, max_size=2), OBJECTS, max_size=4))
def test_objects_are_laid_over_one_another(values: dict[str, Any]) -> None:
    assert merged(values=values)["result"] == model("combine-dict", values, True)
    backwards = dict(reversed(values.items()))
    assert merged(values=values, conflict="first")["result"] == model("combine-dict", backwards, True)
    assert merged(values=values, conflict="deep")["result"].keys() == {k for v in values.values() for k in v}


@given(values=st.lists(st.lists(VALUES, max_size=4), max_size=4))
def test_lists_are_joined_and_zipped(values: list[list[Any]]) -> None:
    keyed = dict(enumerate(values))
    assert merged(values=values, strategy="concat")["result"] == model("concat", keyed, False)
    found = merged(values=values, strategy="zip", lengths="shortest")["result"]
    assert found == model("zip", keyed, False)
    longest = merged(values=values, strategy="zip", lengths="longest")["result"]
    assert len(longest) == max(map(len, values), default=0)
    assert longest[: len(found)] == found


@given(one=OBJECTS, other=OBJECTS)
@settings(max_examples=50)
def test_a_conflict_can_be_an_error(one: dict[str, Any], other: dict[str, Any]) -> None:
    differs = [key for key in one if key in other and one[key] != other[key]]
    if differs:
        with pytest.raises(NodeError, match=f"'a' and 'b' differ in '{differs[0]}'|differ in"):
            merged(values={"a": one, "b": other}, conflict="error")
    else:
        assert merged(values={"a": one, "b": other}, conflict="error")["result"] == one | other


def test_deep_merging_joins_lists_without_what_is_there_already() -> None:
    values = {"a": {"l": [1, True], "o": {"x": 1}}, "b": {"l": [True, 2], "o": {"y": 2}}}
    assert merged(values=values, conflict="deep")["result"] == {"l": [1, True, 2], "o": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"values": {"a": [1]}}, "'a' is a list, not an object"),
        ({"values": [1], "strategy": "concat"}, "0 is a number, not a list"),
        ({"values": ["x", [1]], "strategy": "concat"}, "1 is a list, not a text"),
        ({"values": [[1], [1, 2]], "strategy": "zip"}, "the lists differ in length: 0 has 1, 1 has 2"),
        ({"values": {"a": 1}, "strategy": "first", "required_inputs": ["b"]}, "names 'b', which is none"),
        (
            {"values": [None, 1], "strategy": "collect-available", "min_available": 2},
            "1 of 2 values are there",
        ),
    ],
)
def test_what_cannot_be_merged_is_said(inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError, match=said) as caught:
        merged(**inputs)
    assert caught.value.code == 4001 and caught.value.retryable is False


def test_a_branch_that_failed_is_missing_and_the_others_are_merged() -> None:
    result = Workflow.from_document(
        {
            "name": "partial",
            "steps": [
                {"name": "good", "node": "assign", "needs": [], "inputs": {"set": {"n": 1}}},
                {
                    "name": "bad",
                    "node": "control",
                    "needs": [],
                    "on_error": "continue",
                    "inputs": {"action": "fail", "target": "self"},
                },
                {
                    "name": "both",
                    "node": "merge",
                    "needs": [{"step": "good", "on": "done"}, {"step": "bad", "on": "done"}],
                    "inputs": {
                        "strategy": "collect-available",
                        "required_inputs": ["good"],
                        "values": {"good": "${steps.good?.output}", "bad": "${steps.bad?.output}"},
                    },
                },
            ],
        }
    ).run(timeout=30)
    assert result.status == "succeeded"
    assert result.output == {"result": {"good": {"n": 1}}, "available": ["good"], "missing": ["bad"]}


ROWS = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 3) | st.just(1.0)}, optional={"n": st.integers(0, 2)}),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the data
@given(st.lists(ROWS, max_size=3))
def test_a_join_gives_each_pair_that_agrees_and_what_meets_nothing(
    tables: list[list[dict[str, Any]]],
) -> None:
    rows: list[dict[str, Any]] = []
    for table in tables:
        pairs = [{**row, **item} for row in rows for item in table if row["id"] == item["id"]]
        left = [row for row in rows if all(row["id"] != item["id"] for item in table)]
        right = [item for item in table if all(row["id"] != item["id"] for row in rows)]
        rows = pairs + left + right
    found = merged(values=tables, strategy="join", key="id")["result"]
    assert sorted(map(repr, map(sorted, (row.items() for row in found)))) == sorted(
        map(repr, map(sorted, (row.items() for row in rows)))
    )


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"values": [[]]}, "needs a `key`"),
        ({"values": [[{"id": 1}], [{"di": 1}]], "key": "id"}, "has no 'id'"),
        ({"values": [[1]], "key": "id"}, "is a number, not an object"),
        ({"values": [{"id": 1}], "key": "id"}, "is an object, not a list"),
        ({"values": [[{"id": 1}] * 1_100] * 2, "key": "id"}, "more than 1000000"),
    ],
)
def test_what_cannot_be_joined_is_said(inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError, match=said):
        merged(strategy="join", **inputs)
