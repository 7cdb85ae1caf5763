"""JavaScript that cannot be lowered: run apart within limits that hold, or refused without an engine."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nodeling_runtime.engine.loaded import function_table
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.functions import BUILTINS, FunctionTable
from nodeling_runtime.expressions.record import Names
from nodeling_runtime.expressions.template import TemplateErrors, compile_template
from nodeling_runtime.quickjs import engine as engine_module
from nodeling_runtime.quickjs.engine import KILL_SECONDS

CTX = {"vars": {"rows": [3, 1, 2]}, "request": {"body": {"n": 1.5}}, "response": {"data": [9]}}
KILLED = "killed after 3 s"
TOO_LONG = ("more than 1 s", KILLED)  # a second of processor time, or three by the clock
SLACK = 20.0  # a worker may have to start on a machine that is busy


@pytest.fixture(scope="module")
def table() -> Iterator[FunctionTable]:
    if importlib.util.find_spec("quickjs") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "quickjs-ng is not installed: pip install -e .[dev]"
        )
    yield function_table()
    loop = engine_module._engine()._loop
    engine_module._engine().close()
    assert loop.is_closed()


def value(script: str, table: FunctionTable) -> Any:
    return compile_template(f"js/{script}", table).evaluate(Names({"ctx": CTX}))


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("ctx.vars.rows.slice().sort()", [1, 2, 3]),
        ("ctx.vars.absent ?? new Date(7).getTime()", 7),
        ("[...new Set(vars.rows)].length", 3),
        ("data.concat(vars.rows).sort((a, b) => b - a)", [9, 3, 2, 1]),
        ("ctx.request.body.n.toFixed(2)", "1.50"),
        ("ctx.vars.rows.map(n => ({ n })).reverse()", [{"n": 2}, {"n": 1}, {"n": 3}]),
        ("new Date(0).toISOString()", "1970-01-01T00:00:00.000Z"),
        ("(() => { let s = 0; for (const n of vars.rows) s += n; return s; })()", 6),
        ("[typeof ctx.vars.absent, typeof ctx.absent, typeof func, ctx['vars'].rows.pop()]", None),
        ("/(\\d+)-(\\d+)/.exec('10-20').slice(1)", ["10", "20"]),
        ("'\u2028 é 😀'.normalize()", "\u2028 é 😀"),
    ],
)
def test_what_cannot_be_lowered_is_run(script: str, wanted: Any, table: FunctionTable) -> None:
    if wanted is None and script.startswith("[typeof"):
        wanted = ["undefined", "undefined", "object", 2]
    assert value(script, table) == wanted


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("(() => { for (;;); })()", TOO_LONG),
        ("/^(a+)+$/.test('a'.repeat(40) + 'b')", TOO_LONG),
        ("(() => { const a = []; for (;;) a.push('x'.repeat(1e6)); })()", "more than 64 MiB"),
        ("new Array(3e8).join('x').length", KILLED),
        ("(() => { const f = () => f(); return f(); })()", "call stack"),
        ("(() => { throw new Error('mine') })()", "mine"),
        ("(() => () => 1)()", "Function"),
        ("(() => undefined)()", "Undefined"),
        ("(function () { return this })()", "Undefined"),
        ("new Map([[1, 2]])", "Map"),
        ("Number('x') * vars.rows.at(0).toFixed()", "NaN"),
        ("(() => { const o = {}; o.o = o; return o; })()", "circular"),
        ("import('fs')", "Promise"),
        ("std.open('/etc/passwd', 'r').readAsString()", "std"),
        ("require('child_process')", "require"),
    ],
)
def test_a_hostile_script_fails_alone_and_in_time(
    script: str, said: str | tuple[str, ...], table: FunctionTable
) -> None:
    started = time.monotonic()
    with pytest.raises(ExpressionError) as caught:
        value(script, table)
    assert caught.value.code == "expr.function"
    assert any(word in caught.value.message for word in ([said] if isinstance(said, str) else said))
    assert time.monotonic() - started < KILL_SECONDS + SLACK
    assert value("[3, 1].sort()", table) == [1, 3]


def test_one_script_leaves_nothing_behind_for_the_next(table: FunctionTable) -> None:
    trick = "Object.prototype.toJSON = () => 7; JSON.stringify = () => 'x'; Array.prototype.sort = 1;"
    value(f"(() => {{ {trick} return 1; }})()", table)
    assert value("({ a: [2, 1].sort() })", table) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "script", ["vars.rows.sort(", "1); throw new Error('x'", "1)]; [(2", "let a = 1", "a b"]
)
def test_what_is_no_expression_is_a_fault_of_the_document(script: str, table: FunctionTable) -> None:
    with pytest.raises(TemplateErrors) as caught:
        compile_template({"x": f"js/{script}"}, table)
    assert caught.value.found[0][1].code in ("expr.syntax", "expr.javascript")
    assert caught.value.found[0][0] == "/x"


def test_the_checker_sees_what_a_script_reads(table: FunctionTable) -> None:
    template = compile_template("js/ctx.vars.rows.concat(vars.more, data, ctx.request.body.n).sort()", table)
    read = {".".join([one.root, *map(str, one.path)]) for _, one in template.references}
    assert read == {"ctx.vars.rows", "ctx.vars.more", "ctx.response.data", "ctx.request"}


def test_what_can_be_lowered_starts_no_worker(table: FunctionTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_engine", None)
    assert value("ctx.vars.rows.slice(0, 1)", table) == [3]


def test_without_the_extra_the_construct_and_the_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TemplateErrors) as caught:
        compile_template("js/ctx.vars.rows.sort()", function_table())
    error = caught.value.found[0][1]
    assert error.code == "expr.javascript"
    assert "sort" in error.message and "nodeling[js]" in str(error.hint)
    assert BUILTINS.get("_javascript") is None
