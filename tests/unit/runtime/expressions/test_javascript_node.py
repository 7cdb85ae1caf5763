"""What is lowered from JavaScript means what Node says it means, on generated values."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.javascript_names import (
    CALLBACK_METHODS,
    CONSTANTS,
    FUNCTIONS,
    METHODS,
    ROOTS,
)
from nodeling_runtime.expressions.record import Names
from programs import need
from unit.runtime.expressions import javascript_cases as CASES

HERE = Path(__file__).parent
# Every construct meets this many generated contexts; the full count takes a while on a slow machine.
CONTEXTS = 10_000 if os.environ.get("CI") else 2_500
NOTHING = object()


def same(left: Any, right: Any) -> bool:
    """JSON equality, told apart by type; every number is a double, as it is for Node."""
    kind = type(left)
    if kind is not type(right):
        return {kind, type(right)} == {int, float} and float(left) == float(right)
    if kind is dict:
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if kind is list:
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def value_or_nothing(expression: Any, scope: Names) -> Any:
    try:
        return expression.evaluate(scope)
    except ExpressionError:
        return NOTHING


def test_every_construct_agrees_with_node_on_generated_values() -> None:
    node = need("node")
    contexts = CASES.generated_contexts(CONTEXTS, seed=20_26)
    payload = json.dumps({"expressions": CASES.CONSTRUCTS, "contexts": contexts}).encode("utf-8")
    with subprocess.Popen(
        [node, str(HERE / "javascript_judge.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(payload)
        process.stdin.close()
        scopes = [Names({"ctx": context, "func": {}}) for context in contexts]
        differences = []
        for source in CASES.CONSTRUCTS:
            expression = compile_javascript(source)
            judged = orjson.loads(process.stdout.readline())
            for place, verdict in enumerate(judged):
                ours = value_or_nothing(expression, scopes[place])
                if ours is NOTHING if verdict == 0 else (ours is not NOTHING and same(ours, verdict[0])):
                    continue
                differences.append((source, contexts[place]["vars"], ours, verdict))
                break
    shown = "\n".join(
        f"{source}\n   {held}\n   nodeling {ours!a}  node {verdict!a}"
        for source, held, ours, verdict in differences[:10]
    )
    assert not differences, f"{len(differences)} constructs differ:\n{shown}"


@pytest.mark.parametrize("name", sorted({*METHODS, *CALLBACK_METHODS}))
def test_each_lowered_method_is_compared(name: str) -> None:
    assert any(f".{name}(" in source for source in CASES.CONSTRUCTS)


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *CONSTANTS, *(set(ROOTS) - {"func"})}))
def test_each_lowered_name_is_compared(name: str) -> None:
    assert any(name in source for source in CASES.CONSTRUCTS)


def test_values_come_out_both_ways_for_almost_every_construct() -> None:
    """The comparison would say nothing about a construct that always fails."""
    scopes = [Names({"ctx": context, "func": {}}) for context in CASES.generated_contexts(400, seed=5)]
    silent = []
    for source in CASES.CONSTRUCTS:
        expression = compile_javascript(source)
        if all(value_or_nothing(expression, scope) is NOTHING for scope in scopes):
            silent.append(source)
    assert set(silent) <= {
        "vars.missing",
        "vars.o.constructor",
        "vars.xs.map",
        "vars.s.trim",
        "vars.s.nothing",
        "vars.n.x",
        "Math.min()",
        "({vars})",
        "vars.a?.b.c",
        "vars.a.x.y",
        "vars.n / 0",
    }
