"""The value of an expression, with the three-valued logic of the language: true, false and NULL."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from nodeling_bridges.powercenter.language import dates
from nodeling_bridges.powercenter.language.functions import FUNCTIONS, EvaluationFault, number_of, text_of
from nodeling_bridges.powercenter.language.parser import STATUSES, parse
from nodeling_bridges.powercenter.language.syntax import Binary, Call, Expression, Literal, Unary, Variable

LONGEST_TEXT = 1_048_576
Lookup = Callable[[Variable], Any]
# A status is also a number in the tool: what succeeded is 1, and `$task.Status = 1` is written in the wild.
STATUS_NUMBERS = {
    "ABORTED": 4,
    "DISABLED": 7,
    "FAILED": 2,
    "NOTSTARTED": 5,
    "STARTED": 6,
    "STOPPED": 3,
    "SUCCEEDED": 1,
}

parsed = lru_cache(maxsize=2048)(parse)


def evaluate(text: str, lookup: Lookup) -> Any:
    """The value of an expression.

    Args:
        text: The expression.
        lookup: The value of a variable; raises `EvaluationFault` for one that is not known.

    Raises:
        SyntaxFault: It does not parse.
        EvaluationFault: It has no value.
    """
    return _value(parsed(text), lookup)


def holds(text: str, lookup: Lookup) -> bool:
    """Whether a condition holds; NULL does not, and an empty one always does."""
    if not text.strip():
        return True
    value = evaluate(text, lookup)
    return value is not None and (value in STATUSES or number_of(value) != 0)


def from_mapping(values: Mapping[str, Any]) -> Lookup:
    """Variables by name: `$task.Status` as `task.status` in a mapping of lower-case keys."""
    known = {key.lower(): value for key, value in values.items()}

    def lookup(variable: Variable) -> Any:
        name = f"${variable.task}.{variable.name}" if variable.task is not None else variable.name
        if name.lower() in known:
            return known[name.lower()]
        raise EvaluationFault(f"{name} is not known here")

    return lookup


def _value(here: Expression, lookup: Lookup) -> Any:
    if isinstance(here, Literal):
        return here.value
    if isinstance(here, Variable):
        return lookup(here)
    if isinstance(here, Unary):
        return _unary(here, lookup)
    if isinstance(here, Call):
        return _call(here, lookup)
    if here.operator in ("AND", "OR"):
        return _logical(here, lookup)
    return _binary(here, lookup)


def _truth(value: Any) -> bool | None:
    if value is None:
        return None
    return True if value in STATUSES else number_of(value) != 0


def _unary(here: Unary, lookup: Lookup) -> Any:
    value = _value(here.operand, lookup)
    if here.operator == "NOT":
        truth = _truth(value)
        return None if truth is None else int(not truth)
    if value is None:
        return None
    return -number_of(value) if here.operator == "-" else number_of(value)


def _logical(here: Binary, lookup: Lookup) -> int | None:
    deciding = here.operator == "OR"
    left = _truth(_value(here.left, lookup))
    if left is deciding:
        return int(deciding)
    right = _truth(_value(here.right, lookup))
    if right is deciding:
        return int(deciding)
    return None if left is None or right is None else int(not deciding)


def _binary(here: Binary, lookup: Lookup) -> Any:
    left, right = _value(here.left, lookup), _value(here.right, lookup)
    if here.operator == "||":
        return _joined(left, right)
    if left is None or right is None:
        return None
    if here.operator in ("=", "<>", "<", "<=", ">", ">="):
        return int(_compared(here.operator, left, right))
    return _computed(here.operator, number_of(left), number_of(right))


def _joined(left: Any, right: Any) -> str | None:
    if left is None and right is None:
        return None
    text = ("" if left is None else text_of(left)) + ("" if right is None else text_of(right))
    if len(text) > LONGEST_TEXT:
        raise EvaluationFault(f"a text of more than {LONGEST_TEXT:,} characters")
    return text


def _compared(operator: str, left: Any, right: Any) -> bool:
    one, other = _comparable(left, right)
    if operator == "=":
        return bool(one == other)
    if operator == "<>":
        return bool(one != other)
    if operator in ("<", "<="):
        return bool(one < other or (operator == "<=" and one == other))
    return bool(one > other or (operator == ">=" and one == other))


def _comparable(left: Any, right: Any) -> tuple[Any, Any]:
    """Both sides as what they can be compared as: states, dates, numbers, else texts."""
    states = [value.upper() if isinstance(value, str) else value for value in (left, right)]
    if any(state in STATUS_NUMBERS for state in states):
        numbers = [STATUS_NUMBERS.get(state, state) if isinstance(state, str) else state for state in states]
        if all(isinstance(number, (int, float)) for number in numbers):
            return numbers[0], numbers[1]
    if isinstance(left, str) and isinstance(right, str):
        if dates.is_date(left) and dates.is_date(right):
            return dates.parsed(left), dates.parsed(right)
        return left, right
    return number_of(left), number_of(right)


def _computed(operator: str, left: float, right: float) -> float:
    if operator in ("/", "%") and right == 0:
        raise EvaluationFault("a division by 0")
    try:
        found: float = _OPERATIONS[operator](left, right)
    except OverflowError as error:
        raise EvaluationFault("the number is too large") from error
    if isinstance(found, int) and abs(found) > 2**53 - 1:
        raise EvaluationFault("the number is too large")
    if not math.isfinite(found):
        raise EvaluationFault("the number is too large")
    return found


def _divided(left: float, right: float) -> float:
    found = left / right
    return int(found) if found == int(found) and abs(found) < 2**53 else found


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divided,
    "%": lambda a, b: (
        math.fmod(a, b) if isinstance(a, float) or isinstance(b, float) else int(math.fmod(a, b))
    ),
}


def _call(here: Call, lookup: Lookup) -> Any:
    function = FUNCTIONS[here.function]
    if here.function == "IIF":
        chosen = 1 if _truth(_value(here.arguments[0], lookup)) else 2
        return _value(here.arguments[chosen], lookup) if chosen < len(here.arguments) else 0
    values = [_value(argument, lookup) for argument in here.arguments]
    if not function.nulls and any(value is None for value in values):
        return None
    return function.call(*values)
