"""What an expression reads, as data."""

from __future__ import annotations

import pytest

from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.javascript import compile_javascript


def listed(source: str) -> list[str]:
    return [
        f"{reference}{' guarded' if reference.guarded else ''}"
        for reference in compile_expression(source).references
    ]


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("1 + 2", []),
        ("a", ["a"]),
        ("a.b.c", ["a.b.c"]),
        ('steps["chunk-1"].output[0].x', ['steps["chunk-1"].output[0].x']),
        ("a[-1]", ["a[-1]"]),
        ("(a.b).c", ["a.b.c"]),
        ("a[b.c].d", ["a[…].d", "b.c"]),
        ("a.b[1:n].c", ["a.b", "n"]),
        ("a.b.size()", ["a.b"]),
        ("size(a.b)", ["a.b"]),
        ("a.contains(b.c)", ["a", "b.c"]),
        ("a && b.c || !d", ["a", "b.c", "d"]),
        ("a ?? b", ["a guarded", "b"]),
        ("a.b ?? c ?? d", ["a.b guarded", "c guarded", "d"]),
        ("default(a.b, c)", ["a.b guarded", "c"]),
        ("a?.b.c", ["a.b.c guarded"]),
        ("a.b?.size()", ["a.b guarded"]),
        ("has(a.b.c)", ["a.b.c guarded"]),
        ("size(a) ?? b", ["a guarded", "b"]),
        ("xs.map(v, v.a + b)", ["xs", "b"]),
        ("xs.map(v, v[b.c])", ["xs", "b.c"]),
        ("xs.map(v, ys.map(w, v + w + z))", ["xs", "ys", "z"]),
        ("v.map(v, v.x)", ["v"]),
        ("[a, {b.c: d}]", ["a", "b.c", "d"]),
        ("a ? b : c ? d : e", ["a", "b", "c", "d", "e"]),
    ],
)
def test_every_maximal_path_is_a_reference(source: str, references: list[str]) -> None:
    assert listed(source) == references


@pytest.mark.parametrize(
    ("source", "whole"),
    [
        ("a.b", "a.b"),
        (" a[0] ", "a[0]"),
        ("(a.b)", "a.b"),
        ("a", "a"),
        ("a?.b", None),
        ("a[b]", None),
        ("a.b[1:]", None),
        ("a + b", None),
        ("a.b ?? c", None),
        ("'a'", None),
    ],
)
def test_a_whole_reference_is_one_plain_path(source: str, whole: str | None) -> None:
    reference = compile_expression(source).whole_reference
    assert (None if reference is None else str(reference)) == whole


def test_a_reference_knows_its_place() -> None:
    source = '1 + steps["a"].output'
    (reference,) = compile_expression(source).references
    assert source[reference.position : reference.end] == 'steps["a"].output'


@pytest.mark.parametrize(
    ("source", "references"),
    [
        ("vars.a", ["ctx.vars.a"]),
        ("data", ["ctx.response.data"]),
        ("ctx.vars['x y'].rows.slice(0, vars.n)", ['ctx.vars["x y"].rows', "ctx.vars.n"]),
        ("vars.rows.map(r => r.id + vars.k)", ["ctx.vars.rows", "ctx.vars.k"]),
        ("vars.rows.map(data => data.id)", ["ctx.vars.rows"]),
        ("vars.rows.length", ["ctx.vars.rows"]),
        ("vars.rows.filter(Boolean)", ["ctx.vars.rows"]),
        ("vars.a || vars.b", ["ctx.vars.a guarded", "ctx.vars.b"]),
        ("undefined", []),
    ],
)
def test_references_of_javascript_use_the_names_of_the_scope(source: str, references: list[str]) -> None:
    found = compile_javascript(source).references
    assert [f"{item}{' guarded' if item.guarded else ''}" for item in found] == references
