"""Built-in functions on lists and maps.

Each call is charged for the length of its arguments before it runs; what it makes beyond that it pays for
itself. No function changes its argument.
"""

from __future__ import annotations

import math
from typing import Any

from nodeling_runtime.expressions.budget import MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.function_table import ExpressionFunction, need
from nodeling_runtime.expressions.operators import (
    checked_number,
    equal,
    is_number,
    type_error,
    type_name,
)

__all__ = ["LIST_FUNCTIONS", "canonical", "sort_keys"]

STRING = {"type": "string"}
LIST = {"type": "array"}
MAP = {"type": "object"}


def size(value: Any) -> int:
    if value.__class__ in (list, dict, str):
        return len(value)
    raise type_error(f"size needs a list, a map or a string, not a {type_name(value)}")


def index_of(budget: Budget, value: Any, part: Any) -> int:
    if value.__class__ is str:
        return int(value.find(need("string", part, "indexOf")))
    for place, item in enumerate(need("list", value, "indexOf")):
        if equal(item, part, budget):
            return place
    return -1


def keys(value: Any) -> list[str]:
    return list(need("map", value, "keys"))


def values(value: Any) -> list[Any]:
    return list(need("map", value, "values").values())


def entries(value: Any) -> list[Any]:
    return [{"key": key, "value": item} for key, item in need("map", value, "entries").items()]


