"""The forms that evaluate an expression once for each element.

A pass costs one step and one more for every 16 operations in the body, so a nest of loops over large lists
ends in `expr.budget` within seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.frame import Closure, Frame, Step
from nodeling_runtime.expressions.list_functions import sort_keys
from nodeling_runtime.expressions.operators import is_number, type_error, type_name
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.expressions.text_functions import to_json_text

__all__ = ["MACRO_BUILDERS", "OPERATIONS_PER_STEP"]

OPERATIONS_PER_STEP = 16


def elements(value: Any, name: str, at: int) -> list[Any]:
    """The elements of a list, or the keys of a map."""
    value = to_plain(value)
    if value.__class__ is list:
        return value
    if value.__class__ is dict:
        return list(value)
    hint = "write (xs ?? []) when there may be none" if value is None else None
    raise type_error(f"{name} needs a list or a map, not {_named(value)}", at, hint)


def _named(value: Any) -> str:
    return "null" if value is None else f"a {type_name(value)}"


def _boolean(value: Any, name: str, at: int) -> bool:
    if value is True or value is False:
        return bool(value)
    raise type_error(f"the condition of {name} gives {_named(value)}, not a boolean", at)


def quantifier(name: str, stop: bool) -> Callable[[Closure, int, int, int], Step]:
    """`exists` stops at the first true, `all` at the first false."""

    def build(body: Closure, slot: int, weight: int, at: int) -> Step:
        def run(frame: Frame, value: Any) -> bool:
            slots, budget = frame.slots, frame.meter()
            for item in elements(value, name, at):
                budget.steps_left -= weight
                if budget.steps_left < 0:
                    budget.spend(0)
                slots[slot] = item
                if _boolean(body(frame), name, at) is stop:
                    return stop
            return not stop

        return run

    return build


def mapping(body: Closure, slot: int, weight: int, at: int) -> Step:
    """`map`: the list of what the body gives."""

    def run(frame: Frame, value: Any) -> list[Any]:
        items = elements(value, "map", at)
        frame.meter().spend(len(items) * weight)
        slots = frame.slots
        made = []
        for item in items:
            slots[slot] = item
            made.append(body(frame))
        return made

    return run


def filtering(body: Closure, slot: int, weight: int, at: int) -> Step:
    """`filter`: the elements for which the body is true."""

    def run(frame: Frame, value: Any) -> list[Any]:
        items = elements(value, "filter", at)
        frame.meter().spend(len(items) * weight)
        slots = frame.slots
        kept = []
        for item in items:
            slots[slot] = item
            verdict = body(frame)
            if verdict is True or (verdict is not False and _boolean(verdict, "filter", at)):
                kept.append(item)
        return kept

    return run


def exactly_one(body: Closure, slot: int, weight: int, at: int) -> Step:
    """`exists_one`: whether the body is true exactly once."""
    keep = filtering(body, slot, weight, at)

    def run(frame: Frame, value: Any) -> bool:
        return len(keep(frame, value)) == 1

    return run


def sorting(body: Closure, slot: int, weight: int, at: int) -> Step:
    """`sortBy`: the elements in rising order of what the body gives; equal ones keep their order."""
    keys_of = mapping(body, slot, weight, at)

    def run(frame: Frame, value: Any) -> list[Any]:
        items = elements(value, "sortBy", at)
        keys = sort_keys(keys_of(frame, items), "sortBy")
        return [items[place] for place in sorted(range(len(items)), key=keys.__getitem__)]

    return run


def grouping(body: Closure, slot: int, weight: int, at: int) -> Step:
    """`groupBy`: a map from what the body gives, as text, to the elements that give it."""
    keys_of = mapping(body, slot, weight, at)

    def run(frame: Frame, value: Any) -> dict[str, list[Any]]:
        items = elements(value, "groupBy", at)
        groups: dict[str, list[Any]] = {}
        for item, key in zip(items, keys_of(frame, items), strict=True):
            if key.__class__ is not str:
                if not (is_number(key) or key.__class__ is bool):
                    raise type_error(
                        f"groupBy needs strings, numbers or booleans as keys, not {_named(key)}", at
                    )
                key = to_json_text(key, frame.meter())
            groups.setdefault(key, []).append(item)
        return groups

    return run


MACRO_BUILDERS: dict[str, Callable[[Closure, int, int, int], Step]] = {
    "all": quantifier("all", stop=False),
    "exists": quantifier("exists", stop=True),
    "exists_one": exactly_one,
    "filter": filtering,
    "groupBy": grouping,
    "map": mapping,
    "sortBy": sorting,
}
