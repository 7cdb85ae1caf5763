"""What is computed of many values: sums, order, identity. Each says which item it cannot take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any, Protocol

from nodeling import Expression, NodeError
from nodeling.errors import nearest
from nodeling.values import encode

Rank = tuple[Any, ...]  # the parts of a sort key
Column = tuple[str, list[Any]]  # a function's name and the value of every item


class Evaluator(Protocol):
    """Evaluates an expression for every item."""

    async def of(self, expression: Expression, items: list[Any]) -> list[Any]:
        """What it gives for each."""


async def aggregate(wanted: Mapping[str, Any], items: list[Any], each: Evaluator) -> dict[str, Any]:
    """One figure for each name, of all items."""
    return computed(await prepared(wanted, items, each), list(range(len(items))))


async def prepared(wanted: Mapping[str, Any], items: list[Any], each: Evaluator) -> dict[str, Column]:
    """The values that every figure is made of."""
    columns: dict[str, Column] = {}
    for name, said in wanted.items():
        if len(said) != 1 or next(iter(said)) not in FUNCTIONS:
            found = ", ".join(said) or "nothing"
            near = nearest(found, FUNCTIONS)
            raise NodeError(
                f"`{name}` is one of {', '.join(FUNCTIONS)}, not {found}",
                code=4002,
                retryable=False,
                hint=f"did you mean {near!r}?" if near else None,
            )
        ((function, expression),) = said.items()
        columns[name] = (function, await each.of(expression, items))
    return columns


def computed(columns: Mapping[str, Column], of: list[int]) -> dict[str, Any]:
    """The figures of some of the items."""
    return {
        name: FUNCTIONS[function]([(i, values[i]) for i in of])
        for name, (function, values) in columns.items()
    }


def _numbers(values: list[tuple[int, Any]]) -> list[Any]:
    for index, value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise refusal(f"item {index} gives {value!r:.60}, which is no number")
    return [value for _, value in values if value is not None]


def _sum(values: list[tuple[int, Any]]) -> Any:
    numbers = _numbers(values)
    return math.fsum(numbers) if any(isinstance(number, float) for number in numbers) else sum(numbers)


def _average(values: list[tuple[int, Any]]) -> float | None:
    numbers = _numbers(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def _extreme(sign: int) -> Callable[[list[tuple[int, Any]]], Any]:
    def extreme(values: list[tuple[int, Any]]) -> Any:
        known = [(rank(value, index), value) for index, value in values if value is not None]
        comparable([one for one, _ in known])
        return (max if sign > 0 else min)(known, key=lambda one: one[0], default=((), None))[1]

    return extreme


def _count(values: list[tuple[int, Any]]) -> int:
    """How many values are neither null nor false."""
    return sum(value is not None and value is not False for _, value in values)


FUNCTIONS: dict[str, Callable[[list[tuple[int, Any]]], Any]] = {
    "sum": _sum,
    "avg": _average,
    "min": _extreme(-1),
    "max": _extreme(1),
    "count": _count,
    "first": lambda values: values[0][1] if values else None,
    "last": lambda values: values[-1][1] if values else None,
    "collect": lambda values: [value for _, value in values],
}


def rank(key: Any, index: int) -> Rank:
    """A sort key as its parts.

    Raises:
        NodeError: It is, or holds, something that has no order.
    """
    parts = key if isinstance(key, list) else [key]
    for part in parts:
        if part is not None and not isinstance(part, (bool, int, float, str)):
            raise refusal(f"item {index} gives {part!r:.60}, which has no order")
    return tuple(parts)


def comparable(ranks: list[Rank]) -> None:
    """Refuse ranks that mix numbers with texts at one place."""
    kinds: dict[int, str] = {}
    for index, parts in enumerate(ranks):
        for place, part in enumerate(parts):
            if part is None:
                continue
            kind = (
                "a text" if isinstance(part, str) else "a boolean" if isinstance(part, bool) else "a number"
            )
            if kinds.setdefault(place, kind) != kind:
                raise refusal(
                    f"item {index} gives {kind} where others give {kinds[place]}; they have no order"
                )


def ordering(ranks: list[Rank], descending: bool) -> Callable[[int], Any]:
    """A key for `sorted` over the places of items. Null comes last in either direction."""

    def compare(one: int, other: int) -> int:
        for a, b in zip(ranks[one], ranks[other], strict=False):
            if a is None or b is None:
                if (a is None) != (b is None):
                    return 1 if a is None else -1
            elif a != b:
                return (-1 if a < b else 1) * (-1 if descending else 1)
        return len(ranks[one]) - len(ranks[other])

    return cmp_to_key(compare)


def identity(value: Any) -> str:
    """What makes two values one for grouping: equal as JSON, whatever the order of keys."""
    return _sorted(value)


def _sorted(value: Any) -> str:
    if isinstance(value, dict):
        inner = ",".join(f"{_sorted(key)}:{_sorted(value[key])}" for key in sorted(value))
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_sorted, value)) + "]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return encode(value).decode() if isinstance(value, str) else repr(value)


def refusal(message: str) -> NodeError:
    """The items are not fit for what is asked."""
    return NodeError(message, code=4001, retryable=False)
