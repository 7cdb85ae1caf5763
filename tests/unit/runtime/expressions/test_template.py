"""Values with expressions in them."""

from __future__ import annotations

from typing import Any

import pytest

from nodeling_runtime.expressions.budget import Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.functions import BUILTINS, ExpressionFunction
from nodeling_runtime.expressions.record import Names
from nodeling_runtime.expressions.template import TemplateErrors, compile_template

ROWS = [{"id": 1}, {"id": 2}]
SCOPE = Names({"ctx": {"vars": {"rows": ROWS, "a-b": {"x": "dash"}}, "n": 3, "nil": None}, "yes": True})


def value_of(value: Any) -> Any:
    return compile_template(value).evaluate(SCOPE)


def faults_of(value: Any) -> list[tuple[str, str | int, int]]:
    with pytest.raises(TemplateErrors) as caught:
        compile_template(value)
    return [(pointer, error.code, offset) for pointer, error, offset in caught.value.found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${ctx.n}", 3),
        ("${ yes }", True),
        ("${ctx.nil}", None),
        ("n=${ctx.n}", "n=3"),
        ("${ctx.n}${ctx.n}", "33"),
        ("${ctx.n} ", "3 "),
        ("${yes} ${1.5}", "true 1.5"),
        ("rows: ${ctx.vars.rows}", 'rows: [{"id":1},{"id":2}]'),
        ("${ctx.vars['a-b'].x}", "dash"),
        ("$${ctx.n}", "${ctx.n}"),
        ("a $${x} ${ctx.n} $${", "a ${x} 3 ${"),
        ("costs $5 and {braces}", "costs $5 and {braces}"),
        ('${ {"a": "}"} }', {"a": "}"}),
        ('<${ {"a": {"b": 1}} }>', '<{"a":{"b":1}}>'),
        ("${'}'}${\"{\"}", "}{"),
        ("js/ctx.vars.rows.slice(0,1)", [{"id": 1}]),
        ("js/ctx.vars['a-b'].x", "dash"),
        ("not js/ctx", "not js/ctx"),
        ("", ""),
    ],
)
def test_a_string_is_read_as_documented(text: str, value: Any) -> None:
    assert value_of(text) == value


def test_expressions_work_at_any_depth_and_keys_are_left_alone() -> None:
    value = {"a": [{"${n}": "${ctx.n}"}, 1], "b": {"c": ["x", "y${ctx.n}"]}}
    assert value_of(value) == {"a": [{"${n}": 3}, 1], "b": {"c": ["x", "y3"]}}


def test_a_whole_reference_is_the_very_object_of_the_scope() -> None:
    assert value_of({"rows": "${ctx.vars.rows}"})["rows"] is ROWS


def test_a_whole_reference_costs_no_budget() -> None:
    budget = Budget(steps=0, text=0)
    assert compile_template({"rows": "${ctx.vars.rows}"}).evaluate(SCOPE, budget) == {"rows": ROWS}


def test_a_constant_template_gives_its_value_without_a_scope() -> None:
    template = compile_template({"a": ["$${x}", 1], "b": None})
    assert template.is_constant
    assert template.constant == {"a": ["${x}", 1], "b": None}
    assert template.evaluate(Names({})) is template.constant


def test_the_constant_of_a_changing_template_is_refused() -> None:
    template = compile_template("${ctx.n}")
    assert not template.is_constant
    with pytest.raises(ValueError, match="not constant"):
        _ = template.constant


def test_one_evaluation_leaves_nothing_behind_for_the_next() -> None:
    template = compile_template({"a": ["${ctx.n}", {"b": []}]})
    first = template.evaluate(SCOPE)
    first["a"].append("changed")
    assert template.evaluate(SCOPE)["a"] == [3, {"b": []}]


@pytest.mark.parametrize(("text", "hint"), [("a${ctx.nil}", "??"), ("a${[ctx.nil][0]}b", "??")])
def test_null_inside_text_is_an_error_that_offers_a_default(text: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value_of({"deep": [text]})
    assert caught.value.code == "expr.type"
    assert hint in str(caught.value.hint)
    assert caught.value.pointer == "/deep/0"


def test_all_faults_of_a_value_are_found_with_pointers_and_offsets() -> None:
    value = {
        "ok": "${ctx.n}",
        "a/b": "x ${ctx.a-b} y",
        "list": ["${1 +}", {"~": "${nope(1)}"}],
        "open": "${ctx.n",
        "js": "js/new Date()",
        "two": "${=} ${1 === 1}",
    }
    assert faults_of(value) == [
        ("/a~1b", "expr.syntax", 8),
        ("/list/0", "expr.syntax", 5),
        ("/list/1/~0", "expr.unknown_function", 2),
        ("/open", "expr.syntax", 0),
        ("/js", "expr.javascript", 3),
        ("/two", "expr.syntax", 2),
    ]


def test_two_wrong_expressions_of_one_string_are_both_found() -> None:
    assert faults_of("${1 +} and ${nope()}") == [("", "expr.syntax", 5), ("", "expr.unknown_function", 13)]


def test_the_error_of_a_template_is_plain_data() -> None:
    with pytest.raises(TemplateErrors) as caught:
        compile_template({"a": "${steps.chunk-1.output}"}, root_pointer="/steps/0/inputs")
    fault = caught.value.to_json()["faults"][0]
    assert fault["pointer"] == "/steps/0/inputs/a"
    assert 'steps["chunk-1"]' in fault["hint"]


def test_evaluation_errors_carry_the_pointer_and_the_source() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template({"a": ["${ctx.vars.rowz}"]}, root_pointer="/inputs").evaluate(SCOPE)
    error = caught.value
    assert (error.pointer, error.source, error.position) == ("/inputs/a/0", "ctx.vars.rowz", 9)
    assert "did you mean 'rows'" in str(error)


def test_references_come_with_the_pointer_and_the_place_in_the_string() -> None:
    template = compile_template({"a": "x ${ctx.n}", "b": "js/vars.rows.length"})
    (first, reference), (second, lowered) = template.references
    assert (first, str(reference), reference.position, reference.end) == ("/a", "ctx.n", 4, 9)
    assert (second, str(lowered), lowered.position) == ("/b", "ctx.vars.rows", 3)
    assert [(pointer, expression.source) for pointer, expression in template.expressions] == [
        ("/a", "ctx.n"),
        ("/b", "vars.rows.length"),
    ]


def test_a_template_shares_one_budget() -> None:
    template = compile_template(["${ctx.vars.rows.map(r, r.id)}"] * 10)
    with pytest.raises(ExpressionError) as caught:
        template.evaluate(SCOPE, Budget(steps=15))
    assert caught.value.code == "expr.budget"


def test_a_value_that_nests_without_end_is_a_fault() -> None:
    circular: list[Any] = ["${ctx.n}"]
    circular.append(circular)
    ((_, code, _),) = faults_of(circular)
    assert code == "expr.value"


def test_functions_of_a_plugin_can_be_called() -> None:
    table = BUILTINS.extended(
        [ExpressionFunction("twice", lambda x: x * 2, 1, 1, "Doubled.", {"type": "number"})]
    )
    template = compile_template({"a": "${twice(ctx.n)}"}, table)
    assert template.evaluate(SCOPE) == {"a": 6}
    assert template.infer(lambda reference: None)["properties"]["a"] == {"type": "number"}
