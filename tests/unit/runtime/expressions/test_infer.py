"""Inferred schemas hold for every value an expression gives."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from nodeling_runtime.expressions.compiler import compile_expression, compile_tree
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.infer import infer
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.record import Names
from nodeling_runtime.expressions.references import Reference
from nodeling_runtime.expressions.syntax import Node
from nodeling_runtime.expressions.template import compile_template
from unit.runtime.expressions.expression_trees import SCOPE, trees

ROWS = {"type": "array", "items": {"type": "object"}, "minItems": 2}
KNOWN: dict[str, Any] = {
    "n": {"type": "integer"},
    "s": {"type": "string"},
    "rows": ROWS,
    "ctx.vars.rows": ROWS,
    "pair": {"type": "array", "prefixItems": [{"type": "string"}]},
}


def schema_of(reference: Reference) -> Any:
    return KNOWN.get(str(reference))


@pytest.mark.parametrize(
    ("source", "schema"),
    [
        ("1", {"const": 1}),
        ("n", {"type": "integer"}),
        ("unknown", None),
        ("n > 1", {"type": "boolean"}),
        ("n == 1 && n < 3", {"type": "boolean"}),
        ("!has(a.b)", {"type": "boolean"}),
        ("n * 2", {"type": "number"}),
        ("-unknown", {"type": "number"}),
        ("unknown + 1", {"type": "number"}),
        ("unknown + 'a'", {"type": "string"}),
        ("s + unknown", {"type": "string"}),
        ("unknown + other", None),
        ("rows + unknown", {"type": "array"}),
        ("rows[1:]", {"type": "array", "items": {"type": "object"}}),
        ("s[1:]", {"type": "string"}),
        ("pair[1:]", {"type": "array"}),
        ("unknown[1:]", None),
        ("rows[0]", None),
        ("rows.filter(r, r.x)", {"type": "array", "items": {"type": "object"}}),
        ("unknown.filter(r, r.x)", {"type": "array"}),
        ("rows.map(r, r.x > 1)", {"type": "array", "items": {"type": "boolean"}}),
        ("rows.map(n, n)", {"type": "array"}),
        ("rows.exists(r, r.x)", {"type": "boolean"}),
        ("rows.sortBy(r, r.x)", {"type": "array", "items": {"type": "object"}}),
        ("rows.groupBy(r, r.x)", {"type": "object", "additionalProperties": {"type": "array"}}),
        ("size(rows)", {"type": "integer"}),
        ("s.split(',')", {"type": "array", "items": {"type": "string"}}),
        ("n > 1 ? 'a' : 2", {"anyOf": [{"const": "a"}, {"const": 2}]}),
        ("n > 1 ? s : unknown", None),
        ("n ?? s", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("n ?? n", {"type": "integer"}),
        ("n?.x", None),
        (
            "[n, 'a']",
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"const": "a"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (
            "{'a': n, 'b': unknown}",
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {}},
                "required": ["a", "b"],
                "additionalProperties": False,
            },
        ),
        ("{(s): n}", {"type": "object"}),
    ],
)  # fmt: skip
def test_schema_of_an_expression(source: str, schema: Any) -> None:
    assert infer(compile_expression(source), schema_of) == schema


@pytest.mark.parametrize(
    ("source", "schema"),
    [
        ("vars.rows", ROWS),
        ("vars.rows.slice(0, 9)", {"type": "array", "items": {"type": "object"}}),
        ("vars.rows.length > 3", {"type": "boolean"}),
        ("`${vars.n}`", {"type": "string"}),
        ("vars.n || 1", None),
        ("vars.rows.map(r => r)", None),
    ],
)
def test_schema_of_javascript(source: str, schema: Any) -> None:
    assert infer(compile_javascript(source), schema_of) == schema


def test_the_left_of_a_fallback_is_asked_for_as_guarded() -> None:
    asked: list[tuple[str, bool]] = []

    def ask(reference: Reference) -> Any:
        asked.append((str(reference), reference.guarded))
        return {"type": "string"}

    infer(compile_expression("a.b ?? c"), ask)
    assert asked == [("a.b", True), ("c", False)]


def test_schema_of_a_template() -> None:
    template = compile_template({"a": "${n}", "b": ["x", "n=${n}", "${unknown}"], "c": {"d/e": None}})
    assert template.infer(schema_of) == {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {
                "type": "array",
                "prefixItems": [{"const": "x"}, {"type": "string"}, {}],
                "minItems": 3,
                "maxItems": 3,
            },
            "c": {
                "type": "object",
                "properties": {"d/e": {"const": None}},
                "required": ["d/e"],
                "additionalProperties": False,
            },
        },
        "required": ["a", "b", "c"],
        "additionalProperties": False,
    }


def test_a_template_below_a_root_pointer_finds_its_strings() -> None:
    template = compile_template({"a": "${n}"}, root_pointer="/steps/1/inputs")
    assert template.infer(schema_of)["properties"]["a"] == {"type": "integer"}


TYPES: dict[str, Any] = {
    "n": {"const": 3},
    "s": {"type": "string"},
    "xs": {"type": "array", "items": {"type": ["number", "string", "null"]}},
    "m": {"type": "object"},
    "m.a": {"type": "integer"},
    "nil": {"type": "null"},
    "yes": {"type": "boolean"},
}


@settings(deadline=None, max_examples=800)
@given(trees())
def test_every_value_fits_the_inferred_schema(tree: Node) -> None:
    expression = compile_tree("generated", tree)
    schema = infer(expression, lambda reference: TYPES.get(str(reference)))
    if schema is None:
        return
    try:
        value = expression.evaluate(Names(SCOPE))
    except ExpressionError:
        return
    jsonschema.Draft202012Validator(schema).validate(value)
