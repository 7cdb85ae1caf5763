from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from nodeling_runtime.schemas import check_schema
from nodeling_runtime.workflow.fit import MISSING, fit, known_keys, select

PAIRS = json.loads((Path(__file__).parent / "fit_pairs.json").read_text(encoding="utf-8"))

TREE = {
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/tree",
}
ORDER = {
    "type": "object",
    "properties": {
        "rows": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
        "note": {"type": ["string", "null"]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        "fixed": {"const": {"a": [1, "x"]}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["name"])
def test_the_table_fixes_the_verdict(pair: dict[str, Any]) -> None:
    verdict = fit(pair["source"], pair["target"])
    assert verdict.value == pair["verdict"], verdict
    assert bool(verdict.reason) == (verdict.value != "fits")


def test_the_table_is_large_decided_and_made_of_valid_schemas() -> None:
    assert len(PAIRS) >= 150
    assert len({pair["name"] for pair in PAIRS}) == len(PAIRS)
    assert sum(pair["verdict"] == "unknown" for pair in PAIRS) * 5 <= len(PAIRS)
    assert [
        pair["name"] for pair in PAIRS if check_schema(pair["source"]) or check_schema(pair["target"])
    ] == []


def test_a_clash_says_where_in_the_target_and_why() -> None:
    target = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": {"properties": {"id": {"type": "string"}}}}},
    }
    verdict = fit(ORDER, target)
    assert (verdict.value, verdict.pointer) == ("clash", "/properties/rows/items/properties/id")
    assert verdict.reason == "the source gives integer, the target takes string"


def test_an_unknown_says_what_may_not_fit() -> None:
    verdict = fit({"properties": {"a/b": {"type": "number"}}, "type": "object", "required": ["a/b"]},
                  {"properties": {"a/b": {"type": "integer"}}})  # fmt: skip
    assert verdict.pointer == "/properties/a~1b/type"
    assert verdict.reason == "may not fit: the source may give a number that is no integer"


def test_a_source_that_says_nothing_is_told_apart() -> None:
    assert fit({}, {"type": "string"}).reason == "may not fit: the source says nothing about its values"


def test_older_drafts_than_07_are_never_judged() -> None:
    verdict = fit(
        {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string"}, {"type": "integer"}
    )
    assert verdict.value == "unknown"


@pytest.mark.parametrize("kind", ["allOf", "anyOf", "oneOf"])
def test_hostile_schemas_end_in_unknown_quickly(kind: str) -> None:
    def bomb(leaf: str) -> dict[str, Any]:
        made = {
            f"a{at}": {kind: [{"$ref": f"#/$defs/a{at + 1}"}, {"$ref": f"#/$defs/a{at + 1}"}]}
            for at in range(30)
        }
        return {"$defs": {**made, "a30": {"type": leaf}}, "$ref": "#/$defs/a0"}

    start = time.perf_counter()
    assert fit(bomb("string"), {"type": "string", "minLength": 1}).value == "unknown"
    assert fit({"type": "integer"}, bomb("string")).value != "fits"
    assert time.perf_counter() - start < 4


def test_products_of_alternatives_end_in_unknown_quickly() -> None:
    many = {
        "allOf": [{"anyOf": [{"minimum": a}, {"maximum": -a}, {"multipleOf": a + 1}]} for a in range(1, 15)]
    }
    start = time.perf_counter()
    assert fit({"type": "number"}, many).value == "unknown"
    assert time.perf_counter() - start < 4


def test_long_chains_of_references_end() -> None:
    chain = {
        f"a{at}": {"type": "object", "properties": {"n": {"$ref": f"#/$defs/a{at + 1}"}}} for at in range(900)
    }
    source = {"$defs": {**chain, "a900": {"type": "string"}}, "$ref": "#/$defs/a0"}
    target = {"$defs": {**chain, "a900": {"type": "integer"}}, "$ref": "#/$defs/a0"}
    assert fit(source, target).value == "unknown"


def test_recursion_through_not_is_no_ground_for_certainty() -> None:
    liar = {"type": "object", "properties": {"a": {"not": {"$ref": "#"}}}, "required": ["a"]}
    other = {
        "type": "object",
        "properties": {"a": {"not": {"$ref": "#"}}},
        "required": ["a"],
        "title": "other",
    }
    assert fit(liar, other).value != "clash"


@pytest.mark.parametrize("schema", [{"not": {"$ref": "#"}}, {"not": {"$ref": "#", "oneOf": [{}, False]}}])
def test_schemas_that_deny_themselves_end(schema: Any) -> None:
    assert fit(schema, {**schema, "title": "renamed"}).value in ("fits", "unknown")
    assert fit({"type": "string"}, schema).value in ("unknown", "clash")


def test_long_chains_of_required_keys_and_of_alternatives_end() -> None:
    chain = {
        f"a{at}": {"required": ["n"], "type": "object", "properties": {"n": {"$ref": f"#/$defs/a{at + 1}"}}}
        for at in range(900)
    }
    source = {"$defs": {**chain, "a900": {"type": "string"}}, "$ref": "#/$defs/a0"}
    assert fit(source, {"type": "object", "properties": {"n": {"type": "object"}}}).value == "unknown"
    assert select(source, ("n",)) is None
    many = {"allOf": [{"anyOf": [{"minimum": at}, {"minimum": at + 1}]} for at in range(500)]}
    assert fit({"type": "number"}, many).value == "unknown"


def test_verdicts_are_quick_and_remembered() -> None:
    fit(ORDER, TREE)
    start = time.perf_counter()
    for _ in range(1_000):
        fit(ORDER, TREE)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ORDER),
        (("rows",), ORDER["properties"]["rows"]),
        (("rows", 0), ORDER["properties"]["rows"]["items"]),
        (("rows", -1, "id"), {"type": "integer"}),
        (("rows", None, "id"), {"type": "integer"}),
        (("rows", 0, "other"), None),
        (("pair", 1), {"type": "integer"}),
        (("pair", 2), MISSING),
        (("pair", None), {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (("fixed", "a", 1), {"const": "x"}),
        (("fixed", "a", 5), MISSING),
        (("note", "x"), MISSING),
        (("row",), MISSING),
        (("rows", "id"), MISSING),
    ],
)
def test_a_path_selects_the_schema_of_a_part(path: tuple[Any, ...], expected: Any) -> None:
    found = select(ORDER, path)
    assert found is expected if expected in (None, MISSING) else found == expected


def test_nothing_is_known_below_a_schema_that_says_nothing() -> None:
    assert select({}, ("a",)) is None
    assert select(True, (0,)) is None
    assert select({"type": "object"}, ("a", "b")) is None
    assert select(False, ("a",)) is MISSING


def test_a_selection_unites_alternatives_and_joins_parts() -> None:
    either = {
        "anyOf": [{"type": "object", "properties": {"a": {"type": kind}}} for kind in ("string", "integer")]
    }
    assert select(either, ("a",)) == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    both = {
        "allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"minimum": 1}}}],
        "type": "object",
    }
    assert fit(select(both, ("a",)), {"type": "integer", "minimum": 0}).value == "fits"
    assert select({"type": "object", "additionalProperties": {"type": "string"}}, ("any",)) == {
        "type": "string"
    }


def test_a_selection_through_references_stands_on_its_own() -> None:
    found = select(TREE, ("children", None, "children", 0))
    assert check_schema(found) == []
    judge = jsonschema_rs.Draft202012Validator(found)
    assert judge.is_valid({"value": 1, "children": [{"value": 2}]})
    assert not judge.is_valid({"value": 1, "children": [{"value": "x"}]})
    assert fit(found, TREE).value == "fits"
    assert fit(TREE, found).value == "fits"
    assert select(TREE, ("children", 0, "vlaue")) is MISSING
    assert select(found, ("children", 0, "value")) == {"type": "integer"}


def test_a_selection_keeps_its_draft() -> None:
    pair = {"type": "object", "properties": {"p": {"items": [{"type": "string"}], "type": "array"}}}
    found = select(pair, ("p",))
    assert fit(found, {"type": "array", "prefixItems": [{"type": "string"}]}).value == "fits"
    assert select(pair, ("p", 0))["type"] == "string"


def test_the_keys_a_schema_knows_are_listed_for_naming_the_nearest() -> None:
    assert known_keys(ORDER) == ["fixed", "note", "pair", "rows"]
    assert known_keys(TREE) == ["children", "value"]
    assert known_keys({"const": {"b": 1, "a": 2}}) == ["a", "b"]
    assert known_keys({"properties": {"a": False, "b": True}}) == ["b"]
    assert known_keys({"type": "string"}) == []
