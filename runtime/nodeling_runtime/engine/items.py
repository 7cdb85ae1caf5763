"""Values that a container hands to its children, uncopied where nobody can change them."""

from __future__ import annotations

from typing import Any

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.values import Value

UNCHANGEABLE = frozenset((bool, int, float, str, type(None)))


class Item:
    """One item of a list that is handed out uncopied: shared, so never shown to a node as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def checked(name: str, value: Any) -> Any:
    """A value a container gave its child, decoded from its own bytes so that nobody shares it.

    Raises:
        ExpressionError: It is no JSON value.
    """
    kind = type(value)
    if kind is Item:
        return value.value
    if kind in UNCHANGEABLE:
        return value
    if isinstance(value, list) and value and all(isinstance(item, Item) for item in value):
        return [item.value for item in value]
    try:
        return Value.of(value).shared()
    except ValueError as error:
        raise ExpressionError(f"{name!r} is no JSON value: {error}", code="expr.value") from error
