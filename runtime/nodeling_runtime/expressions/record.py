"""What an expression reads from: a scope of names, and records that find their fields when asked.

An expression sees JSON values and records, never an attribute of a Python object. A record stands for a
value that is expensive to build whole (`ctx`, `steps`): only the keys an expression names are resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from nodeling_runtime.expressions.errors import ExpressionError, unknown_name

__all__ = ["Deferred", "Names", "Record", "Scope", "to_plain"]

PLAIN_TYPES: frozenset[type] = frozenset({dict, list, str, int, float, bool, type(None)})


class Scope(Protocol):
    """Anything that finds the value of a root name, or raises `expr.unknown_name`."""

    def lookup(self, name: str) -> Any:
        """The value of a root name: a JSON value or a `Record`."""
        ...


class Record:
    """A map whose values are found when they are asked for.

    No abstract base class: what an expression meets is asked at every step of a path whether it is one.
    """

    __slots__ = ()

    def get(self, key: str) -> Any:
        """The value of one key; raises `expr.no_such_key` or `expr.no_output`."""
        raise NotImplementedError

    def leap(self, keys: Sequence[str | int]) -> tuple[Any, int]:
        """The value some way along a path, and how many of its keys led there: none, unless a record knows
        a shorter way that meets nothing unusual.
        """
        return self, 0

    def keys(self) -> Iterable[str]:
        """The keys that exist, for error hints and for the whole value."""
        raise NotImplementedError

    def to_json(self) -> Any:
        """The whole value, where the record itself is used as one; keys without a value are left out."""
        whole: dict[str, Any] = {}
        for key in self.keys():
            try:
                whole[key] = to_plain(self.get(key))
            except ExpressionError as error:
                if not error.is_missing:
                    raise
        return whole


class Deferred(Record):
    """A value that is read when somebody looks inside; handed on whole it stays unread.

    An expression gives one only to a scope that has a true `keeps_deferred`.
    """

    __slots__ = ()

    def read(self) -> Any:
        """The value."""
        raise NotImplementedError

    def at(self, key: Any) -> Any:
        """The member of this key, or the element of this place."""
        raise NotImplementedError

    def get(self, key: str) -> Any:
        """The member of this key."""
        return self.at(key)

    def keys(self) -> Iterable[str]:
        """The keys, where it is a map."""
        value = self.read()
        return value.keys() if isinstance(value, dict) else ()

    def to_json(self) -> Any:
        """The value."""
        return self.read()


class Names:
    """The simplest scope: a mapping of names to values."""

    __slots__ = ("_names",)

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def lookup(self, name: str) -> Any:
        """The value of a root name, or `expr.unknown_name` with the names there are."""
        try:
            return self._names[name]
        except KeyError:
            raise unknown_name(name, list(self._names)) from None


def to_plain(value: Any) -> Any:
    """The JSON value behind a value: a record becomes its whole, anything foreign is an error."""
    if value.__class__ in PLAIN_TYPES:
        return value
    if isinstance(value, Record):
        return value.to_json()
    kinds: tuple[Any, ...] = (dict, list, str, int, float)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    raise ExpressionError(f"a {type(value).__name__} is not a JSON value", code="expr.type")
