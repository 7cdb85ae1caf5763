"""Every case of the published conformance file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.errors import CODES, ExpressionError
from nodeling_runtime.expressions.record import Names

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "expressions-conformance.json"
CASES: list[dict[str, Any]] = json.loads(PAGE.read_text(encoding="utf-8"))


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": compile_expression(case["source"]).evaluate(Names(case["scope"]))}
    except ExpressionError as error:
        return {"error": error.code}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case_holds(case: dict[str, Any]) -> None:
    expected = {key: case[key] for key in ("value", "error") if key in case}
    # as JSON text, because to Python 1 == 1.0 == True
    assert json.dumps(outcome(case)) == json.dumps(expected)


def test_the_file_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 300
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_every_error_a_program_can_meet_is_in_the_file() -> None:
    met = {case["error"] for case in CASES if "error" in case}
    assert met >= set(CODES) - {"expr.javascript", "expr.no_output", "expr.function"}
