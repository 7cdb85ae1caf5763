"""transform: against a naive model, and its manners towards everything else on the loop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import Workflow
from nodeling.errors import ConfigError
from nodeling.results import RunResult

ROWS = st.lists(
    st.fixed_dictionaries({"k": st.sampled_from(["a", "b", "c"]), "n": st.integers(-9, 9) | st.none()}),
    max_size=12,
)


def transformed(items: list[Any], *operations: dict[str, Any], **keys: Any) -> RunResult:
    step = {
        "name": "t",
        "node": "transform",
        "in": "${ctx.request.body}",
        "operations": list(operations),
        **keys,
    }
    return Workflow.from_document({"name": "test", "steps": [step]}).run(items, timeout=30)


def error_of(result: RunResult) -> dict[str, Any]:
    assert result.status == "failed"
    error: dict[str, Any] = result.steps["t"].error or {}
    return error


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, most=st.integers(-9, 9))
def test_filter_map_and_unique_do_what_python_does(rows: list[dict[str, Any]], most: int) -> None:
    found = transformed(
        rows,
        {"filter": f"${{item.n != null && item.n > {most}}}"},
        {"map": {"k": "${item.k}", "twice": "${item.n * 2}", "at": "${index}"}},
    ).output
    kept = [row for row in rows if row["n"] is not None and row["n"] > most]
    assert found == [{"k": row["k"], "twice": row["n"] * 2, "at": i} for i, row in enumerate(kept)]
    first: dict[str, Any] = {}
    for row in rows:
        first.setdefault(row["k"], row)
    assert transformed(rows, {"unique": "${item.k}"}).output == list(first.values())


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, order=st.sampled_from(["asc", "desc"]), skip=st.integers(0, 4), take=st.integers(0, 6))
def test_sorting_is_stable_and_null_comes_last(
    rows: list[dict[str, Any]], order: str, skip: int, take: int
) -> None:
    marked = [{**row, "i": i} for i, row in enumerate(rows)]
    known = [row for row in marked if row["n"] is not None]
    wanted = sorted(known, key=lambda row: row["n"] if order == "asc" else -row["n"])
    wanted += [row for row in marked if row["n"] is None]
    sort = {"sort": {"by": "${item.n}", "order": order}}
    assert transformed(marked, sort).output == wanted
    assert transformed(marked, sort, {"skip": skip}, {"take": take}).output == wanted[skip:][:take]
    by_two = {"sort": {"by": ["${item.k}", "${item.i}"]}}
    assert transformed(marked, by_two).output == sorted(marked, key=lambda row: (row["k"], row["i"]))


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_groups_and_figures_do_what_python_does(rows: list[dict[str, Any]]) -> None:
    figures = {
        "sum": {"sum": "${item.n}"},
        "avg": {"avg": "${item.n}"},
        "min": {"min": "${item.n}"},
        "max": {"max": "${item.n}"},
        "known": {"count": "${item.n != null}"},
        "first": {"first": "${item.n}"},
        "all": {"collect": "${item.n}"},
    }

    def model(of: list[dict[str, Any]]) -> dict[str, Any]:
        numbers = [row["n"] for row in of if row["n"] is not None]
        return {
            "sum": sum(numbers),
            "avg": math.fsum(numbers) / len(numbers) if numbers else None,
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
            "known": len(numbers),
            "first": of[0]["n"] if of else None,
            "all": [row["n"] for row in of],
        }

    assert transformed(rows, {"aggregate": figures}).output == model(rows)
    found = transformed(rows, {"group": {"by": "${item.k}", "aggregate": figures}}).output
    ordered = sorted(rows, key=lambda row: row["k"])
    groups = {key: list(of) for key, of in groupby(ordered, key=lambda row: row["k"])}
    assert {one["key"]: {k: v for k, v in one.items() if k != "key"} for one in found} == {
        key: model(of) for key, of in groups.items()
    }
    plain = transformed(rows, {"group": {"by": {"k": "${item.k}"}}}).output
    assert plain == [
        {"k": key, "items": groups[key], "count": len(groups[key])}
        for key in dict.fromkeys(r["k"] for r in rows)
    ]


def test_lists_are_flattened_and_items_may_have_another_name() -> None:
    result = transformed([{"l": [1, 2]}, {"l": []}, {"l": [3]}], {"flat_map": "${row.l}"}, **{"as": "row"})
    assert result.output == [1, 2, 3]


def test_expressions_see_the_steps_before() -> None:
    steps = [
        {"name": "least", "node": "assign", "inputs": {"set": {"n": 2}}},
        {
            "name": "t",
            "node": "transform",
            "in": [1, 2, 3],
            "operations": [{"filter": "${item >= steps.least.output.n && item >= ctx.vars.n}"}],
        },
    ]
    assert Workflow.from_document({"name": "test", "steps": steps}).run(timeout=30).output == [2, 3]


@pytest.mark.parametrize(
    ("operations", "items", "code", "said"),
    [
        ([{"map": "${item.x}"}], [{"x": 1}, {}], "expr.no_such_key", "item 1: "),
        ([{"filter": "${item}"}], [1], "expr.type", "neither true nor false"),
        ([{"sort": {"by": "${item}"}}], [1, "a"], 4001, "item 1 gives a text where others give a number"),
        ([{"sort": {"by": "${item}"}}], [{}], 4001, "which has no order"),
        ([{"flat_map": "${item}"}], [1], 4001, "`flat_map` gave no list for item 0"),
        (
            [{"aggregate": {"x": {"sum": "${item}"}}}],
            [1, True],
            4001,
            "item 1 gives True, which is no number",
        ),
        ([{"aggregate": {"x": {"smu": "${item}"}}}], [1], 4002, "not smu"),
        ([{"aggregate": {"x": {"sum": "${item}"}}}, {"take": 1}], [1], 4002, "stands last"),
    ],
)
def test_what_cannot_be_done_names_the_item(
    operations: list[Any], items: list[Any], code: Any, said: str
) -> None:
    error = error_of(transformed(items, *operations))
    assert error["code"] == code
    assert said in error["message"]


def test_the_checker_reads_the_expressions() -> None:
    document = {
        "name": "test",
        "steps": [
            {
                "name": "t",
                "node": "transform",
                "in": [1],
                "as": "row",
                "operations": [
                    {"map": {"a": "${rwo}"}},
                    {"group": {"by": "${row}", "aggregate": {"n": {"sum": "${item}"}}}},
                ],
            }
        ],
    }
    with pytest.raises(ConfigError) as caught:
        Workflow.from_document(document).run()
    said = {fault.pointer: fault.message for fault in caught.value.faults}
    assert said == {
        "/steps/0/operations/0/map/a": "nothing is called 'rwo' here",
        "/steps/0/operations/1/group/aggregate/n/sum": "nothing is called 'item' here",
    }


def test_others_have_their_turn_while_a_long_list_is_worked_through() -> None:
    ended: list[str] = []

    def take(event: Mapping[str, Any]) -> None:
        if event["event"] == "step.finished":
            ended.append(str(event["step"]))

    work = [{"map": "${item * 2}"}, {"aggregate": {"n": {"count": True}}}]
    tick = {"name": "tick", "node": "assign", "inputs": {"set": {"at": "${item}"}}}
    steps = [
        {"name": "long", "node": "transform", "needs": [], "in": "${ctx.request.body}", "operations": work},
        {
            "name": "many",
            "node": "for-each",
            "needs": [],
            "in": [1, 2, 3],
            "strategy": "sequential",
            "do": tick,
        },
    ]
    workflow = Workflow.from_document({"name": "test", "steps": steps})
    result = workflow.run(list(range(200_000)), timeout=60, on_event=take)
    assert result.steps["long"].output == {"n": 200_000}
    assert ended[-1] == "long" and len(ended) == 5


def test_its_output_is_its_own() -> None:
    rows = [{"a": [1]}]
    assert transformed(rows, {"map": "${item}"}, {"map": "${item.a}"}).output == [[1]]
    assert rows == [{"a": [1]}]
