"""On the common subset, nodeling and an implementation of CEL give the same values.

Left out, because the two differ on purpose: division and remainder (CEL's integers), mixtures of integers and
decimals, errors under `&&` and `||` (CEL looks past them), `??`, negative places and slices (CEL has none).
Letters beyond ASCII are left out too: the binding counts their bytes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.expressions import syntax as s
from nodeling_runtime.expressions.compiler import compile_expression, compile_tree
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.printer import render
from nodeling_runtime.expressions.record import Names

cel = pytest.importorskip("cel", reason="common-expression-language is not installed: no CEL to compare with")

SCOPE: dict[str, Any] = {
    "n": 3,
    "k": -2,
    "s": "hello",
    "t": "l",
    "yes": True,
    "xs": [5, 1, 9],
    "words": ["a", "bb", "a"],
    "m": {"a": 1, "b": 2},
    "rows": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}],
}


@st.composite
def numbers(draw: st.DrawFn, names: tuple[str, ...] = (), depth: int = 2) -> s.Node:
    if depth == 0 or draw(st.booleans()):
        return draw(st.integers(-9, 9).map(s.Literal) | st.sampled_from(["n", "k", *names]).map(s.Name))
    match draw(st.integers(0, 4)):
        case 0:
            rest = tuple(
                s.Operand(draw(st.sampled_from("+-")), draw(numbers(names, depth - 1))) for _ in range(2)
            )
            return s.Chain(draw(numbers(names, depth - 1)), rest)
        case 1:
            return s.Chain(draw(numbers(names, 0)), (s.Operand("*", draw(numbers(names, 0))),))
        case 2:
            value = draw(lists(depth - 1) | st.sampled_from(["s", "m", "words"]).map(s.Name))
            return s.Call("size", (value,))
        case 3:
            cases = ((draw(booleans(names, depth - 1)), draw(numbers(names, depth - 1))),)
            return s.Conditional(cases, draw(numbers(names, depth - 1)))
    return draw(
        st.sampled_from(
            [
                s.Access(s.Name("m"), (s.Member("a"),)),
                s.Access(s.Name("m"), (s.Index(s.Literal("b")),)),
                s.Access(s.Name("xs"), (s.Index(s.Literal(1)),)),
                s.Access(s.Name("rows"), (s.Index(s.Literal(0)), s.Member("id"))),
            ]
        )
    )


@st.composite
def strings(draw: st.DrawFn, depth: int = 2) -> s.Node:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["", "a", "e", "ll"]).map(s.Literal) | st.sampled_from("st").map(s.Name))
    return s.Chain(draw(strings(depth - 1)), (s.Operand("+", draw(strings(depth - 1))),))


@st.composite
def lists(draw: st.DrawFn, depth: int = 2) -> s.Node:
    if depth <= 0 or draw(st.booleans()):
        return s.Name("xs")
    match draw(st.integers(0, 3)):
        case 0:
            return s.ListLiteral(tuple(draw(numbers((), depth - 1)) for _ in range(draw(st.integers(1, 3)))))
        case 1:
            return s.Access(draw(_base(depth)), (s.Macro("map", "v", draw(numbers(("v",), depth - 1))),))
        case 2:
            return s.Access(draw(_base(depth)), (s.Macro("filter", "v", draw(booleans(("v",), depth - 1))),))
    return s.Chain(draw(lists(depth - 1)), (s.Operand("+", draw(lists(depth - 1))),))


def _base(depth: int) -> st.SearchStrategy[s.Node]:
    return lists(depth - 1).filter(lambda node: not isinstance(node, s.Access))


@st.composite
def booleans(draw: st.DrawFn, names: tuple[str, ...] = (), depth: int = 2) -> s.Node:
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from([s.Name("yes"), s.Literal(True), s.Literal(False)]))
    comparison = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    match draw(st.integers(0, 6)):
        case 0:
            return s.Binary(
                draw(comparison), draw(numbers(names, depth - 1)), draw(numbers(names, depth - 1))
            )
        case 1:
            return s.Binary(draw(comparison), draw(strings(depth - 1)), draw(strings(depth - 1)))
        case 2:
            operands = tuple(draw(booleans(names, depth - 1)) for _ in range(2))
            return s.Logic(draw(st.sampled_from(["&&", "||"])), operands)
        case 3:
            return s.Unary("!", draw(booleans(names, depth - 1)))
        case 4:
            return s.Binary("in", draw(numbers(names, depth - 1)), draw(lists(depth - 1)))
        case 5:
            macro = draw(st.sampled_from(["all", "exists", "exists_one"]))
            return s.Access(draw(_base(depth)), (s.Macro(macro, "v", draw(booleans(("v",), depth - 1))),))
    method = draw(st.sampled_from(["contains", "startsWith", "endsWith"]))
    return s.Access(s.Name("s"), (s.Method(method, (draw(strings(depth - 1)),)),))


TREES = numbers(depth=3) | strings() | lists() | booleans(depth=3)


@settings(deadline=None, max_examples=1_000)
@given(TREES)
def test_nodeling_and_cel_agree(tree: s.Node) -> None:
    source = render(tree)
    try:
        ours = compile_tree(source, tree).evaluate(Names(SCOPE))
    except ExpressionError:
        ours = ExpressionError
    try:
        theirs = cel.evaluate(source, SCOPE)
    except Exception:
        theirs = ExpressionError
    if ours is ExpressionError or theirs is ExpressionError:
        assert ours is theirs, source
    else:
        assert json.dumps(ours) == json.dumps(theirs), source


@pytest.mark.parametrize(
    "source",
    [
        "has(m.a)",
        "has(m.z)",
        '"a" in m',
        "m.a + size(words)",
        "rows.map(r, r.name)",
        "rows.exists(r, r.id == 2)",
        "[1, 2] == [1, 2]",
        '{"a": 1} == {"a": 1}',
        "words.filter(w, w != 'a')",
    ],
)
def test_everyday_expressions_agree(source: str) -> None:
    assert compile_expression(source).evaluate(Names(SCOPE)) == cel.evaluate(source, SCOPE)
