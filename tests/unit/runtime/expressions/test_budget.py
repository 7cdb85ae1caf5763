"""No text and no data make an expression take long, or stand for something huge."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nodeling_runtime.expressions.budget import Budget
from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.record import Names

SCOPE = Names(
    {"xs": list(range(1_000)), "big": "x" * 1_000_000, "ctx": {"xs": list(range(1_000)), "big": "x" * 10**6}}
)


def code_of(source: str, javascript: bool = False) -> Any:
    compile_source = compile_javascript if javascript else compile_expression
    with pytest.raises(ExpressionError) as caught:
        compile_source(source).evaluate(SCOPE)
    return caught.value.code


@pytest.mark.parametrize(
    "source",
    [
        "xs.map(a, xs.map(b, xs.map(c, 1)))",
        "xs.all(a, xs.all(b, xs.all(c, true)))",
        "range(1000000).map(x, range(1000000))",
        "xs.filter(a, xs == xs.map(x, x))",
        "xs.filter(a, a in xs.map(x, -x - 1))",
        "xs.map(a, xs.sort())",
        "range(100000).map(a, big.contains('yy'))",
        "range(1000000).map(a, big == big + '')",
        "range(1000000).map(a, big < big + 'a')",
        "[1, 2].map(x, big + big + big + big + big + big + big + big + big)",
        "big.replace('x', big)",
        "range(100).map(i, big).join('')",
        "xs.map(x, big).map(x, x)",
        "'a'.split('')" + ".map(v, [v, v]).flatten()" * 30,
        "xs.map(x, toJson(xs))",
        "range(1000).map(i, glob(big, '*y*z'))",
        "range(99999999)",
        "xs.map(x, zip(xs, xs))",
    ],
)
def test_work_and_text_are_bounded(source: str) -> None:
    started = time.perf_counter()
    assert code_of(source) == "expr.budget"
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize("levels", [10, 20, 30])
def test_a_list_shared_many_times_counts_as_the_text_it_stands_for(levels: int) -> None:
    source = "[xs]" + ".map(v, [v, v, v, v])" * levels
    assert code_of(source) == "expr.budget"


def test_a_value_nested_too_deeply_is_refused() -> None:
    assert code_of("[1]" + ".map(v, [v])" * 70) == "expr.value"
    assert code_of("([1]" + ".map(v, [v])" * 70 + ") == ([1]" + ".map(v, [v])" * 70 + ")") == "expr.budget"
    assert code_of("toJson([1]" + ".map(v, [v])" * 70 + ")") == "expr.value"
    assert code_of("unique([1]" + ".map(v, [v])" * 70 + ")") == "expr.budget"


@pytest.mark.parametrize(
    "source",
    [
        "ctx.xs.map(a => ctx.xs.map(b => ctx.xs.map(c => 1)))",
        "ctx.xs.map(a => ctx.big.includes('yy')).map(a => ctx.xs.map(b => ctx.big.indexOf('yy')))",
        "ctx.xs.reduce((a, b) => a + a, 'aa')",
        "ctx.xs.reduce((a, b) => a.concat(a), [1])",
        "'ab'.repeat(1e9)",
        "'a'.padStart(1e12)",
        "ctx.big.replaceAll('x', ctx.big)",
        "ctx.big.replaceAll('x', '$`')",
        "`${ctx.big}`.concat(ctx.big).repeat(9)",
        "ctx.xs.map(x => [ctx.xs, ctx.xs, ctx.xs, ctx.xs, ctx.xs, ctx.xs, ctx.xs, ctx.xs])",
    ],
)
def test_javascript_is_bounded_too(source: str) -> None:
    started = time.perf_counter()
    assert code_of(source, javascript=True) == "expr.budget"
    assert time.perf_counter() - started < 20


def test_javascript_nests_no_deeper_than_json() -> None:
    assert code_of("ctx.xs.reduce((a, b) => [a], 1)", javascript=True) in ("expr.value", "expr.budget")
    assert code_of("`${ctx.xs.reduce((a, b) => [a], 1)}`", javascript=True) == "expr.budget"
    assert code_of("JSON.stringify(ctx.xs.reduce((a, b) => [a], 1))", javascript=True) == "expr.budget"
    assert code_of("ctx.xs.reduce((a, b) => [a], 1).flat(Infinity)", javascript=True) == "expr.budget"


@pytest.mark.parametrize(
    "around", ["(x || (x && (1 == (2 ?? 1 + 2 * -({})))))", "x ? [{}][0] : x", "[1].map(v, {})[0]"]
)
def test_the_deepest_expression_allowed_is_evaluated(around: str) -> None:
    source, deeper = "1", around.format("1")
    while True:
        try:
            compile_expression(deeper)
        except ExpressionError as error:
            assert error.code == "expr.budget"
            break
        source, deeper = deeper, around.replace("{}", deeper)
    assert compile_expression(source).evaluate(Names({"x": False})) in (1, True, False)


def test_the_deepest_javascript_allowed_is_evaluated() -> None:
    source, deeper = "1", "[1].map(v => 1)"
    while True:
        try:
            compile_javascript(deeper)
        except ExpressionError as error:
            assert error.code == "expr.budget"
            break
        source, deeper = deeper, f"[1].map(v => v && {deeper})"
    nested, levels = compile_javascript(source).evaluate(Names({})), 0
    while isinstance(nested, list):
        (nested,), levels = nested, levels + 1
    assert (nested, levels) == (1, source.count("map"))


def test_ordinary_work_on_ten_thousand_rows_fits() -> None:
    rows = [{"id": place, "n": place % 7} for place in range(10_000)]
    scope = Names({"rows": rows})
    source = "rows.filter(r, r.n > 3 && r.id % 2 == 0).sortBy(r, -r.id)[0:10].map(r, r.id)"
    assert len(compile_expression(source).evaluate(scope)) == 10


def test_a_budget_says_what_was_spent() -> None:
    budget = Budget()
    compile_expression("xs.map(x, x)").evaluate(SCOPE, budget)
    assert budget.steps_spent == 1_000
