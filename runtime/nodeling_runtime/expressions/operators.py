"""What the operators mean over JSON values.

Equality is JSON equality (deep, `1 == 1.0`, `true != 1`). Arithmetic is on numbers, ordering on two numbers
or two strings, `&& || !` on booleans; every other mixture is a typed error, never a conversion. Results stay
inside the JSON profile: finite numbers, integers within ±(2^53−1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import MAX_INTEGER, MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError, no_such_key
from nodeling_runtime.expressions.record import Deferred, Record, to_plain

__all__ = [
    "ARITHMETIC",
    "NUMBERS",
    "ORDERINGS",
    "checked_number",
    "contains",
    "equal",
    "is_number",
    "measure",
    "member",
    "negate",
    "ordered",
    "slice_of",
    "type_error",
    "type_name",
]

NUMBERS: frozenset[type] = frozenset({int, float})


def type_name(value: Any) -> str:
    """The name of a value's type in this language."""
    if value is None:
        return "null"
    kind = value.__class__
    if kind is bool:
        return "boolean"
    if kind in NUMBERS:
        return "number"
    if kind is str:
        return "string"
    return "list" if kind is list else "map"


def is_number(value: Any) -> bool:
    """Whether a value is a number; booleans are not."""
    return value.__class__ in NUMBERS


def type_error(message: str, at: int | None = None, hint: str | None = None) -> ExpressionError:
    """An `expr.type` error."""
    return ExpressionError(message, code="expr.type", position=at, hint=hint)


def checked_number(value: int | float) -> int | float:
    """The number, if the JSON profile allows it; raises `expr.value`."""
    if value.__class__ is int:
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
        raise ExpressionError(f"an integer is beyond ±{MAX_INTEGER}", code="expr.value")
    if math.isfinite(value):
        return value
    raise ExpressionError("a number is too large", code="expr.value")


# --- equality, membership, order --------------------------------------------------------------------


def equal(left: Any, right: Any, budget: Budget, depth: int = 0) -> bool:
    """JSON equality; every element compared is paid for."""
    kind = left.__class__
    if kind is not right.__class__:
        return kind in NUMBERS and right.__class__ in NUMBERS and bool(left == right)
    if kind is str:
        if len(left) == len(right):
            budget.scan(len(left))
        return bool(left == right)
    if kind is not list and kind is not dict:
        return bool(left == right)
    if len(left) != len(right):
        return False
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError("a value nests too deeply to be compared", code="expr.budget")
    budget.spend(len(left))
    if kind is list:
        return all(equal(a, b, budget, depth + 1) for a, b in zip(left, right, strict=True))
    return all(key in right and equal(value, right[key], budget, depth + 1) for key, value in left.items())


def contains(needle: Any, container: Any, budget: Budget) -> bool:
    """`needle in container`: an element of a list, a key of a map, a part of a text."""
    kind = container.__class__
    if kind is list:
        budget.spend(len(container))
        if needle.__class__ is str:
            return needle in container
        return any(equal(needle, item, budget) for item in container)
    if kind is dict:
        if needle.__class__ is not str:
            raise type_error(f"the keys of a map are strings, not a {type_name(needle)}")
        return needle in container
    if kind is str:
        if needle.__class__ is not str:
            raise type_error(
                f"a string holds strings, not a {type_name(needle)}", None, "convert it with string(x)"
            )
        budget.scan(len(container))
        return needle in container
    raise type_error(f"'in' needs a list, a map or a string on its right, not a {type_name(container)}")


ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def ordered(operator: str, left: Any, right: Any, budget: Budget) -> bool:
    """`<`, `<=`, `>` or `>=` of two numbers or two strings."""
    both_text = left.__class__ is str and right.__class__ is str
    if both_text:
        budget.scan(min(len(left), len(right)))
    elif not (is_number(left) and is_number(right)):
        raise type_error(f"cannot order a {type_name(left)} and a {type_name(right)} with '{operator}'")
    return ORDERINGS[operator](left, right)


# --- arithmetic -------------------------------------------------------------------------------------


def add(left: Any, right: Any, budget: Budget) -> Any:
    """The sum of two numbers; two strings or two lists joined."""
    if is_number(left) and is_number(right):
        return checked_number(left + right)
    if left.__class__ is str and right.__class__ is str:
        budget.write(len(left) + len(right))
        return left + right
    if left.__class__ is list and right.__class__ is list:
        budget.spend(len(left) + len(right))
        return left + right
    hint = None
    if str in (left.__class__, right.__class__):
        hint = 'convert it: "n = " + string(n)'
    raise type_error(f"cannot add a {type_name(left)} and a {type_name(right)}", None, hint)


def _numbers(sign: str, left: Any, right: Any) -> None:
    if not (is_number(left) and is_number(right)):
        raise type_error(f"'{sign}' needs two numbers, not a {type_name(left)} and a {type_name(right)}")


def subtract(left: Any, right: Any, budget: Budget) -> Any:
    """The difference of two numbers."""
    _numbers("-", left, right)
    return checked_number(left - right)


def multiply(left: Any, right: Any, budget: Budget) -> Any:
    """The product of two numbers."""
    _numbers("*", left, right)
    return checked_number(left * right)


