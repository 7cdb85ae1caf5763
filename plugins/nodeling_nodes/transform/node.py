"""Operations on a list, each item judged by expressions that are kept until it is its turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from nodeling import Context, Expression, Flow, FlowNode, NodeError, NodelingError
from nodeling.flow import truth_of

from . import figures

MAX_ITEMS = 1_000_000
# How long the loop is held before others have their turn. Longer than the 5 ms after which a waiting thread
# asks for the interpreter: who pauses more often takes it back before the thread wakes.
TURN_SECONDS = 0.01
LOOK_EVERY = 32  # items between two looks at the clock


class Transform(FlowNode):
    """Gives what the last operation gave."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Do one operation after the other."""
        items = inputs["in"]
        each = Each(flow, inputs.get("as", "item"))
        ctx.metric("items_in", len(items))
        for place, operation in enumerate(inputs["operations"]):
            (name, value), *_ = operation.items()
            if name == "aggregate":
                if place + 1 < len(inputs["operations"]):
                    raise NodeError(
                        "`aggregate` gives no list, so it stands last", code=4002, retryable=False
                    )
                return await figures.aggregate(value, items, each)
            _bounded(items)
            items = await OPERATIONS[name](value, items, each)
        _bounded(items)
        ctx.metric("items_out", len(items))
        return items


class Each:
    """Evaluates an expression for item after item, and lets others have their turn meanwhile."""

    def __init__(self, flow: Flow, name: str) -> None:
        self._flow = flow
        self._name = name
        self._turned = time.monotonic()

    async def of(self, expression: Expression, items: list[Any]) -> list[Any]:
        """What the expression gives for every item."""
        out: list[Any] = []
        for index, item in enumerate(items):
            if index % LOOK_EVERY == 0 and time.monotonic() - self._turned > TURN_SECONDS:
                await asyncio.sleep(0)
                self._turned = time.monotonic()
            try:
                out.append(self._flow.evaluate(expression, {self._name: item, "index": index}))
            except NodelingError as error:
                raise NodeError(
                    f"{self._name} {index}: {error.message}",
                    code=error.code,
                    retryable=False,
                    hint=error.hint,
                    details={"index": index},
                ) from error
        return out


async def _filter(condition: Expression, items: list[Any], each: Each) -> list[Any]:
    kept = await each.of(condition, items)
    return [item for item, keep in zip(items, kept, strict=True) if truth_of(keep, "`filter`")]


async def _map(value: Expression, items: list[Any], each: Each) -> list[Any]:
    return await each.of(value, items)


async def _flat_map(value: Expression, items: list[Any], each: Each) -> list[Any]:
    lists = await each.of(value, items)
    for index, found in enumerate(lists):
        if not isinstance(found, list):
            raise figures.refusal(f"`flat_map` gave no list for item {index}")
    return [item for found in lists for item in found]


async def _sort(how: Mapping[str, Any], items: list[Any], each: Each) -> list[Any]:
    keys = await each.of(how["by"], items)
    ranks = [figures.rank(key, index) for index, key in enumerate(keys)]
    figures.comparable(ranks)
    descending = how.get("order", "asc") == "desc"
    order = sorted(range(len(items)), key=figures.ordering(ranks, descending))
    return [items[i] for i in order]


async def _unique(key: Expression, items: list[Any], each: Each) -> list[Any]:
    seen: dict[str, Any] = {}
    for item, found in zip(items, await each.of(key, items), strict=True):
        seen.setdefault(figures.identity(found), item)
    return list(seen.values())


async def _group(how: Mapping[str, Any], items: list[Any], each: Each) -> list[Any]:
    groups: dict[str, tuple[Any, list[int]]] = {}
    for index, key in enumerate(await each.of(how["by"], items)):
        groups.setdefault(figures.identity(key), (key, []))[1].append(index)
    if "aggregate" not in how:
        return [
            {**_key(key), "items": [items[i] for i in of], "count": len(of)} for key, of in groups.values()
        ]
    wanted = await figures.prepared(how["aggregate"], items, each)
    return [{**_key(key), **figures.computed(wanted, of)} for key, of in groups.values()]


def _key(key: Any) -> dict[str, Any]:
    return key if isinstance(key, dict) else {"key": key}


async def _skip(count: int, items: list[Any], each: Each) -> list[Any]:
    return items[count:]


async def _take(count: int, items: list[Any], each: Each) -> list[Any]:
    return items[:count]


def _bounded(items: list[Any]) -> None:
    if len(items) > MAX_ITEMS:
        raise NodeError(f"{len(items)} items are more than {MAX_ITEMS}", code=4005, retryable=False)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "filter": _filter,
    "map": _map,
    "flat_map": _flat_map,
    "sort": _sort,
    "unique": _unique,
    "group": _group,
    "skip": _skip,
    "take": _take,
}
