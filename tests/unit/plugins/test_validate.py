"""validate: against a naive model, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import Workflow
from nodeling.results import RunResult

RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from(["id", "n", "ref"]), st.integers(0, 3) | st.none() | st.just("x"), max_size=3
    ),
    max_size=8,
)
SCHEMA = {"required": ["id"], "properties": {"id": {"type": "integer"}}}


def validated(records: Any, **keys: Any) -> RunResult:
    step = {"name": "v", "node": "validate", "in": "${ctx.request.body}", **keys}
    return Workflow.from_document({"name": "test", "steps": [step]}).run(records, timeout=30)


def model(records: list[dict[str, Any]]) -> tuple[set[int], dict[str, int]]:
    bad: dict[str, set[int]] = {"schema": set(), "small": set(), "unique id": set(), "ref": set()}
    first: list[Any] = []
    for i, record in enumerate(records):
        if "id" not in record or type(record["id"]) is not int:
            bad["schema"].add(i)
        if not (isinstance(record.get("n"), int) and record["n"] < 2):
            bad["small"].add(i)
        if record.get("id") is not None:
            if record["id"] in first:
                bad["unique id"].add(i)
            first.append(record["id"])
        if record.get("ref") not in (1, 2):
            bad["ref"].add(i)
    return set().union(*bad.values()), {name: len(found) for name, found in bad.items()}


@settings(max_examples=60, deadline=None)
@given(records=RECORDS)
def test_every_check_finds_what_a_naive_one_finds(records: list[dict[str, Any]]) -> None:
    report = validated(
        records,
        schema=SCHEMA,
        rules=[{"name": "small", "that": "${item.n < 2}"}],
        unique=["id"],
        references=[{"field": "ref", "in": [1, 2.0]}],
        keep_records=True,
    ).output
    invalid, counts = model(records)
    assert report["checks"] == counts
    assert report["invalid_count"] == len(invalid) and report["valid"] == (not invalid)
    assert report["score"] == (round(1 - len(invalid) / len(records), 6) if records else 1.0)
    assert report["valid_records"] == [one for i, one in enumerate(records) if i not in invalid]
    assert report["invalid_records"] == [one for i, one in enumerate(records) if i in invalid]
    assert {error["index"] for error in report["errors"]} == invalid
    assert report["error_count"] == len(report["errors"]) == sum(counts.values())


def test_a_warning_leaves_a_record_valid() -> None:
    report = validated(
        [{"n": 5}],
        rules=[{"name": "usual", "that": "${item.n < 3}", "level": "warning", "message": "unusual"}],
    ).output
    assert report["valid"] and report["score"] == 1.0
    assert report["warnings"] == [{"index": 0, "check": "usual", "pointer": "", "message": "unusual"}]


def test_a_rule_that_fails_is_one_that_does_not_hold_and_says_why() -> None:
    report = validated([{}], rules=[{"name": "positive", "that": "${item.n > 0}"}]).output
    assert report["invalid_count"] == 1
    assert report["errors"][0]["message"].startswith("positive does not hold: ")
    assert "'n'" in report["errors"][0]["message"]


def test_several_fields_may_be_unique_together() -> None:
    records = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 1, "a": 1.0}, {"a": True, "b": 1}]
    report = validated(records, unique=[["a", "b"]]).output
    assert [error["index"] for error in report["errors"]] == [2]
    assert report["errors"][0]["message"] == "record 0 has the same a 1.0, b 1"


def test_all_faults_are_counted_and_some_are_listed() -> None:
    report = validated(["x"] * 50, schema={"type": "integer"}, max_listed=3).output
    assert report["error_count"] == report["invalid_count"] == 50 and len(report["errors"]) == 3


def test_one_record_is_judged_like_a_list_of_one() -> None:
    assert validated({"id": 1}, schema=SCHEMA).output["total"] == 1


def test_a_reference_may_be_missing_where_that_is_said() -> None:
    references = [{"field": "c", "in": [{"id": 1}], "key": "id", "optional": True, "name": "customer"}]
    report = validated([{"c": 1}, {}, {"c": 2}], references=references).output
    assert [error["index"] for error in report["errors"]] == [2]


@pytest.mark.parametrize("keys", [{"on_invalid": "fail"}, {"min_score": 0.9}])
def test_a_failure_carries_the_whole_report(keys: dict[str, Any]) -> None:
    result = validated([1, "x"], schema={"type": "integer"}, **keys)
    error = result.steps["v"].error or {}
    assert result.status == "failed" and error["code"] == 4001
    assert "record 1: " in error["message"]
    assert error["details"]["report"]["score"] == 0.5


def test_a_schema_that_is_none_is_an_error_and_no_verdict() -> None:
    result = validated([1], schema={"type": "integre"})
    assert result.status == "failed" and (result.steps["v"].error or {})["code"] == "schema.invalid"


def test_a_schema_cannot_reach_out() -> None:
    result = validated([1], schema={"$ref": "file:///etc/passwd"})
    assert result.status == "failed" and "passwd" not in str(result.output)