def divide(left: Any, right: Any, budget: Budget) -> Any:
    """True division; an integer when two integers divide exactly."""
    _numbers("/", left, right)
    if right == 0:
        raise ExpressionError("division by zero", code="expr.division")
    if left.__class__ is int and right.__class__ is int and left % right == 0:
        return left // right
    try:
        return checked_number(left / right)
    except OverflowError:
        raise ExpressionError("a number is too large", code="expr.value") from None


def remainder(left: Any, right: Any, budget: Budget) -> Any:
    """What division leaves over; it has the sign of the dividend."""
    _numbers("%", left, right)
    if right == 0:
        raise ExpressionError("division by zero", code="expr.division")
    if left.__class__ is int and right.__class__ is int:
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    return math.fmod(left, right)


ARITHMETIC: dict[str, Callable[[Any, Any, Budget], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}


def negate(value: Any) -> Any:
    """The number with the other sign."""
    if not is_number(value):
        raise type_error(f"'-' needs a number, not a {type_name(value)}")
    return -value


# --- links ------------------------------------------------------------------------------------------


def member(value: Any, key: Any) -> Any:
    """`value.key` or `value[key]`; records resolve the key, everything else must be JSON."""
    kind = value.__class__
    if kind is dict:
        if key.__class__ is not str:
            raise type_error(
                f"the keys of a map are strings, not a {type_name(key)}", None, "use string(key)"
            )
        try:
            return value[key]
        except KeyError:
            raise no_such_key(key, value) from None
    if kind is list or kind is str:
        return _element(value, key)
    if value is None:
        raise ExpressionError(
            f"null has no key '{str(key)[:60]}'", code="expr.no_such_key", hint="guard it with ?. or ??"
        )
    if isinstance(value, Record):
        if key.__class__ is not str:
            return value.at(key) if isinstance(value, Deferred) else _no_text_key(key)
        return value.get(key)
    plain = to_plain(value)
    if plain.__class__ in (dict, list, str):
        return member(plain, key)
    raise type_error(f"a {type_name(plain)} has no key '{str(key)[:60]}'")


def _no_text_key(key: Any) -> Any:
    raise type_error(f"the keys of a map are strings, not a {type_name(key)}")


def _element(value: Any, key: Any) -> Any:
    name = type_name(value)
    if key.__class__ is float and key.is_integer():
        key = int(key)
    if key.__class__ is not int:
        hint = None
        if key.__class__ is str:
            hint = "size() gives its length" if key in ("length", "size", "len") else "use [0] or .map(v, …)"
        what = f"the key '{key[:60]}'" if key.__class__ is str else f"a {type_name(key)} as its index"
        raise type_error(f"a {name} does not take {what}", None, hint)
    if -len(value) <= key < len(value):
        return value[key]
    raise ExpressionError(f"a {name} of {len(value)} has no place {key}", code="expr.index")


def slice_of(value: Any, start: Any, stop: Any, budget: Budget) -> Any:
    """`value[start:stop]` of a list or a string; bounds beyond the ends are the ends."""
    value = to_plain(value)
    if value is None:
        raise ExpressionError("null cannot be sliced", code="expr.no_such_key", hint="guard it with ?? []")
    if value.__class__ is not list and value.__class__ is not str:
        raise type_error(f"a {type_name(value)} cannot be sliced")
    part = value[_bound(start) : _bound(stop)]
    if part.__class__ is str:
        budget.write(len(part))
    else:
        budget.spend(len(part))
    return part


def _bound(bound: Any) -> int | None:
    if bound is None or bound.__class__ is int:
        return bound
    if bound.__class__ is float and bound.is_integer():
        return int(bound)
    raise type_error(f"a slice is bounded by integers, not a {type_name(bound)}")


# --- size -------------------------------------------------------------------------------------------


def measure(value: Any, budget: Budget) -> None:
    """Pay for a built value as the JSON text it stands for; refuse one that nests too deeply.

    A value may hold one list many times over: what counts is the text, so no small expression stands for a
    huge document. A list met again is paid for by its known size, not walked again.
    """
    if value.__class__ is str:
        budget.write(len(value))
    elif value.__class__ is list or value.__class__ is dict:
        budget.write(_measured(value, budget, {}, 1)[0])


def _measured(value: Any, budget: Budget, known: dict[int, tuple[int, int]], depth: int) -> tuple[int, int]:
    """The characters and the depth of a list or a map."""
    found = known.get(id(value))
    if found is None:
        if depth > MAX_VALUE_DEPTH:
            raise ExpressionError(f"the result nests deeper than {MAX_VALUE_DEPTH} levels", code="expr.value")
        size, below = 2, 0
        if value.__class__ is dict:
            size += sum(map(len, value)) + 4 * len(value)
        for item in value.values() if value.__class__ is dict else value:
            if item.__class__ is str:
                size += len(item) + 3
            elif item.__class__ is list or item.__class__ is dict:
                inner, levels = _measured(item, budget, known, depth + 1)
                size += inner + 1
                below = max(below, levels)
            else:
                size += 4
            if size > budget.text_left:
                budget.write(size)
        found = known[id(value)] = (size, below + 1)
    elif depth + found[1] - 1 > MAX_VALUE_DEPTH:
        raise ExpressionError(f"the result nests deeper than {MAX_VALUE_DEPTH} levels", code="expr.value")
    return found
