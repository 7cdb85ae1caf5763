"""The reference page says what the language does: its examples run, its tables are complete."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nodeling_runtime.expressions.budget import MAX_DEPTH, MAX_SOURCE, MAX_STEPS, MAX_TOKENS, MAX_VALUE_DEPTH
from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.errors import CODES
from nodeling_runtime.expressions.functions import BUILTINS
from nodeling_runtime.expressions.javascript import compile_javascript
from nodeling_runtime.expressions.javascript_names import CALLBACK_METHODS, FUNCTIONS, METHODS
from nodeling_runtime.expressions.parser import LEVELS, MACROS
from nodeling_runtime.expressions.record import Names

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "expressions.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCOPE = Names(json.loads(next(body for language, body in BLOCKS if language == "json")))


def examples(language: str) -> list[str]:
    return [line for name, body in BLOCKS if name == language for line in body.splitlines()]


@pytest.mark.parametrize("line", examples("expr") + [f"js/{line}" for line in examples("js")])
def test_example_gives_what_the_page_says(line: str) -> None:
    source, _, value = line.partition("  →  ")
    compiled: Any = (
        compile_javascript(source.removeprefix("js/"))
        if source.startswith("js/")
        else compile_expression(source)
    )
    assert json.dumps(compiled.evaluate(SCOPE)) == json.dumps(json.loads(value))


def test_there_are_examples_of_both_languages() -> None:
    assert len(examples("expr")) > 30
    assert examples("js")


def test_each_function_is_documented_as_it_is_called() -> None:
    for function in BUILTINS:
        usage = function.usage.replace(" or ", "` or `")
        assert f"| `{usage}` | {function.doc} |" in PAGE, function.name


def test_no_function_is_documented_that_does_not_exist() -> None:
    section = PAGE.partition("## Functions")[2].partition("## Budgets")[0]
    named = set(re.findall(r"^\| `(\w+)\(", section, re.MULTILINE))
    assert named == {function.name for function in BUILTINS}


@pytest.mark.parametrize("code", CODES)
def test_each_error_code_is_documented(code: str) -> None:
    assert f"| `{code}` | {CODES[code]} |" in PAGE


@pytest.mark.parametrize("name", [*MACROS, *METHODS, *CALLBACK_METHODS, *FUNCTIONS, *LEVELS])
def test_each_macro_operator_and_javascript_name_is_on_the_page(name: str) -> None:
    assert name in PAGE.replace("&#124;", "|")


@pytest.mark.parametrize("limit", [MAX_SOURCE, MAX_TOKENS, MAX_DEPTH, MAX_STEPS, MAX_VALUE_DEPTH])
def test_each_limit_is_documented(limit: int) -> None:
    section = PAGE.partition("## Budgets")[2].partition("## Errors")[0]
    assert re.search(rf"\b{limit:,}\b", section)
