"""What holds for every text and every tree, not only for the ones somebody thought of."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodeling_runtime.expressions.compiler import compile_expression, compile_tree
from nodeling_runtime.expressions.errors import CODES, ExpressionError
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.parser import parse
from nodeling_runtime.expressions.printer import render
from nodeling_runtime.expressions.record import Names
from nodeling_runtime.expressions.syntax import Node
from nodeling_runtime.expressions.template import TemplateErrors, compile_template
from unit.runtime.expressions.expression_trees import SCOPE, Failed, evaluate, trees

FRAGMENTS = st.sampled_from(
    "n s xs m nil yes . ?. [ ] ?[ ( ) { } , : ? ?? && || ! == != < <= in + - * / % 1 2.5 true null".split(" ")
    + "has( .map(v, .filter(v, v .size() .sum() => === typeof ` ${ ... .slice( .length /x/ \\ \ud800 é".split(
        " "
    )
    + ['"a"', "'b'", "\n"]
)
HOSTILE = (
    st.text(max_size=40)
    | st.lists(FRAGMENTS, max_size=14).map(" ".join)
    | st.lists(FRAGMENTS, max_size=14).map("".join)
)


def text_of(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@settings(deadline=None, max_examples=400)
@given(trees())
def test_a_printed_tree_parses_to_itself(tree: Node) -> None:
    assert repr(parse(render(tree))) == repr(tree) or parse(render(tree)) == tree


@settings(deadline=None, max_examples=1_200)
@given(trees())
def test_the_compiler_agrees_with_a_naive_evaluator(tree: Node) -> None:
    try:
        expected: Any = text_of(evaluate(tree, SCOPE))
    except Failed:
        expected = Failed
    try:
        found: Any = text_of(compile_tree(render(tree), tree).evaluate(Names(SCOPE)))
    except ExpressionError as error:
        assert error.code in CODES
        found = Failed
    assert found == expected


@settings(deadline=None, max_examples=1_000)
@given(HOSTILE)
@example("(" * 50_000)
@example("!" * 50_000)
@example("-" * 50_000)
@example("[" * 4_000 + "]" * 4_000)
@example("a ? " * 4_000)
@example("a" + ".b" * 2_000)
@example("1" + "+1" * 2_400)
@example("n" + ".map(v, n" * 30)
@example("1" * 50_000)
@example("'" + "\\" * 99_999)
@example("xs" + ".map(v, [v, v])" * 400)
@example("x" * 100_001)
def test_any_text_has_a_value_or_an_expression_error(source: str) -> None:
    for compile_source in (compile_expression, compile_javascript):
        try:
            json.dumps(compile_source(source).evaluate(Names({**SCOPE, "ctx": SCOPE})))
        except ExpressionError as error:
            assert error.code in CODES
            assert str(error)


@settings(deadline=None, max_examples=400)
@given(
    st.recursive(
        HOSTILE | st.just("${n}"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_any_value_is_a_template_or_lists_its_faults(value: Any) -> None:
    try:
        template = compile_template(value)
    except TemplateErrors as errors:
        assert errors.found
        assert all(isinstance(error, ExpressionError) for _, error, _ in errors.found)
        return
    try:
        template.evaluate(Names({**SCOPE, "ctx": SCOPE}))
    except ExpressionError as error:
        assert error.pointer is not None


@settings(deadline=None, max_examples=300)
@given(trees())
def test_evaluation_leaves_the_data_as_it_was(tree: Node) -> None:
    before = text_of(SCOPE)
    try:
        compile_tree("", tree).evaluate(Names(SCOPE))
    except ExpressionError:
        pass
    assert text_of(SCOPE) == before
