"""What cannot be lowered from JavaScript is refused by name, before anything runs."""

from __future__ import annotations

import pytest

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript import compile_javascript, lower_javascript
from nodeling_runtime.expressions.record import Names


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("/a+/.test(vars.s)", "a regular expression literal"),
        ("vars.s.match(/x/)", "the method match"),
        ("fetch('http://x')", "a function call to fetch"),
        ("require('fs')", "a function call to require"),
        ("eval('1')", "a function call to eval"),
        ("func.go()", "the method go"),
        ("vars.f()", "the method f"),
        ("vars['f']()", "a call of a computed method"),
        ("vars.f?.()", "an optional call"),
        ("new Date()", "new"),
        ("vars.a = 1", "an assignment"),
        ("vars.a += 1", "an assignment"),
        ("vars.a ??= 1", "an assignment"),
        ("vars.n++", "an increment"),
        ("--vars.n", "a decrement"),
        ("vars.n ** 2", "exponentiation"),
        ("vars.n | 0", "a bitwise operator"),
        ("~vars.n", "a bitwise operator"),
        ("vars.n >>> 1", "a bitwise operator"),
        ("vars.a, vars.b", "the comma operator"),
        ("(vars.a, vars.b)", "the comma operator"),
        ("vars.a instanceof Object", "instanceof"),
        ("delete vars.a", "delete"),
        ("void 0", "void"),
        ("await vars.a", "await"),
        ("this.x", "this"),
        ("function () { return 1 }", "a function expression"),
        ("(x => x)", "a function outside map"),
        ("vars.xs.map(function (x) { return x })", "a callback that is not an arrow function"),
        ("vars.xs.map(x => { return x })", "an arrow function with a block body"),
        ("vars.xs.map(({a}) => a)", "a parameter that is not a plain name"),
        ("vars.xs.map((a = 1) => a)", "an assignment"),
        ("vars.xs.map(parseInt)", "a callback that is not an arrow function"),
        ("vars.xs.sort()", "the method sort, which changes its array"),
        ("vars.xs.reverse()", "the method reverse, which changes its array"),
        ("vars.xs.push(1)", "the method push, which changes its array"),
        ("vars.xs.toSorted()", "the method toSorted"),
        ("vars.n.toFixed(2)", "the method toFixed"),
        ("vars.s.localeCompare('a')", "the method localeCompare"),
        ("Math.random()", "Math.random"),
        ("Math.PI", "Math.PI"),
        ("Object.assign({}, vars.a)", "Object.assign"),
        ("JSON.parse(vars.s)", "JSON.parse"),
        ("JSON.stringify(vars.a, null, 2)", "JSON.stringify with 3"),
        ("vars.s.split(',', 2)", "split with 2 arguments"),
        ("[1, , 2]", "a hole in an array"),
        ("({f() { return 1 }})", "a method in an object literal"),
        ("({__proto__: null})", "the key __proto__"),
        ("10n", "a BigInt"),
        ("010", "an octal number"),
        ("'\\07'", "an octal escape"),
        ("1 < 2 < 3", "a chain of comparisons"),
        ("String`a`", "a tagged template"),
        ("vars.a; vars.b", "a statement"),
    ],
)
def test_the_construct_is_named(source: str, named: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_javascript(source)
    error = caught.value
    assert error.code == "expr.javascript", str(error)
    assert named in error.message
    assert "nodeling[js]" in str(error.hint)
    assert error.position is not None
    assert error.source == source


@pytest.mark.parametrize(
    ("source", "rewrite"),
    [("vars.xs.sort()", "${sort(xs)}"), ("/a/.test(vars.s)", "glob("), ("JSON.parse(vars.s)", "parseJson(")],
)
def test_a_rewrite_is_offered_where_there_is_one(source: str, rewrite: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_javascript(source)
    assert rewrite in str(caught.value.hint)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "vars.",
        "vars.a +",
        "(vars.a",
        "[1",
        "{a: }",
        "'open",
        "`open",
        "`${1",
        "vars.a ?? 1 || 2",
        "1 2",
        "#a",
    ],
)
def test_what_is_no_javascript_at_all_is_a_syntax_error(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        lower_javascript(source)
    assert caught.value.code == "expr.syntax"


def test_an_unknown_root_suggests_the_nearest() -> None:
    with pytest.raises(ExpressionError, match="did you mean 'vars'") as caught:
        compile_javascript("var_.x")
    assert caught.value.code == "expr.unknown_name"


def test_a_plain_path_becomes_an_ordinary_expression() -> None:
    expression = compile_javascript("ctx.vars['parallel-processing'].results")
    assert expression.language == "expr"
    assert str(expression.whole_reference) == 'ctx.vars["parallel-processing"].results'


@pytest.mark.parametrize(
    "source", ["vars.nope", "vars.xs[7]", "[vars.nope]", "({a: vars.nope})", "undefined"]
)
def test_undefined_at_the_end_is_an_error(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_javascript(source).evaluate(Names({"ctx": {"vars": {"xs": []}}}))
    assert caught.value.code == "expr.no_such_key"


@pytest.mark.parametrize("character", ["\u019b", "\U00010d50"])
def test_the_case_of_a_character_that_this_python_does_not_know_is_refused(character: str) -> None:
    scope = Names({"ctx": {"vars": {"s": character}}})
    with pytest.raises(ExpressionError, match="the case of the character") as caught:
        compile_javascript("vars.s.toUpperCase()").evaluate(scope)
    assert caught.value.code == "expr.javascript"
