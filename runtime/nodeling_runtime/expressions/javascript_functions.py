"""The global functions of JavaScript that can be lowered: `Math`, `Object`, `Number`, `JSON.stringify`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript_strings import integer
from nodeling_runtime.expressions.javascript_values import (
    UNDEFINED,
    WHITE_SPACE,
    number,
    number_text,
    own_keys,
    to_number,
    to_text,
    truthy,
    units,
)
from nodeling_runtime.expressions.operators import NUMBERS, is_number
from nodeling_runtime.expressions.record import Record, to_plain

__all__ = ["GLOBAL_FUNCTIONS", "stringify"]

_FLOAT = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CONTROL = re.compile("[\ud800-\udfff]")


def _object_keys(value: Any, budget: Budget) -> list[str]:
    """The keys of whatever Object.keys takes."""
    if value is None or value is UNDEFINED:
        raise ExpressionError(
            "null and undefined have no keys", code="expr.no_such_key", hint="guard it with ?? {}"
        )
    if value.__class__ is dict:
        return own_keys(value)
    kind: type = value.__class__
    if kind is list or kind is str:
        size = len(value) if kind is list else len(units(value))
        budget.spend(size)
        return [str(place) for place in range(size)]
    return []


def _own(value: Any, key: str) -> Any:
    if value.__class__ is dict:
        return value[key]
    return (units(value) if value.__class__ is str else value)[int(key)]


def keys(budget: Budget, value: Any) -> list[str]:
    return _object_keys(value, budget)


def values(budget: Budget, value: Any) -> list[Any]:
    held = units(value) if value.__class__ is str else value
    return [_own(held, key) for key in _object_keys(value, budget)]


def entries(budget: Budget, value: Any) -> list[Any]:
    held = units(value) if value.__class__ is str else value
    return [[key, _own(held, key)] for key in _object_keys(value, budget)]


# --- numbers ----------------------------------------------------------------------------------------


def _whole(cut: Callable[[float], int]) -> Callable[[Budget, Any], Any]:
    """A function to integers that keeps NaN, infinities and the sign of zero."""

    def run(budget: Budget, value: Any) -> Any:
        given = to_number(value)
        if given.__class__ is int or not math.isfinite(given):
            return given
        found = cut(given)
        return number(float(found)) if found else math.copysign(0.0, given)

    return run


def _half_up(value: float) -> int:
    low = math.floor(value)
    return low + 1 if value - low >= 0.5 else low


def _extreme(wins: Callable[[float, float], bool], start: float) -> Callable[..., Any]:
    def run(budget: Budget, *given: Any) -> Any:
        best: Any = start
        for item in [to_number(item) for item in given]:
            if item != item or best != best:
                best = math.nan
            elif wins(item, best) or (
                item == best == 0 and wins(math.copysign(1, item), math.copysign(1, best))
            ):
                best = item
        return best

    return run


def sign(budget: Budget, value: Any) -> Any:
    given = to_number(value)
    if given == 0 or given != given:
        return given
    return 1 if given > 0 else -1


def square_root(budget: Budget, value: Any) -> Any:
    given = to_number(value)
    if given < 0 or given != given:
        return math.nan
    return given if given in (0, math.inf) else number(math.sqrt(given))


def absolute(budget: Budget, value: Any) -> Any:
    return abs(to_number(value))


def parse_float(budget: Budget, value: Any) -> Any:
    match = _FLOAT.match(to_text(value).lstrip(WHITE_SPACE))
    if match is None:
        return math.nan
    return number(float(match.group().replace("Infinity", "inf")))


def parse_int(budget: Budget, value: Any, radix: Any = UNDEFINED) -> Any:
    text = to_text(value).lstrip(WHITE_SPACE)
    negative = text[:1] == "-"
    text = text[1:] if text[:1] in ("+", "-") and text else text
    base = _int32(radix)
    if base not in (0, *range(2, 37)):
        return math.nan
    if base in (0, 16) and text[:2] in ("0x", "0X"):
        text, base = text[2:], 16
    base = base or 10
    allowed = _DIGITS[:base]
    digits = ""
    for character in text.lower() if text.isascii() else text:
        if character.lower() not in allowed or not character.isascii():
            break
        digits += character
    if not digits:
        return math.nan
    if len(digits) > 300 or (base not in (2, 4, 8, 10, 16, 32) and int(digits, base) > 2**53):
        # the specification leaves the last digits of such numbers to the implementation
        raise ExpressionError("parseInt of a number this long is not exact", code="expr.javascript")
    found = number(float(int(digits, base)))
    return (-found if found else -0.0) if negative else found


def _int32(value: Any) -> int:
    """ToInt32."""
    given = integer(value)
    return 0 if math.isinf(given) else (int(given) + 2**31) % 2**32 - 2**31


def _is_integer(budget: Budget, value: Any) -> bool:
    return is_number(value) and math.isfinite(value) and float(value).is_integer()


# --- text -------------------------------------------------------------------------------------------


def stringify(value: Any, budget: Budget, depth: int = 1) -> Any:
    """JSON.stringify of one argument: text, or undefined."""
    if isinstance(value, Record):
        value = to_plain(value)
    if value is UNDEFINED:
        return UNDEFINED
    kind: type = value.__class__
    if kind in NUMBERS:
        return number_text(value) if math.isfinite(value) else "null"
    if kind is str:
        budget.write(len(value) + 2)
        return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):x}", json.dumps(value, ensure_ascii=False))
    if kind is not list and kind is not dict:
        return json.dumps(value)
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError("a value nests too deeply to become text", code="expr.budget")
    budget.spend(len(value))
    if kind is list:
        parts = [stringify(item, budget, depth + 1) for item in value]
        return "[" + ",".join("null" if part is UNDEFINED else part for part in parts) + "]"
    pairs = [(stringify(key, budget), stringify(value[key], budget, depth + 1)) for key in own_keys(value)]
    return "{" + ",".join(f"{key}:{part}" for key, part in pairs if part is not UNDEFINED) + "}"


GLOBAL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Array.isArray": lambda budget, value: value.__class__ is list,
    "Boolean": lambda budget, value: truthy(value),
    "JSON.stringify": lambda budget, value: stringify(value, budget),
    "Math.abs": absolute,
    "Math.ceil": _whole(math.ceil),
    "Math.floor": _whole(math.floor),
    "Math.max": _extreme(lambda item, best: item > best, -math.inf),
    "Math.min": _extreme(lambda item, best: item < best, math.inf),
    "Math.round": _whole(_half_up),
    "Math.sign": sign,
    "Math.sqrt": square_root,
    "Math.trunc": _whole(math.trunc),
    "Number": lambda budget, value: to_number(value),
    "Number.isFinite": lambda budget, value: is_number(value) and math.isfinite(value),
    "Number.isInteger": _is_integer,
    "Number.isNaN": lambda budget, value: is_number(value) and value != value,
    "Object.entries": entries,
    "Object.keys": keys,
    "Object.values": values,
    "String": lambda budget, value: to_text(value),
    "isFinite": lambda budget, value: math.isfinite(to_number(value)),
    "isNaN": lambda budget, value: to_number(value) != to_number(value),
    "parseFloat": parse_float,
    "parseInt": parse_int,
}
