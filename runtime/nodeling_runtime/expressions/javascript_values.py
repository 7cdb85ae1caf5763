"""JavaScript's values on top of JSON's: undefined, NaN, UTF-16, truthiness and the conversions.

Inside a lowered expression these hold exactly as the ECMAScript specification states them; at its end
undefined, NaN and half characters are errors, because JSON has none of them. Strings are Python strings with
whole characters; what counts or cuts works on `units`, where each UTF-16 unit is one character.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from nodeling_runtime.expressions.budget import MAX_INTEGER, MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.operators import NUMBERS, is_number
from nodeling_runtime.expressions.record import Record, to_plain

__all__ = [
    "UNDEFINED",
    "WHITE_SPACE",
    "Undefined",
    "finish",
    "is_index",
    "number",
    "number_text",
    "own_keys",
    "refused",
    "text_of",
    "to_number",
    "to_primitive",
    "to_text",
    "truthy",
    "typeof",
    "units",
]


class Undefined:
    """The class of the one value `undefined`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()

WHITE_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)")


def refused(construct: str, position: int | None = None, rewrite: str | None = None) -> ExpressionError:
    """The error for JavaScript that has no counterpart here; it names the construct."""
    hint = "install nodeling[js], which runs it in QuickJS"
    if rewrite:
        hint += f", or rewrite it as {rewrite}"
    return ExpressionError(
        f"{construct} cannot be lowered from JavaScript", code="expr.javascript", position=position, hint=hint
    )


# --- UTF-16 -----------------------------------------------------------------------------------------


def units(text: str) -> str:
    """The string with each UTF-16 unit as one character."""
    if text.isascii():
        return text
    return _ASTRAL.sub(_split, text)


def _split(match: re.Match[str]) -> str:
    offset = ord(match.group()) - 0x10000
    return chr(0xD800 + (offset >> 10)) + chr(0xDC00 + (offset & 0x3FF))


def text_of(unit_text: str) -> str:
    """The string of whole characters behind units; a half without its other half stays."""
    if unit_text.isascii():
        return unit_text
    return _PAIR.sub(
        lambda match: match.group().encode("utf-16-le", "surrogatepass").decode("utf-16-le"), unit_text
    )


# --- conversions ------------------------------------------------------------------------------------


def number(value: float) -> int | float:
    """A double as JSON would hold it: an integer where it is one, except for -0."""
    if value.is_integer() and -MAX_INTEGER <= value <= MAX_INTEGER and (value or math.copysign(1, value) > 0):
        return int(value)
    return value


def truthy(value: Any) -> bool:
    """ToBoolean."""
    if value is True or value is False:
        return bool(value)
    if value is None or value is UNDEFINED:
        return False
    if value.__class__ in NUMBERS:
        return bool(value) and value == value
    return value != "" if value.__class__ is str else True


def typeof(value: Any) -> str:
    """The `typeof` operator."""
    if value is UNDEFINED:
        return "undefined"
    if value.__class__ is bool:
        return "boolean"
    if value.__class__ in NUMBERS:
        return "number"
    return "string" if value.__class__ is str else "object"


def to_primitive(value: Any, depth: int = 0) -> Any:
    """ToPrimitive: lists become their joined elements, maps `[object Object]`."""
    if value.__class__ is str or value.__class__ in NUMBERS:
        return value
    if isinstance(value, Record):
        value = to_plain(value)
    if value.__class__ is list:
        return join_list(value, ",", depth)
    if value.__class__ is dict:
        if "toString" in value:
            raise ExpressionError(
                "an object with a key 'toString' has no text in JavaScript", code="expr.type"
            )
        return "[object Object]"
    return value


def join_list(items: list[Any], separator: str, depth: int = 0) -> str:
    """Array.prototype.join."""
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError("a value nests too deeply to become text", code="expr.budget")
    return separator.join(
        "" if item is None or item is UNDEFINED else to_text(item, depth + 1) for item in items
    )


def to_text(value: Any, depth: int = 0) -> str:
    """ToString."""
    value = to_primitive(value, depth)
    if value.__class__ is str:
        return str(value)
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if value.__class__ is bool:
        return "true" if value else "false"
    return number_text(value)


def number_text(value: int | float) -> str:
    """Number::toString: the shortest digits, placed as JavaScript places them."""
    if value.__class__ is int:
        return str(value)
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    return ("-" if value < 0 else "") + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """The digits with the decimal point after `point` of them."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if exponent >= 0 else '-'}{abs(exponent)}"


def to_number(value: Any) -> int | float:
    """ToNumber."""
    if is_number(value):
        given: int | float = value
        return given
    if value.__class__ is bool:
        return int(value)
    if value is None:
        return 0
    if value is UNDEFINED:
        return math.nan
    if value.__class__ is str:
        return _spelled(value.strip(WHITE_SPACE))
    return to_number(to_primitive(value))


def _spelled(text: str) -> int | float:
    if not text:
        return 0
    if _DECIMAL.fullmatch(text):
        return number(float(text))
    if text in ("Infinity", "+Infinity", "-Infinity"):
        return -math.inf if text[0] == "-" else math.inf
    match = _RADIX.fullmatch(text)
    if match is None:
        return math.nan
    base = (16, 8, 2)[(match.lastindex or 1) - 1]
    if len(text) > 1100:
        return math.inf
    try:
        return number(float(int(match.group(match.lastindex or 1), base)))
    except OverflowError:
        return math.inf


# --- objects ----------------------------------------------------------------------------------------


def is_index(key: str) -> bool:
    """Whether a key is an array index, which JavaScript lists before all other keys."""
    return _INDEX.fullmatch(key) is not None and int(key) < 2**32 - 1


def own_keys(value: dict[str, Any]) -> list[str]:
    """The keys in JavaScript's order."""
    indices = [key for key in value if is_index(key)]
    if not indices:
        return list(value)
    return sorted(indices, key=int) + [key for key in value if not is_index(key)]


# --- the end ----------------------------------------------------------------------------------------


def finish(value: Any, built: bool, budget: Budget) -> Any:
    """The JSON value of a whole expression; undefined, NaN and half characters are errors."""
    kind: type = value.__class__
    if kind is list or kind is dict:
        return _finished(value, budget, 1) if built else value
    return to_plain(value) if isinstance(value, Record) else _scalar(value)


def _finished(value: Any, budget: Budget, depth: int) -> Any:
    kind: type = value.__class__
    if kind is not list and kind is not dict:
        return _finished(to_plain(value), budget, depth) if isinstance(value, Record) else _scalar(value)
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError(f"the result nests deeper than {MAX_VALUE_DEPTH} levels", code="expr.value")
    budget.write(2 + 4 * len(value) + sum(len(item) for item in value if item.__class__ is str))
    if kind is list:
        return [_finished(item, budget, depth + 1) for item in value]
    return {_scalar(key): _finished(item, budget, depth + 1) for key, item in value.items()}


def _scalar(value: Any) -> Any:
    if value.__class__ is str:
        if not value.isascii() and _HALF.search(value):
            raise ExpressionError("the text ends inside a character", code="expr.value")
        return value
    if value is UNDEFINED:
        raise ExpressionError(
            "the value is undefined", code="expr.no_such_key", hint="give a value for that case: x ?? null"
        )
    if value.__class__ is float and not math.isfinite(value):
        raise ExpressionError(f"{number_text(value)} is not a JSON number", code="expr.value")
    return value
