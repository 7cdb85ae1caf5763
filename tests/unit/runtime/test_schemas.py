from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from nodeling.errors import ConfigError
from nodeling_runtime.schema_document import draft_of, evaluation_cost, resolve, walk
from nodeling_runtime.schemas import SchemaFault, check_schema, compile_schema

MANIFEST = {
    "type": "object",
    "properties": {
        "timeout": {"type": "integer", "minimum": 1},
        "mode": {"enum": ["fast", "slow"]},
        "retry": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "rule": {"anyOf": [{"type": "object", "required": ["when"]}, {"type": "array"}]},
        "rows": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
    },
    "required": ["mode"],
    "additionalProperties": False,
}


def faults(schema: Any, value: Any) -> list[SchemaFault]:
    found = compile_schema(schema, where="a test").check(value)
    return found if found is not None else []


def bomb(levels: int, step: Any) -> dict[str, Any]:
    """Definitions of which each names the next one twice."""
    made = {f"a{at}": step({"$ref": f"#/$defs/a{at + 1}"}) for at in range(levels)}
    return {"$defs": {**made, f"a{levels}": {"type": "string"}}, "$ref": "#/$defs/a0"}


def test_a_value_that_fits_has_no_faults() -> None:
    assert compile_schema(MANIFEST, where="a test").check({"mode": "fast", "retry": None}) is None


def test_every_fault_is_listed_in_the_order_of_its_place_with_the_nearest_names() -> None:
    value = {"timout": 1, "timeout": "abc", "mode": "fsat", "retry": "q", "rule": {}, "rows": ["a", 1]}
    assert faults(MANIFEST, value) == [
        SchemaFault("/mode", "'fsat' is not one of 'fast', 'slow'", "enum", "did you mean 'fast'?"),
        SchemaFault("/retry", "expected integer or null, got string 'q'", "anyOf"),
        SchemaFault("/rows/1", "expected string, got integer 1", "type"),
        SchemaFault(
            "/rule",
            "fits none of the 2 allowed forms",
            "anyOf",
            "the nearest form says: missing required key 'when'",
        ),
        SchemaFault("/timeout", "expected integer, got string 'abc'", "type"),
        SchemaFault("/timout", "unknown key 'timout'", "additionalProperties", "did you mean 'timeout'?"),
    ]


def test_items_are_ordered_as_numbers_and_pointers_are_escaped() -> None:
    found = faults({"additionalProperties": {"items": {"type": "string"}}}, {"a/b~c": [0] * 12})
    assert [fault.pointer for fault in found] == [f"/a~1b~0c/{at}" for at in range(12)]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"required": ["x"]}, {}, "missing required key 'x'"),
        ({"minimum": 3}, 2, "2 is less than 3"),
        ({"exclusiveMaximum": 3}, 3, "3 is not below 3"),
        ({"const": {"a": 1}}, [], 'expected {"a":1}, got []'),
        ({"maxLength": 3}, "abcd", "'abcd' is longer than 3 characters"),
        ({"minItems": 1}, [], "0 items, at least 1 needed"),
        ({"pattern": "^a"}, "b", "'b' does not match the pattern '^a'"),
        ({"multipleOf": 2}, 3, "3 is not a multiple of 2"),
        ({"uniqueItems": True}, [1, 1], "holds an item twice"),
        ({"type": "string"}, None, "expected string, got null"),
        ({"type": "integer"}, True, "expected integer, got boolean true"),
        ({"properties": {"a": False}}, {"a": 1}, "nothing is allowed here, got 1"),
        ({"oneOf": [True, True]}, 1, "fits more than one of the forms of which just one is allowed"),
        (False, 1, "nothing is allowed here, got 1"),
    ],
)
def test_faults_are_told_in_plain_words(schema: Any, value: Any, message: str) -> None:
    assert [fault.message for fault in faults(schema, value)] == [message]


def test_long_values_are_abbreviated() -> None:
    for value in ("x" * 5000, list(range(5000)), {str(at): at for at in range(5000)}, ["y" * 5000]):
        (fault,) = faults({"const": 1}, value)
        assert len(fault.message) < 90


def test_known_keys_are_found_through_references_and_all_of() -> None:
    schema = {
        "$defs": {"base": {"properties": {"timeout": {}}}},
        "allOf": [{"$ref": "#/$defs/base"}],
        "unevaluatedProperties": False,
    }
    assert faults(schema, {"timout": 1})[0].hint == "did you mean 'timeout'?"


def test_a_schema_is_compiled_once_for_each_content() -> None:
    first = compile_schema({"type": "string", "minLength": 1}, where="one")
    assert compile_schema(MappingProxyType({"minLength": 1, "type": "string"}), where="another") is first


