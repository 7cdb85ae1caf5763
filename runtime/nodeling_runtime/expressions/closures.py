"""Closures for what most conditions are made of: paths, comparisons, tests.

Each has a way of its own for the case that goes well; whatever does not fit takes the general way, which
alone makes errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nodeling_runtime.expressions.budget import Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.frame import Closure, Frame
from nodeling_runtime.expressions.operators import (
    NUMBERS,
    ORDERINGS,
    equal,
    member,
    ordered,
    type_error,
    type_name,
)
from nodeling_runtime.expressions.record import PLAIN_TYPES, Deferred, Record, Scope, to_plain
from nodeling_runtime.expressions.references import whole_path
from nodeling_runtime.expressions.syntax import (
    Node,
)

__all__ = [
    "constant_path",
    "equality_closure",
    "finder",
    "general_closure",
    "kept",
    "ordering_closure",
    "path_closure",
    "truth",
    "variable_closure",
    "whole_closure",
]


def truth(value: Any, operator: str, at: int) -> bool:
    """The boolean, or the typed error for anything else."""
    if value is True or value is False:
        return bool(value)
    name = "null" if value is None else f"a {type_name(value)}"
    raise type_error(
        f"'{operator}' needs booleans, not {name}", at, "compare it: x != null, n != 0, size(xs) > 0"
    )


def constant_path(node: Node) -> tuple[str, tuple[str | int, ...]] | None:
    """The root and the keys of a plain path, which needs no walk over its links."""
    whole = whole_path(node)
    return (whole.root, cast("tuple[str | int, ...]", whole.path)) if whole is not None else None


def kept(value: Any) -> Any:
    """What a whole expression gives: a deferred value stays unread, a record becomes its whole."""
    return value if isinstance(value, Deferred) else to_plain(value)


def whole_closure(general: Closure, finish: Callable[[Any], Any] = to_plain) -> Closure:
    """Any expression that may give a record, with the record made whole."""

    def run(frame: Frame) -> Any:
        value = general(frame)
        return value if value.__class__ in PLAIN_TYPES else finish(value)

    return run


def path_closure(
    general: Closure, root: str, keys: tuple[str | int, ...], finish: Callable[[Any], Any] = to_plain
) -> Closure:
    """A path that takes maps key by key; anything unusual is done again the general way."""
    find = finder(root, keys)

    def run(frame: Frame) -> Any:
        try:
            value = find(frame)
        except (KeyError, ExpressionError):
            value = general(frame)
        return value if value.__class__ in PLAIN_TYPES else finish(value)

    return run


def finder(root: str, keys: tuple[str | int, ...]) -> Callable[[Scope], Any]:
    """What leads along a path of maps; it fails at anything unusual, in whatever way comes first."""
    tails = [keys[used:] for used in range(len(keys) + 1)]

    def find(scope: Scope) -> Any:
        value = scope.lookup(root)
        rest = keys
        if isinstance(value, Record):
            value, used = value.leap(keys)
            rest = tails[used]
        for key in rest:
            value = value[key] if value.__class__ is dict else member(value, key)
        return value

    return find


def variable_closure(general: Closure, slot: int, keys: tuple[str | int, ...]) -> Closure:
    """The same for a path that begins at the variable of a macro."""

    def run(frame: Frame) -> Any:
        value = frame.slots[slot]
        try:
            for key in keys:
                value = value[key] if value.__class__ is dict else member(value, key)
        except (KeyError, ExpressionError):
            value = general(frame)
        return value if value.__class__ in PLAIN_TYPES else to_plain(value)

    return run


def general_closure(
    apply: Callable[[Any, Any, Budget], Any], left: Closure, right: Closure, at: int
) -> Closure:
    """An operator of two operands, whatever they are."""

    def run(frame: Frame) -> Any:
        first, second = left(frame), right(frame)
        try:
            return apply(first, second, frame.meter())
        except ExpressionError as error:
            raise error.placed(at) from None

    return run


def ordering_closure(operator: str, left: Closure, right: Closure, at: int) -> Closure:
    """An ordering: at once for two numbers, in general for the rest."""
    compare = ORDERINGS[operator]

    def run(frame: Frame) -> bool:
        first, second = left(frame), right(frame)
        if first.__class__ in NUMBERS and second.__class__ in NUMBERS:
            return compare(first, second)
        try:
            return ordered(operator, first, second, frame.meter())
        except ExpressionError as error:
            raise error.placed(at) from None

    return run


def equality_closure(positive: bool, left: Closure, right: Closure, constant: Any, at: int) -> Closure:
    """`==` and `!=`: at once when the left is of the type of a constant on the right."""
    kind = constant.__class__ if constant.__class__ in (str, int, bool) else None

    def run(frame: Frame) -> bool:
        first = left(frame)
        if first.__class__ is kind:
            return (first == constant) is positive
        try:
            return equal(first, right(frame), frame.meter()) is positive
        except ExpressionError as error:
            raise error.placed(at) from None

    return run
