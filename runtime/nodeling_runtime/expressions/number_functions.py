"""Built-in functions on numbers, and conversions to them."""

from __future__ import annotations

import math
import re
from typing import Any

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.function_table import ExpressionFunction, need
from nodeling_runtime.expressions.operators import checked_number, is_number, type_error, type_name

__all__ = ["NUMBER_FUNCTIONS"]

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}

_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
MAX_DIGITS = 15
MAX_NUMERAL = 400


def to_int(value: Any) -> int:
    """A number without its fraction, or the integer a string spells."""
    if value.__class__ is str:
        text = value.strip()
        if len(text) > MAX_NUMERAL or not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ExpressionError(f"'{value[:40]}' does not spell an integer", code="expr.value")
        return int(checked_number(int(text)))
    if not is_number(value):
        raise type_error(f"int needs a number or a string, not a {type_name(value)}")
    return int(checked_number(int(value)))


def to_float(value: Any) -> float:
    """A number with a fraction, or the number a string spells."""
    if value.__class__ is str:
        text = value.strip()
        if len(text) > MAX_NUMERAL or not _DECIMAL.fullmatch(text):
            raise ExpressionError(f"'{value[:40]}' does not spell a number", code="expr.value")
        return float(checked_number(float(text)))
    if not is_number(value):
        raise type_error(f"float needs a number or a string, not a {type_name(value)}")
    return float(value)


def to_bool(value: Any) -> bool:
    """A boolean as it is, or the one that `true` or `false` spells."""
    if value.__class__ is bool:
        return bool(value)
    if value.__class__ is str:
        if value in ("true", "false"):
            return bool(value == "true")
        raise ExpressionError(f"'{value[:40]}' is neither 'true' nor 'false'", code="expr.value")
    raise type_error(
        f"bool needs a boolean or a string, not a {type_name(value)}", None, "compare it: n != 0"
    )


def absolute(value: Any) -> Any:
    return abs(need("number", value, "abs"))


def round_to(value: Any, digits: Any = 0) -> Any:
    """Half away from zero, on the decimal digits that the number shows."""
    number = need("number", value, "round")
    places = need("integer", digits, "round")
    if not 0 <= places <= MAX_DIGITS:
        raise ExpressionError(f"round takes 0 to {MAX_DIGITS} digits, not {places}", code="expr.value")
    if number.__class__ is int:
        return number
    from decimal import ROUND_HALF_UP, Context, Decimal

    exact = Decimal(repr(number))
    rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, Context(prec=400))
    return checked_number(int(rounded)) if places == 0 else float(rounded)


def floor(value: Any) -> Any:
    return checked_number(math.floor(need("number", value, "floor")))


def ceil(value: Any) -> Any:
    return checked_number(math.ceil(need("number", value, "ceil")))


def _function(
    name: str, call: Any, low: int, high: int, signature: str, doc: str, returns: Any
) -> ExpressionFunction:
    return ExpressionFunction(name, call, low, high, doc, returns, signature, owner="nodeling")


NUMBER_FUNCTIONS = (
    _function(
        "int",
        to_int,
        1,
        1,
        "int(x)",
        "A number cut off at the point, or the integer a string spells.",
        INTEGER,
    ),
    _function("float", to_float, 1, 1, "float(x)", "The number a string spells.", NUMBER),
    _function("double", to_float, 1, 1, "double(x)", "Another name of `float`.", NUMBER),
    _function(
        "bool", to_bool, 1, 1, "bool(x)", "The boolean that 'true' or 'false' spells.", {"type": "boolean"}
    ),
    _function("abs", absolute, 1, 1, "abs(n)", "The number without its sign.", NUMBER),
    _function("round", round_to, 1, 2, "round(n, digits?)", "Rounded, half away from zero.", NUMBER),
    _function("floor", floor, 1, 1, "floor(n)", "The integer at or below.", INTEGER),
    _function("ceil", ceil, 1, 1, "ceil(n)", "The integer at or above.", INTEGER),
)
