"""What scriptlets share: values by flat keys, who wrote them, and what happened to them.

Invariant: nobody holds a value of a context, only copies; a value that is no JSON is refused where it is set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nodeling.errors import nearest
from nodeling.values import InvalidValue, decode, encode

__all__ = ["EVENTS", "Context"]

EVENTS = ("before_set", "after_set", "before_get", "after_get", "on_dirty")
_ABSENT = object()


class Context:
    """Values by key. A key with points in it is one key: `set("a.b", 1)` puts nothing into `a`.

    Args:
        given: Values that are there from the beginning, read when they are asked for.
        writers: Who wrote them.
    """

    def __init__(
        self, given: Mapping[str, Any] | None = None, writers: Callable[[str], str | None] | None = None
    ) -> None:
        self._given: Mapping[str, Any] = {} if given is None else given
        self._writers = writers
        self._own: dict[str, Any] = {}
        self._who: dict[str, str | None] = {}
        self._dirty: dict[str, None] = {}
        self._history: list[dict[str, Any]] = []
        self._callbacks: dict[str, list[Callable[..., Any]]] = {event: [] for event in EVENTS}
        self._counts = dict.fromkeys(("gets", "sets", "unchanged_sets"), 0)
        self._lock = threading.RLock()

    def get(self, key: str, default: Any = None) -> Any:
        """A copy of a value, or the default."""
        with self._lock:
            self._tell("before_get", key)
            self._counts["gets"] += 1
            found = self._value(key)
            value = default if found is _ABSENT else _copy(found)
            self._tell("after_get", key, value)
            return value

    def set(self, key: str, value: Any, who: str | None = None) -> None:
        """Set a value, and say who did. Setting what is there already leaves no trace.

        Raises:
            TypeError: The key is no text.
            ValueError: The value is no JSON value.
        """
        if not isinstance(key, str) or not key:
            raise TypeError(f"a key is a text, not {key!r}")
        kept = _checked(key, value)
        with self._lock:
            self._counts["sets"] += 1
            before = self._value(key)
            if before is not _ABSENT and encode(before) == encode(kept):
                self._counts["unchanged_sets"] += 1
                return
            self._tell("before_set", key, kept)
            self._own[key], self._who[key] = kept, who
            self._dirty[key] = None
            self._history.append(_entry(key, None if before is _ABSENT else before, kept, who))
            self._tell("on_dirty", key)
            self._tell("after_set", key, kept)

    def who(self, key: str) -> str | None:
        """Who wrote a value; None when nobody said so."""
        with self._lock:
            if key in self._who:
                return self._who[key]
        return None if self._writers is None else self._writers(key)

    def keys(self) -> list[str]:
        """Every key."""
        with self._lock:
            return list(dict.fromkeys((*self._given, *self._own)))

    def to_dict(self) -> dict[str, Any]:
        """A copy of everything."""
        with self._lock:
            return {key: _copy(self._value(key)) for key in self.keys()}

    def to_json(self) -> str:
        """Everything as JSON text."""
        return encode(self.to_dict()).decode("utf-8")

    @classmethod
    def from_json(cls, text: str) -> Context:
        """A context from JSON text.

        Raises:
            ValueError: The text is no JSON object.
        """
        data = decode(text.encode("utf-8"))
        if not isinstance(data, dict):
            raise ValueError("a context is a JSON object")
        return cls(data)

    def get_history(self, key: str | None = None) -> list[dict[str, Any]]:
        """What was written here, in its order: `{timestamp, key, before, after, who, operation}`."""
        with self._lock:
            return [_copy(entry) for entry in self._history if key is None or entry["key"] == key]

    def pop_dirty_keys(self) -> list[str]:
        """The keys that were written since this was asked last."""
        with self._lock:
            found = list(self._dirty)
            self._dirty.clear()
            return found

    def merge_from(self, other: Context | Mapping[str, Any], who: str | None = None) -> None:
        """Set everything that another context holds."""
        values = other.to_dict() if isinstance(other, Context) else other
        for key, value in values.items():
            self.set(key, value, who=who)

    def register_callback(self, event: str, callback: Callable[..., Any]) -> None:
        """Have a function called with the key, and behind it the value where there is one.

        Raises:
            ValueError: There is no such event.
        """
        if event not in self._callbacks:
            near = nearest(event, EVENTS)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(EVENTS)}"
            raise ValueError(f"no event is called {event!r}; {hint}")
        self._callbacks[event].append(callback)

    def get_metrics(self) -> dict[str, int]:
        """How often was read and written."""
        with self._lock:
            return {**self._counts, "keys": len(self.keys()), "history": len(self._history)}

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return isinstance(key, str) and self._value(key) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __repr__(self) -> str:
        return f"Context({', '.join(self.keys())})"

    def _value(self, key: str) -> Any:
        if key in self._own:
            return self._own[key]
        try:
            return self._given[key]
        except KeyError:
            return _ABSENT

    def _tell(self, event: str, *about: Any) -> None:
        for callback in self._callbacks[event]:
            callback(*about)


def missing(context: Context, keys: Iterable[str]) -> list[str]:
    """Those of several keys that are not there."""
    return [key for key in keys if key not in context]


def _checked(key: str, value: Any) -> Any:
    try:
        return decode(encode(value))
    except InvalidValue as error:
        raise ValueError(f"the value of {key!r} is no JSON value: {error}") from error


def _copy(value: Any) -> Any:
    return decode(encode(value))


def _entry(key: str, before: Any, after: Any, who: str | None) -> dict[str, Any]:
    moment = datetime.now(UTC).isoformat()
    return {"timestamp": moment, "key": key, "before": before, "after": after, "who": who, "operation": "set"}