def from_entries(value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for entry in need("list", value, "fromEntries"):
        pair = need("map", entry, "fromEntries")
        if "key" not in pair or "value" not in pair:
            raise type_error('fromEntries needs maps {"key": …, "value": …}')
        made[need("string", pair["key"], "fromEntries")] = pair["value"]
    return made


def merge(*maps: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for item in maps:
        merged.update(need("map", item, "merge"))
    return merged


def sort_keys(items: list[Any], function: str) -> list[Any]:
    """The items, if they can be put in one order: all numbers or all strings."""
    if items and not (all(map(is_number, items)) or all(item.__class__ is str for item in items)):
        kinds = sorted({type_name(item) for item in items})
        raise type_error(f"{function} needs all numbers or all strings, not {' and '.join(kinds)}")
    return items


def _one_list(arguments: tuple[Any, ...], function: str) -> list[Any]:
    if len(arguments) == 1:
        return sort_keys(need("list", arguments[0], function), function)
    return sort_keys(list(arguments), function)


def _not_empty(items: list[Any], function: str) -> list[Any]:
    if not items:
        raise ExpressionError(f"{function} of an empty list", code="expr.index", hint="guard it with ??")
    return items


def least(*arguments: Any) -> Any:
    return min(_not_empty(_one_list(arguments, "min"), "min"))


def greatest(*arguments: Any) -> Any:
    return max(_not_empty(_one_list(arguments, "max"), "max"))


def total(value: Any) -> Any:
    items = need("list", value, "sum")
    for item in items:
        need("number", item, "sum")
    if all(item.__class__ is int for item in items):
        return checked_number(sum(items))
    try:
        return checked_number(math.fsum(items))
    except OverflowError:
        raise ExpressionError("a number is too large", code="expr.value") from None


def average(value: Any) -> Any:
    items = _not_empty(need("list", value, "avg"), "avg")
    whole = total(items)
    if whole.__class__ is int and whole % len(items) == 0:
        return whole // len(items)
    return whole / len(items)


def sort(value: Any) -> list[Any]:
    return sorted(sort_keys(need("list", value, "sort"), "sort"))


def canonical(value: Any, budget: Budget, depth: int = 0) -> Any:
    """A hashable stand-in: two values have equal ones exactly when they are equal as JSON."""
    kind = value.__class__
    if kind is bool:
        return (bool, value)
    if kind is not list and kind is not dict:
        return value
    if depth > MAX_VALUE_DEPTH:
        raise ExpressionError("a value nests too deeply to be compared", code="expr.budget")
    budget.spend(len(value))
    if kind is list:
        return (list, tuple([canonical(item, budget, depth + 1) for item in value]))
    return (dict, frozenset([(key, canonical(item, budget, depth + 1)) for key, item in value.items()]))


def unique(budget: Budget, value: Any) -> list[Any]:
    first: dict[Any, Any] = {}
    for item in need("list", value, "unique"):
        first.setdefault(canonical(item, budget), item)
    return list(first.values())


def flatten(budget: Budget, value: Any) -> list[Any]:
    flat: list[Any] = []
    for item in need("list", value, "flatten"):
        if item.__class__ is list:
            budget.spend(len(item))
            flat.extend(item)
        else:
            flat.append(item)
    return flat


def count_up(budget: Budget, first: Any, second: Any = None, step: Any = 1) -> list[int]:
    start, stop = (0, first) if second is None else (first, second)
    if need("integer", step, "range") == 0:
        raise ExpressionError("range cannot step by 0", code="expr.value")
    numbers = range(need("integer", start, "range"), need("integer", stop, "range"), step)
    budget.spend(len(numbers))
    return list(numbers)


def reverse(value: Any) -> Any:
    if value.__class__ is str:
        return value[::-1]
    return need("list", value, "reverse")[::-1]


def first(value: Any) -> Any:
    return _not_empty(need("list", value, "first"), "first")[0]


def last(value: Any) -> Any:
    return _not_empty(need("list", value, "last"), "last")[-1]


def zip_lists(*lists: Any) -> list[Any]:
    return [list(row) for row in zip(*[need("list", item, "zip") for item in lists], strict=False)]


def _function(
    name: str,
    call: Any,
    low: int,
    high: int | None,
    signature: str,
    doc: str,
    returns: Any = None,
    budgeted: bool = False,
) -> ExpressionFunction:
    return ExpressionFunction(name, call, low, high, doc, returns, signature, budgeted, "nodeling")


INTEGER = {"type": "integer"}
LIST_FUNCTIONS = (
    _function("size", size, 1, 1, "size(x)", "How many elements, keys or characters.", INTEGER),
    _function("len", size, 1, 1, "len(x)", "Another name of `size`.", INTEGER),
    _function("type", type_name, 1, 1, "type(x)", "null, boolean, number, string, list or map.", STRING),
    _function(
        "indexOf",
        index_of,
        2,
        2,
        "indexOf(x, part)",
        "Where a list or a string first holds it, else -1.",
        INTEGER,
        True,
    ),
    _function(
        "keys", keys, 1, 1, "keys(m)", "The keys of a map, in its order.", {"type": "array", "items": STRING}
    ),
    _function("values", values, 1, 1, "values(m)", "The values of a map, in its order.", LIST),
    _function("entries", entries, 1, 1, "entries(m)", 'A list of `{"key": k, "value": v}`.', LIST),
    _function(
        "fromEntries", from_entries, 1, 1, "fromEntries(xs)", "The map that `entries` would list so.", MAP
    ),
    _function("merge", merge, 1, None, "merge(m, …)", "One map; later maps win.", MAP),
    _function("min", least, 1, None, "min(xs) or min(a, b, …)", "The least number or string."),
    _function("max", greatest, 1, None, "max(xs) or max(a, b, …)", "The greatest number or string."),
    _function("sum", total, 1, 1, "sum(xs)", "The sum of a list of numbers.", {"type": "number"}),
    _function("avg", average, 1, 1, "avg(xs)", "The mean of a list of numbers.", {"type": "number"}),
    _function("sort", sort, 1, 1, "sort(xs)", "The list in rising order.", LIST),
    _function("unique", unique, 1, 1, "unique(xs)", "The list without repetitions.", LIST, True),
    _function(
        "flatten", flatten, 1, 1, "flatten(xs)", "Lists inside the list opened, one level.", LIST, True
    ),
    _function(
        "range",
        count_up,
        1,
        3,
        "range(stop) or range(start, stop, step?)",
        "Integers up to, without, `stop`.",
        {"type": "array", "items": INTEGER},
        True,
    ),
    _function("reverse", reverse, 1, 1, "reverse(x)", "A list or a string from its end."),
    _function("first", first, 1, 1, "first(xs)", "The first element; of an empty list it is missing."),
    _function("last", last, 1, 1, "last(xs)", "The last element; of an empty list it is missing."),
    _function(
        "zip",
        zip_lists,
        2,
        None,
        "zip(xs, ys, …)",
        "Lists of the elements at each place.",
        {"type": "array", "items": LIST},
    ),
)
