"""Scopes and records: what an expression can reach, and what it resolves."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import pytest

from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.errors import ExpressionError, no_output, no_such_key
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.record import Names, Record


class Step(Record):
    """A step that failed: it has a status and no output."""

    def get(self, key: str) -> Any:
        if key == "status":
            return "failed"
        if key == "output":
            raise no_output("work", "failed")
        raise no_such_key(key, self.keys(), "steps.work")

    def keys(self) -> Iterable[str]:
        return ("status", "output")


class Steps(Record):
    def __init__(self) -> None:
        self.resolved: list[str] = []

    def get(self, key: str) -> Any:
        self.resolved.append(key)
        if key == "work":
            return Step()
        if key == "fetch":
            return {"output": {"n": 1}}
        raise no_such_key(key, self.keys(), "steps")

    def keys(self) -> Iterable[str]:
        return ("fetch", "work")


def evaluate(source: str, steps: Steps | None = None) -> Any:
    return compile_expression(source).evaluate(Names({"steps": steps or Steps()}))


def test_only_the_keys_an_expression_names_are_resolved() -> None:
    steps = Steps()
    assert evaluate("steps.fetch.output.n == 1", steps) is True
    assert steps.resolved == ["fetch"]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("steps.work.status", "failed"),
        ("steps.work.output ?? 'none'", "none"),
        ("steps.work?.output", None),
        ("steps.work.output?.rows", None),
        ("steps.work.output.rows ?? []", []),
        ("has(steps.work.output)", False),
        ("has(steps.work.status)", True),
        ("has(steps.fetch.output)", True),
        ("has(steps.nope.output)", False),
        ("(steps.nope ?? steps.fetch).output.n", 1),
        ("(true ? steps : null).fetch.output.n", 1),
        ("steps", {"fetch": {"output": {"n": 1}}, "work": {"status": "failed"}}),
        ("steps.work", {"status": "failed"}),
        ("[steps.work]", [{"status": "failed"}]),
        ("{'w': steps.work}", {"w": {"status": "failed"}}),
        ("steps.work == {'status': 'failed'}", True),
        ("keys(steps)", ["fetch", "work"]),
        ("steps.map(k, k)", ["fetch", "work"]),
        ("'work' in steps", True),
        ("steps['work'].status", "failed"),
    ],
)
def test_a_record_behaves_as_the_map_it_stands_for(source: str, value: Any) -> None:
    assert evaluate(source) == value


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("steps.work.output", "expr.no_output", "step 'work' has no output, it is failed"),
        ("steps.work.output.rows", "expr.no_output", "has()"),
        ("steps.wrk.output", "expr.no_such_key", "did you mean 'work'? there are: fetch, work"),
        ("steps.work.outputs", "expr.no_such_key", "did you mean 'output'?"),
        ("steps[0]", "expr.type", "the keys of a map are strings"),
        ("stepz.work", "expr.unknown_name", "did you mean 'steps'?"),
    ],
)
def test_errors_name_what_exists(source: str, code: str, text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source)
    assert caught.value.code == code
    assert text in str(caught.value)
    assert caught.value.position is not None


def test_javascript_reads_records_too() -> None:
    scope = Names({"ctx": Steps()})
    assert compile_javascript("ctx.fetch.output.n + 1").evaluate(scope) == 2
    assert compile_javascript("ctx.nope === undefined").evaluate(scope) is True
    assert compile_javascript("Object.keys(ctx)").evaluate(scope) == ["fetch", "work"]
    with pytest.raises(ExpressionError, match="no output"):
        compile_javascript("ctx.work.output || 1").evaluate(scope)


class Secret:
    attribute = "must not be seen"


@pytest.mark.parametrize(
    "source", ["x", "x.attribute", "x['attribute']", "[x]", "x == x", "string(x)", "x?.attribute"]
)
def test_no_python_object_is_ever_reached(source: str) -> None:
    with pytest.raises(ExpressionError, match="not a JSON value"):
        compile_expression(source).evaluate(Names({"x": Secret()}))


def test_a_subclass_of_a_json_type_is_the_value_it_holds() -> None:
    scope = Names({"x": OrderedDict(a=1)})
    assert type(compile_expression("x").evaluate(scope)) is dict
    assert compile_expression("x.a + 1").evaluate(scope) == 2


def test_the_language_loads_nothing_that_could_have_an_effect() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import nodeling_runtime.expressions.template, nodeling_runtime.expressions.javascript\n"
        "import nodeling_runtime.expressions.infer\n"
        "print([n for n in ('asyncio', 'subprocess', 'socket', 'sqlite3') if n in sys.modules])"
    )
    paths = [path for path in sys.path if path.endswith(("runtime", "python"))]
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *paths], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_an_error_survives_pickling_with_all_it_knows() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("steps.wrk")
    again = copy.copy(caught.value)
    assert str(again) == str(caught.value)
    assert (again.code, again.position) == (caught.value.code, caught.value.position)
