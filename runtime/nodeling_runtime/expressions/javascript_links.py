"""How JavaScript's paths, method calls and spreads work on values; what the JavaScript compiler builds on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import CHARACTERS_PER_STEP, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.frame import Closure, Frame
from nodeling_runtime.expressions.javascript_arrays import ARRAY_METHODS
from nodeling_runtime.expressions.javascript_operators import get
from nodeling_runtime.expressions.javascript_strings import STRING_METHODS
from nodeling_runtime.expressions.javascript_values import (
    UNDEFINED,
    own_keys,
    to_text,
    typeof,
    units,
)
from nodeling_runtime.expressions.operators import is_number
from nodeling_runtime.expressions.record import Record, to_plain
from nodeling_runtime.expressions.syntax import (
    Link,
    Member,
)

__all__ = [
    "cost",
    "iterated",
    "leading_keys",
    "method_of",
    "nullish",
    "path_closure",
    "placed",
    "spread_into",
]


def nullish(value: Any) -> bool:
    """Whether a value is null or undefined."""
    return value is None or value is UNDEFINED


def leading_keys(links: tuple[Link, ...]) -> list[str]:
    """The keys that the links begin with, up to the first that is not a plain `.key`."""
    keys = []
    for link in links:
        if not isinstance(link, Member) or link.optional:
            break
        keys.append(link.key)
    return keys


def path_closure(base: Closure, links: tuple[Link, ...]) -> Closure:
    """The links of a path in one closure."""
    steps = [(link.key, link.at) for link in links if isinstance(link, Member)]
    if not steps:
        return base

    def run(frame: Frame) -> Any:
        value = base(frame)
        for key, at in steps:
            if value.__class__ is dict and key in value:
                value = value[key]
                continue
            try:
                value = get(value, key)
            except ExpressionError as error:
                raise error.placed(at) from None
        return value

    return run


def placed(apply: Callable[..., Any], left: Any, right: Any, budget: Budget, at: int) -> Any:
    """The operator applied; its errors get its position."""
    try:
        return apply(left, right, budget)
    except ExpressionError as error:
        raise error.placed(at) from None


def method_of(value: Any, name: str, at: int) -> Callable[..., Any]:
    """The method of this name that the value has."""
    methods = {str: STRING_METHODS, list: ARRAY_METHODS}.get(value.__class__, {})
    method = methods.get(name)
    if method is not None:
        return method
    if name == "toString" and (is_number(value) or value.__class__ in (bool, dict)):
        return lambda receiver, budget: to_text(receiver)
    if nullish(value):
        kind = "null" if value is None else "undefined"
        raise ExpressionError(
            f"cannot call {name} of {kind}", code="expr.no_such_key", position=at, hint="guard it with ?."
        )
    raise ExpressionError(f"a {typeof(value)} has no method {name}", code="expr.type", position=at)


def cost(value: Any) -> int:
    """The steps that one look at a value takes."""
    if value.__class__ is list or value.__class__ is dict:
        return len(value)
    return len(value) // CHARACTERS_PER_STEP if value.__class__ is str else 0


def iterated(value: Any, at: int) -> list[Any]:
    """What `...` lists: the elements of an array, the characters of a string."""
    if value.__class__ is list:
        return value
    if value.__class__ is str:
        return [*value]
    raise ExpressionError(f"a {typeof(value)} cannot be spread into an array", code="expr.type", position=at)


def spread_into(made: dict[str, Any], value: Any, budget: Budget) -> None:
    """`{...value}`: its own properties; nothing for what has none."""
    if isinstance(value, Record):
        value = to_plain(value)
    if value.__class__ is dict:
        budget.spend(len(value))
        for key in own_keys(value):
            made[key] = value[key]
    elif value.__class__ is list or value.__class__ is str:
        held = units(value) if value.__class__ is str else value
        budget.spend(len(held))
        made.update((str(place), item) for place, item in enumerate(held))