def test_a_schema_that_changes_after_it_was_compiled_has_no_effect() -> None:
    schema: dict[str, Any] = {"type": "string"}
    validator = compile_schema(schema, where="a test")
    schema["type"] = "integer"
    assert validator.is_valid("x")


def test_an_invalid_schema_raises_with_every_fault() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_schema(
            {"properties": {"a": {"type": "strng"}, "b": {"minimum": "x"}}}, where="inputs of node 'x'"
        )
    assert "the schema of inputs of node 'x' is not valid: unknown type 'strng'" in str(caught.value)
    assert [fault.pointer for fault in caught.value.faults] == ["/properties/a/type", "/properties/b/minimum"]


@pytest.mark.parametrize(
    ("schema", "pointer", "keyword"),
    [
        ({"type": "strng"}, "/type", "type"),
        ({"type": ["string", "nul"]}, "/type", "type"),
        ({"properties": {"a": {"items": 7}}}, "/properties/a/items", "items"),
        ({"minLength": -1}, "/minLength", "minLength"),
        ({"pattern": "("}, "/pattern", "pattern"),
        ({"patternProperties": {"[": {}}}, "/patternProperties/[", "pattern"),
        ({"$ref": "#/nowhere"}, "/$ref", "$ref"),
        ({"items": {"$ref": "other.json"}}, "/items/$ref", "$ref"),
        ({"$id": "http://x.test/a", "$ref": "b#/c"}, "/$ref", "$ref"),
        ({"$dynamicRef": "http://x.test/a"}, "/$dynamicRef", "$ref"),
        ({"$schema": "http://x.test/schema"}, "/$schema", "$schema"),
        ({"examples": [1], "const": {1, 2}}, "", "type"),
        (7, "", "type"),
        ("{}", "", "type"),
        ({"description": "x" * 300_000}, "", "size"),
    ],
)
def test_a_wrong_schema_is_told_where(schema: Any, pointer: str, keyword: str) -> None:
    found = check_schema(schema, "/inputs")
    assert [(fault.pointer, fault.keyword) for fault in found] == [("/inputs" + pointer, keyword)]


def test_the_nearest_type_is_named() -> None:
    assert check_schema({"type": "strng"})[0].hint == "did you mean 'string'?"


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        MANIFEST,
        {"items": [{"type": "string"}], "additionalItems": False},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"a": {}},
            "$ref": "#/definitions/a",
        },
        {"type": "object", "properties": {}, "example": {"$ref": "http://x.test"}},
        {"const": {"$ref": "http://x.test"}, "examples": [{"$ref": "http://x.test"}]},
        {"$defs": {"a": {"$anchor": "here"}}, "$ref": "#here"},
        {"$defs": {"a/b~c": {}}, "$ref": "#/$defs/a~1b~0c"},
    ],
)
def test_a_right_schema_has_no_faults(schema: Any) -> None:
    assert check_schema(schema) == []


def test_a_list_of_items_means_draft_07_and_is_enforced_as_a_tuple() -> None:
    schema = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}
    assert draft_of(schema) == "7"
    assert faults(schema, ["a", 1]) == []
    assert {fault.pointer for fault in faults(schema, [1, "a"])} == {"/0", "/1"}
    assert faults(schema, ["a", 1, 2])[0].keyword == "additionalItems"


def test_data_is_not_mistaken_for_a_draft_07_schema() -> None:
    assert draft_of({"const": {"items": [1]}, "properties": {"items": {}}}) == "2020-12"


def test_formats_are_not_asserted() -> None:
    assert faults({"type": "string", "format": "email"}, "no email") == []


def test_fault_89_a_ref_loop_ends_and_asks_nothing() -> None:
    schema = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}
    assert check_schema(schema) == []
    assert faults(schema, {"any": "thing"}) == []


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:9/x", "https://x.test/y#/z", "file:///etc/passwd", "x.json"]
)
def test_fault_90_a_reference_never_leaves_the_document(reference: str) -> None:
    for schema in ({"$ref": reference}, {"properties": {"a": {"allOf": [{"$ref": reference}]}}}):
        (fault,) = check_schema(schema)
        assert fault.keyword == "$ref"
        assert reference in fault.message
        with pytest.raises(ConfigError, match="leaves the document"):
            compile_schema(schema, where="a test")


def test_fault_90_a_reference_hidden_where_no_keyword_leads_is_refused_too() -> None:
    hidden = {"hidden": {"deep": {"$ref": "http://127.0.0.1:9/x"}}, "$ref": "#/hidden/deep"}
    assert [fault.keyword for fault in check_schema(hidden)] == ["$ref"]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?=a)(a+)+$", r"^(a*)*\1$", "^(a|aa)+$"])
def test_fault_91_a_catastrophic_pattern_ends_quickly(pattern: str) -> None:
    validator = compile_schema({"type": "string", "pattern": pattern}, where="a test")
    start = time.perf_counter()
    assert validator.check("a" * 5_000 + "b") is not None
    assert time.perf_counter() - start < 10


