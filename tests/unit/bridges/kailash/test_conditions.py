"""Conditions in Python mean here what Python makes of them; what has no like is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.conditions import condition_of
from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.record import Names

NAMES = {"a": 3, "b": "text", "c": None, "d": [1, 2], "e": {"k": 0}, "f": True, "g": 0.5}


def resolve(name: str) -> str:
    if name not in NAMES:
        raise ConfigError(f"{name} is a stranger", code="kailash.condition")
    return f"data.{name}"


def ours(text: str) -> Any:
    return compile_expression(condition_of(text, resolve)).evaluate(
        Names({"data": json.loads(json.dumps(NAMES))})
    )


@pytest.mark.parametrize(
    "text",
    [
        "a == 3 and b is not None",
        "a > 1 and not c",
        "c is None or e.missing",
        "1 < a <= 3",
        "b in ['text', 'other']",
        "'k' in e",
        "2 not in d",
        "e.get('k') == 0",
        "e.get('nothing', 7) == 7",
        "e.get('nothing') is None",
        "e['k'] == 0 and d[1] == 2 and d[-1] == 2",
        "len(d) == 2",
        "b.upper() == 'TEXT' and b.startswith('te')",
        "d",
        "not d",
        "c or f",
        "-a == -3 and a * 2 + 1 == 7 and a / 2 == 1.5",
        "True",
        "f is True",
        "(a, 1) == (3, 1)",
    ],
)
def test_a_condition_is_true_exactly_when_python_finds_it_so(text: str) -> None:
    assert ours(text) is bool(eval(text, {"__builtins__": {"len": len}}, dict(NAMES)))


def terms() -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "1", "0", "''", "None", "True", "False", "[]"])
    compare = st.tuples(leaf, st.sampled_from(["==", "!=", "is not"]), st.sampled_from(["None", "True"]))
    order = st.tuples(st.sampled_from(["a", "g", "2"]), st.sampled_from(["<", "<=", ">"]), st.integers(-3, 3))
    base = leaf | compare.map(" ".join) | order.map(lambda one: f"{one[0]} {one[1]} {one[2]}")
    return st.recursive(
        base,
        lambda inner: (
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
                lambda one: f"({one[0]}) {one[1]} ({one[2]})"
            )
            | inner.map(lambda one: f"not ({one})")
        ),
        max_leaves=8,
    )


@given(terms())
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_any_condition_of_these_parts_agrees_with_python(text: str) -> None:
    # `1 == True` and `0 == False` hold in Python and not in JSON; nothing else may differ.
    expected = bool(eval(text, {"__builtins__": {}}, dict(NAMES)))
    if any(part in text for part in ("1 == True", "1 != True", "0 == True", "0 != True")):
        return
    assert ours(text) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__import__('os').system('true')", "cannot call"),
        ("open('/etc/passwd')", "cannot call"),
        ("(lambda: 1)()", "cannot call"),
        ("[x for x in d]", "cannot hold"),
        ("a if f else b", "cannot hold"),
        ("f'{a}'", "cannot hold"),
        ("a ** 2", "cannot hold"),
        ("d[0:1]", "cannot hold"),
        ("a is 3", "`is` is for None"),
        ("x == 1", "stranger"),
        ("a ==", "is no expression"),
        ("import os", "is no expression"),
        ("(" * 500 + "a" + ")" * 500, "is no expression"),
    ],
)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_what_has_no_like_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("$", r"\$")):
        condition_of(text, resolve)
