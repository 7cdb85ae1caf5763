"""Array.prototype, for the methods that can be lowered. None of them changes its array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.javascript_operators import same_value_zero, strictly_equal
from nodeling_runtime.expressions.javascript_strings import clamped, integer
from nodeling_runtime.expressions.javascript_values import UNDEFINED, join_list, text_of, to_text, truthy

__all__ = ["ARRAY_METHODS", "CALLBACK_LOOPS"]

Callback = Callable[..., Any]


def slice_list(items: list[Any], budget: Budget, start: Any = UNDEFINED, stop: Any = UNDEFINED) -> list[Any]:
    size = len(items)
    return items[clamped(start, size, 0) : clamped(stop, size, size)]


def at(items: list[Any], budget: Budget, place: Any) -> Any:
    where = integer(place)
    where += len(items) if where < 0 else 0
    return items[int(where)] if 0 <= where < len(items) else UNDEFINED


def includes(items: list[Any], budget: Budget, part: Any, start: Any = UNDEFINED) -> bool:
    return any(same_value_zero(item, part) for item in items[clamped(start, len(items), 0) :])


def index_of(items: list[Any], budget: Budget, part: Any, start: Any = UNDEFINED) -> int:
    first = clamped(start, len(items), 0)
    for place in range(first, len(items)):
        if strictly_equal(items[place], part):
            return place
    return -1


def last_index_of(items: list[Any], budget: Budget, part: Any) -> int:
    for place in range(len(items) - 1, -1, -1):
        if strictly_equal(items[place], part):
            return place
    return -1


def join(items: list[Any], budget: Budget, separator: Any = UNDEFINED) -> str:
    joined = join_list(items, "," if separator is UNDEFINED else to_text(separator))
    budget.write(len(joined))
    return text_of(joined)


def concat(items: list[Any], budget: Budget, *parts: Any) -> list[Any]:
    made = list(items)
    for part in parts:
        made += part if part.__class__ is list else [part]
    budget.spend(len(made))
    return made


def flat(items: list[Any], budget: Budget, depth: Any = UNDEFINED) -> list[Any]:
    levels = 1 if depth is UNDEFINED else integer(depth)
    return _flattened(items, min(levels, MAX_VALUE_DEPTH + 1), budget, 0)


def _flattened(items: list[Any], levels: float, budget: Budget, depth: int) -> list[Any]:
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError("an array nests too deeply to be flattened", code="expr.budget")
    budget.spend(len(items))
    made: list[Any] = []
    for item in items:
        if item.__class__ is list and levels >= 1:
            made += _flattened(item, levels - 1, budget, depth + 1)
        else:
            made.append(item)
    return made


ARRAY_METHODS: dict[str, Callable[..., Any]] = {
    "at": at,
    "concat": concat,
    "flat": flat,
    "includes": includes,
    "indexOf": index_of,
    "join": join,
    "lastIndexOf": last_index_of,
    "slice": slice_list,
    "toReversed": lambda items, budget: items[::-1],
    "toString": lambda items, budget: join(items, budget),
}


# --- loops over a callback --------------------------------------------------------------------------


def _map(items: list[Any], call: Callback) -> list[Any]:
    return [call(item, place, items) for place, item in enumerate(items)]


def _filter(items: list[Any], call: Callback) -> list[Any]:
    return [item for place, item in enumerate(items) if truthy(call(item, place, items))]


def _some(items: list[Any], call: Callback) -> bool:
    return any(truthy(call(item, place, items)) for place, item in enumerate(items))


def _every(items: list[Any], call: Callback) -> bool:
    return all(truthy(call(item, place, items)) for place, item in enumerate(items))


def _find_index(items: list[Any], call: Callback) -> int:
    for place, item in enumerate(items):
        if truthy(call(item, place, items)):
            return place
    return -1


def _find(items: list[Any], call: Callback) -> Any:
    place = _find_index(items, call)
    return items[place] if place >= 0 else UNDEFINED


def _flat_map(items: list[Any], call: Callback) -> list[Any]:
    made: list[Any] = []
    for item in _map(items, call):
        if item.__class__ is list:
            made += item
        else:
            made.append(item)
    return made


def _reduce(items: list[Any], call: Callback, *initial: Any) -> Any:
    if not items and not initial:
        raise ExpressionError("reduce of an empty array without an initial value", code="expr.index")
    first = 0 if initial else 1
    value = initial[0] if initial else items[0]
    for place in range(first, len(items)):
        value = call(value, items[place], place, items)
    return value


CALLBACK_LOOPS: dict[str, Callable[..., Any]] = {
    "every": _every,
    "filter": _filter,
    "find": _find,
    "findIndex": _find_index,
    "flatMap": _flat_map,
    "map": _map,
    "reduce": _reduce,
    "some": _some,
}
