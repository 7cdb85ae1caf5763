"""The context that tasks share: JSON values by key, and how those of several tasks become one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nodeling.values import decode, encode, equal


class Context:
    """Values by key. What is no JSON is refused where it is set, not where it would be lost."""

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self._data: dict[str, Any] = {}
        self.missed: dict[str, None] = {}  # keys that were asked for and are not there
        for key, value in (data or {}).items():
            self.set(key, value)

    def get(self, key: str, default: Any = None) -> Any:
        """A value, or the default."""
        if key not in self._data:
            self.missed[key] = None
        return self._data.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Set a value.

        Raises:
            InvalidValue: It is no JSON value.
        """
        if not isinstance(key, str):
            raise TypeError(f"a key is a text, not {key!r}")
        encode(value)
        self._data[key] = value

    def insert(self, key: str, value: Any) -> None:
        """Set a value under a key that is new.

        Raises:
            ValueError: The key is there already.
        """
        if key in self._data:
            raise ValueError(f"there is a key {key!r} already")
        self.set(key, value)

    def update(self, key: str, value: Any) -> None:
        """Change the value of a key that is there.

        Raises:
            KeyError: It is not.
        """
        if key not in self._data:
            raise KeyError(key)
        self.set(key, value)

    def remove(self, key: str) -> Any:
        """Take a key out and return what it held, or None."""
        return self._data.pop(key, None)

    delete = remove

    def update_from_dict(self, data: Mapping[str, Any]) -> None:
        """Set several values."""
        for key, value in data.items():
            self.set(key, value)

    def to_dict(self) -> dict[str, Any]:
        """A copy as a dictionary."""
        copied: dict[str, Any] = decode(encode(self._data))
        return copied

    def to_json(self) -> str:
        """The values as JSON text."""
        return encode(self._data).decode("utf-8")

    @classmethod
    def from_json(cls, text: str) -> Context:
        """A context from JSON text."""
        return cls(json.loads(text))

    def keys(self) -> Iterable[str]:
        """Every key."""
        return self._data.keys()

    def __getitem__(self, key: str) -> Any:
        if key not in self._data:
            self.missed[key] = None
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and equal(self._data, other._data)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Context({self._data!r})"


def merged(contexts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several contexts as one, from the oldest to the latest: objects go together key by key, lists one after
    the other without repeats, and of anything else the latest stays."""
    found: dict[str, Any] = {}
    for context in contexts:
        found = _joined(found, context)
    return found


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        out = dict(one)
        for key, value in other.items():
            out[key] = _joined(out[key], value) if key in out else value
        return out
    if isinstance(one, list) and isinstance(other, list):
        if one == other:  # the same list by two ways is no list of repeats
            return other
        return list({encode(value): value for value in (*one, *other)}.values())
    return other