def test_fault_92_unique_items_of_many_objects_is_quick() -> None:
    validator = compile_schema({"uniqueItems": True}, where="a test")
    start = time.perf_counter()
    assert validator.check([{"id": at, "name": f"n{at}"} for at in range(3_000)]) is None
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    "step",
    [
        lambda ref: {"allOf": [ref, ref]},
        lambda ref: {"anyOf": [ref, ref], "oneOf": [ref, ref]},
        lambda ref: {"properties": {"x": {"allOf": [ref, ref]}}},
        lambda ref: {"properties": {"x": ref}, "patternProperties": {"x": ref}},
    ],
)
def test_fault_93_a_fan_out_bomb_is_refused_quickly(step: Any) -> None:
    start = time.perf_counter()
    assert [fault.keyword for fault in check_schema(bomb(40, step))] == ["$ref"]
    assert time.perf_counter() - start < 10


def test_fault_93_a_smaller_bomb_is_explained_by_one_fault() -> None:
    validator = compile_schema(bomb(15, lambda ref: {"allOf": [ref, ref]}), where="a test")
    start = time.perf_counter()
    assert len(validator.check(1) or []) == 1
    assert time.perf_counter() - start < 10


def test_fault_93_recursion_that_doubles_with_depth_is_explained_quickly() -> None:
    schema = {"type": ["object", "null"], "allOf": [{"properties": {"a": {"$ref": "#"}}}] * 2}
    value: Any = 7
    for _ in range(50):
        value = {"a": value}
    start = time.perf_counter()
    assert (compile_schema(schema, where="a test").check(value) or [])[0].keyword == "type"
    assert time.perf_counter() - start < 10


def test_fault_94_a_schema_nested_too_deep_is_refused() -> None:
    schema: Any = {}
    for _ in range(70):
        schema = {"items": schema}
    assert [fault.keyword for fault in check_schema(schema)] == ["depth"]
    loop: dict[str, Any] = {}
    loop["items"] = loop
    assert [fault.keyword for fault in check_schema(loop)] == ["depth"]


def test_a_large_wrong_value_is_explained_quickly_by_one_fault() -> None:
    validator = compile_schema({"items": {"type": "string"}}, where="a test")
    start = time.perf_counter()
    assert len(validator.check([1] * 300_000) or []) == 1
    assert time.perf_counter() - start < 10


def test_structures_shared_many_times_are_measured_without_unfolding_them() -> None:
    schema: Any = {"type": "string"}
    for _ in range(40):
        schema = {"properties": {"a": schema, "b": schema}}
    start = time.perf_counter()
    assert [fault.keyword for fault in check_schema(schema)] == ["size"]
    assert time.perf_counter() - start < 10


def test_the_cost_of_ordinary_schemas_is_small_and_recursion_is_seen() -> None:
    assert evaluation_cost(MANIFEST)[0] < 50
    assert evaluation_cost(MANIFEST)[1] == 1
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    assert evaluation_cost(tree)[1] == 1
    assert evaluation_cost({"allOf": [tree, {"properties": {"left": {"$ref": "#"}}}]})[1] == 2


def test_walking_sees_schemas_only_and_references_lead_by_pointer_and_anchor() -> None:
    schema = {"properties": {"a": {"const": {"type": "x"}}}, "enum": [{}], "allOf": [True, {"$anchor": "q"}]}
    assert [path for path, _ in walk(schema)] == [(), ("allOf", 0), ("allOf", 1), ("properties", "a")]
    assert resolve(schema, "#q") == {"$anchor": "q"}
    assert resolve(schema, "#/allOf/0") is True
    assert resolve(schema, "#/allOf/9") is None
    assert resolve(schema, "x.json") is None


def test_importing_the_module_imports_no_validator() -> None:
    code = (
        "import sys, nodeling_runtime.schemas, nodeling_runtime.workflow.fit\n"
        "heavy = ('jsonschema', 'jsonschema_rs', 'asyncio', 'subprocess', 'sqlite3')\n"
        "sys.exit(', '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_second_opinion_agrees_with_the_first_on_every_pair_of_the_table() -> None:
    from nodeling_runtime.schemas import second_opinion

    table = json.loads((Path(__file__).parent / "workflow" / "fit_pairs.json").read_text(encoding="utf-8"))
    probes = [None, True, 0, 1, 1.5, -3, "", "abc", [], [1, "a"], {}, {"a": 1}, {"a": "x", "b": [1]}]
    judged = 0
    for pair in table:
        for schema in (pair["source"], pair["target"]):
            validator = compile_schema(schema, where="pair")
            for probe in probes:
                opinion = second_opinion(schema, probe)
                assert opinion in (None, validator.is_valid(probe)), (schema, probe)
                judged += opinion is not None
    assert judged > 5_000
