"""JavaScript's operators, as the ECMAScript specification states them for JSON values and undefined."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript_names import INHERITED
from nodeling_runtime.expressions.javascript_values import (
    UNDEFINED,
    is_index,
    number,
    refused,
    text_of,
    to_number,
    to_primitive,
    to_text,
    typeof,
    units,
)
from nodeling_runtime.expressions.operators import NUMBERS
from nodeling_runtime.expressions.record import Deferred, Record, to_plain

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "get",
    "length",
    "loosely_equal",
    "same_value_zero",
    "strictly_equal",
]

# --- equality ---------------------------------------------------------------------------------------


def strictly_equal(left: Any, right: Any) -> bool:
    """`===`: objects and arrays are equal only to themselves."""
    if left.__class__ in NUMBERS and right.__class__ in NUMBERS:
        return bool(left == right)
    if left.__class__ is not right.__class__:
        return False
    if left.__class__ is str or left.__class__ is bool:
        return bool(left == right)
    return left is right


def same_value_zero(left: Any, right: Any) -> bool:
    """What `includes` compares by: as `===`, but NaN equals itself."""
    if left.__class__ is float and right.__class__ is float and left != left and right != right:
        return True
    return strictly_equal(left, right)


def loosely_equal(left: Any, right: Any) -> bool:
    """`==`."""
    nothing = (None, UNDEFINED)
    if left in nothing or right in nothing:
        return left in nothing and right in nothing
    first, second = typeof(left), typeof(right)
    if first == second:
        return strictly_equal(left, right)
    if first == "object":
        return loosely_equal(to_primitive(left), right)
    if second == "object":
        return loosely_equal(left, to_primitive(right))
    return to_number(left) == to_number(right)


# --- order ------------------------------------------------------------------------------------------


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Budget], bool]:
    def run(left: Any, right: Any, budget: Budget) -> bool:
        if left.__class__ in NUMBERS and right.__class__ in NUMBERS:
            return compare(left, right)
        first, second = to_primitive(left), to_primitive(right)
        if first.__class__ is str and second.__class__ is str:
            budget.scan(min(len(first), len(second)))
            return compare(units(first), units(second))
        return compare(to_number(first), to_number(second))

    return run


def _in(key: Any, value: Any, budget: Budget) -> bool:
    if isinstance(value, Record):
        value = to_plain(value)
    if value.__class__ not in (dict, list):
        raise ExpressionError(f"'in' needs an object or an array, not {_a(value)}", code="expr.type")
    name = to_text(key)
    if value.__class__ is dict and name in value:
        return True
    if value.__class__ is list and (name == "length" or (is_index(name) and int(name) < len(value))):
        return True
    return name in INHERITED[value.__class__]


COMPARISONS: dict[str, Callable[[Any, Any, Budget], bool]] = {
    "===": lambda left, right, budget: strictly_equal(left, right),
    "!==": lambda left, right, budget: not strictly_equal(left, right),
    "==": lambda left, right, budget: loosely_equal(left, right),
    "!=": lambda left, right, budget: not loosely_equal(left, right),
    "<": _ordering(lambda left, right: bool(left < right)),
    "<=": _ordering(lambda left, right: bool(left <= right)),
    ">": _ordering(lambda left, right: bool(left > right)),
    ">=": _ordering(lambda left, right: bool(left >= right)),
    "in": _in,
}


# --- arithmetic -------------------------------------------------------------------------------------


def _add(left: Any, right: Any, budget: Budget) -> Any:
    first, second = to_primitive(left), to_primitive(right)
    if first.__class__ is str or second.__class__ is str:
        joined = to_text(first) + to_text(second)
        budget.write(len(joined))
        return text_of(joined)
    return number(float(to_number(first)) + float(to_number(second)))


def _divide(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or left != left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _remainder(left: float, right: float) -> float:
    if right == 0 or math.isinf(left) or left != left or right != right:
        return math.nan
    return math.fmod(left, right)


def _arithmetic(apply: Callable[[float, float], float]) -> Callable[[Any, Any, Budget], Any]:
    def run(left: Any, right: Any, budget: Budget) -> Any:
        return number(apply(float(to_number(left)), float(to_number(right))))

    return run


ARITHMETIC: dict[str, Callable[[Any, Any, Budget], Any]] = {
    "+": _add,
    "-": _arithmetic(lambda left, right: left - right),
    "*": _arithmetic(lambda left, right: left * right),
    "/": _arithmetic(_divide),
    "%": _arithmetic(_remainder),
}


# --- properties -------------------------------------------------------------------------------------


def _a(value: Any) -> str:
    if value is None or value is UNDEFINED:
        return "null" if value is None else "undefined"
    return {dict: "an object", list: "an array"}.get(value.__class__, f"a {typeof(value)}")


def get(value: Any, key: Any) -> Any:
    """`value[key]`: undefined where there is none, an error on null and undefined."""
    kind: type = value.__class__
    if kind is dict:
        name = key if key.__class__ is str else to_text(key)
        return value[name] if name in value else _inherited(value, name)
    if value is None or value is UNDEFINED:
        raise ExpressionError(
            f"cannot read '{to_text(key)[:60]}' of {_a(value)}",
            code="expr.no_such_key",
            hint="guard it with ?.",
        )
    if kind is list or kind is str:
        return _element(value, key)
    if isinstance(value, Record):
        return _resolved(value, to_text(key))
    return _inherited(value, to_text(key))


def _resolved(value: Record, name: str) -> Any:
    try:
        found = value.get(name)
        return found.read() if isinstance(found, Deferred) else found
    except ExpressionError as error:
        if error.code != "expr.no_such_key":
            raise
        return UNDEFINED


def _element(value: Any, key: Any) -> Any:
    if key.__class__ is not int:
        name = to_text(key)
        if name == "length":
            return length(value)
        if not is_index(name):
            return _inherited(value, name)
        key = int(name)
    held = units(value) if value.__class__ is str else value
    return held[key] if 0 <= key < len(held) else UNDEFINED


def _inherited(value: Any, name: str) -> Any:
    """What a value has from its prototype: nothing that could be data."""
    if name in INHERITED[value.__class__]:
        raise refused(f"the inherited property {name} of {_a(value)}")
    return UNDEFINED


def length(value: Any) -> Any:
    """`value.length`."""
    if value.__class__ is list:
        return len(value)
    if value.__class__ is str:
        return len(units(value))
    return get(value, "length")
