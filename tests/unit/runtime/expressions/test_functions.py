"""Functions that a package brings, and the table they stand in."""

from __future__ import annotations

from typing import Any

import pytest

from nodeling.errors import PluginError
from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.functions import BUILTINS, ExpressionFunction, FunctionTable
from nodeling_runtime.expressions.record import Names


def function(call: Any, name: str = "mine", low: int = 0, high: int | None = None) -> ExpressionFunction:
    return ExpressionFunction(name, call, low, high, "Something.", owner="acme 1.0")


def evaluate(source: str, added: ExpressionFunction) -> Any:
    return compile_expression(source, BUILTINS.extended([added])).evaluate(Names({"n": 3}))


def test_a_function_is_called_in_both_spellings() -> None:
    shout = function(lambda text, mark="!": text.upper() + mark, "shout", 1, 2)
    assert evaluate("shout('a')", shout) == "A!"
    assert evaluate("'a'.shout('?')", shout) == "A?"


@pytest.mark.parametrize("source", ["shout()", "shout(1, 2, 3)", "'a'.shout(1, 2)"])
def test_the_number_of_arguments_is_checked_before_anything_runs(source: str) -> None:
    table = BUILTINS.extended([function(lambda text, mark="!": text, "shout", 1, 2)])
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, table)
    assert caught.value.code == "expr.arguments"


@pytest.mark.parametrize(
    "result",
    [
        {1, 2},
        (1, 2),
        object(),
        float("nan"),
        float("inf"),
        2**60,
        {1: 2},
        [{"a": {3}}],
        b"x",
        [[]] * 0 + [1j],
    ],
    ids=repr,
)
def test_a_result_that_is_not_json_is_an_error_that_names_the_function(result: Any) -> None:
    with pytest.raises(ExpressionError, match="mine") as caught:
        evaluate("mine()", function(lambda: result))
    assert caught.value.code == "expr.function"


def test_a_circular_result_is_refused() -> None:
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(ExpressionError, match="nests too deeply"):
        evaluate("mine()", function(lambda: circular))


def test_a_function_that_raises_fails_the_expression_with_its_cause() -> None:
    def broken() -> None:
        raise RuntimeError("no luck")

    with pytest.raises(ExpressionError, match="mine failed: RuntimeError: no luck") as caught:
        evaluate("1 + mine()", function(broken))
    assert caught.value.position == 4
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_name_taken_twice_names_both_owners() -> None:
    with pytest.raises(PluginError, match=r"'size' is defined by nodeling and by acme 1\.0"):
        BUILTINS.extended([function(len, "size")])


@pytest.mark.parametrize("name", ["map", "has", "true", "default", "a-b", "", "a.b"])
def test_names_that_could_not_be_called_are_refused(name: str) -> None:
    with pytest.raises(PluginError):
        function(len, name)


def test_extending_leaves_the_table_as_it_was() -> None:
    before = len(BUILTINS)
    longer = BUILTINS.extended([function(lambda: 1)])
    assert "mine" in longer
    assert "mine" not in BUILTINS
    assert (len(longer), len(BUILTINS)) == (before + 1, before)


def test_an_unknown_function_suggests_the_nearest() -> None:
    with pytest.raises(ExpressionError, match="did you mean 'startsWith'"):
        compile_expression("s.startswith('a')")
    with pytest.raises(ExpressionError, match="unknown function 'x'"):
        compile_expression("x()", FunctionTable())


@pytest.mark.parametrize("name", sorted(item.name for item in BUILTINS))
def test_no_function_fails_in_any_way_but_its_own(name: str) -> None:
    """Every function meets every kind of argument."""
    values = [
        "null",
        "true",
        "-1",
        "2.5",
        "1e300",
        "''",
        "'a,b'",
        "[]",
        "[1, 'a']",
        "[2, 1]",
        "{}",
        "{'a': [1]}",
    ]
    found = BUILTINS.get(name)
    assert found is not None
    most = 3 if found.max_args is None else found.max_args
    for count in range(found.min_args, most + 1):
        for shift in range(len(values) ** min(count, 2)):
            chosen = [values[shift // len(values) ** place % len(values)] for place in range(count)]
            try:
                compile_expression(f"{name}({', '.join(chosen)})").evaluate(Names({}))
            except ExpressionError as error:
                assert error.code not in ("expr.function", "expr.syntax")
