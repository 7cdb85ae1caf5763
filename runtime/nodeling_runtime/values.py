"""A value inside the host: checked JSON bytes, decoded only by whoever looks inside.

Bytes that a `Value` holds passed the profile, hold no line feed and are compact; so they may be
spliced into a frame, a row or another value without being read again. Nothing of the object that
a node handed over is kept, so nobody can change a value after the fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from nodeling.values import MAX_INTEGER, UNREAD, InvalidValue, decode, encode_reading
from nodeling.values import equal as json_equal

__all__ = ["NULL", "FlatValue", "InvalidValue", "Value", "flat_value", "json_equal", "split_list"]

if TYPE_CHECKING:
    from nodeling_runtime.blobs import Blob

_UNCHANGEABLE = frozenset((bool, int, float, str, type(None)))
_MOST_KEPT_READ = 2**20  # bytes; what is larger is read again rather than kept twice
_MOST_FLAT = 8  # entries
_LONGEST_FLAT = 1_000  # characters of a text: more is seldom, and not to be held twice
_LIST = ord("[")
_OBJECT = ord("{")


class Value:
    """One JSON value as checked bytes, compared by what it means (1 equals 1.0, not true).

    A value that is too large for that is a `BlobValue`, whose `blobs` are the files that hold it; it has
    the same methods, and reads its files when one of them needs to.
    """

    __slots__ = ("_shared", "data")

    blobs: ClassVar[Mapping[str, Blob]] = {}

    data: bytes

    def __init__(self, data: bytes, shared: Any = UNREAD) -> None:
        """Wraps bytes that are already checked; use `of` or `check_bytes` for anything else."""
        self.data = data
        self._shared = shared

    @classmethod
    def of(cls, obj: Any) -> Value:
        """Encodes and checks a Python object; raises InvalidValue with the pointer of the culprit."""
        kind = type(obj)
        if kind is int and -MAX_INTEGER <= obj <= MAX_INTEGER:
            return cls(b"%d" % obj, obj)
        data, found = encode_reading(obj)
        if kind in _UNCHANGEABLE:
            return cls(data, obj)  # nobody can change it, so what was read once need not be read again
        return cls(data, found if len(data) <= _MOST_KEPT_READ else UNREAD)

    @classmethod
    def from_checked(cls, data: bytes) -> Value:
        """Takes bytes that came out of another `Value`, without looking at them."""
        return cls(data)

    @classmethod
    def from_decoded(cls, data: bytes, found: Any) -> Value:
        """Takes checked bytes together with what they were decoded to, which nobody else may hold."""
        value = cls(data)
        value._shared = found
        return value

    @classmethod
    def check_bytes(cls, data: bytes) -> Value:
        """Reads and checks bytes from outside; white space goes, the last of two equal keys stays."""
        found = decode(data)
        return cls(orjson.dumps(found), found)

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    @property
    def is_list(self) -> bool:
        """Whether this is a JSON array; costs no decoding."""
        return self.data[0] == _LIST

    @property
    def is_object(self) -> bool:
        """Whether this is a JSON object; costs no decoding."""
        return self.data[0] == _OBJECT

    def shared(self) -> Any:
        """The decoded value, the same object each time: read it, never change it."""
        if self._shared is UNREAD:
            self._shared = orjson.loads(self.data)
        return self._shared

    def readable(self) -> Any:
        """What an expression gets: the value, or what stands for one that has not been read."""
        return self.shared()

    def brief(self) -> Any:
        """What an event tells: the value, but files by reference."""
        return self.shared()

    def fresh(self) -> Any:
        """A decoded copy that its receiver may change."""
        if self.data[0] in (_LIST, _OBJECT):
            return orjson.loads(self.data)
        return self.shared()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return self.data == other.data or json_equal(self.shared(), other.shared())

    # Equal values may have different bytes, so a hash would have to decode: nobody needs one.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        text = self.data[:61].decode("utf-8", "replace")
        return f"Value({text[:60]}...)" if len(self.data) > 60 else f"Value({text})"


class FlatValue(Value):
    """A small map of scalars. Nobody can change what stands in it, so each reader gets a copy of the map
    alone, and bytes are made of it only for who asks for them.
    """

    __slots__ = ()

    def __init__(self, items: dict[str, Any]) -> None:
        self._shared = items

    @property
    def data(self) -> bytes:  # type: ignore[override]
        """The value as checked bytes."""
        return orjson.dumps(self._shared)

    def fresh(self) -> Any:
        """A copy that its receiver may change."""
        return self._shared.copy()

    __hash__ = None


def flat_value(obj: Any) -> FlatValue | None:
    """The value of a small map of scalars; None for all else, which has to be encoded to be checked."""
    if type(obj) is not dict or len(obj) > _MOST_FLAT:
        return None
    for key, item in obj.items():
        kind = type(item)
        fits = (
            -MAX_INTEGER <= item <= MAX_INTEGER
            if kind is int
            else len(item) <= _LONGEST_FLAT and item.isascii()
            if kind is str
            else item is None or kind is bool or (kind is float and item - item == 0.0)
        )
        if not fits or type(key) is not str or len(key) > _LONGEST_FLAT or not key.isascii():
            return None
    return FlatValue(obj.copy())


NULL = Value(b"null")


def split_list(value: Value) -> list[Value]:
    """The items of a JSON list as values of their own, for the price of about one decoding.

    Raises:
        TypeError: the value is no list.
    """
    items = value.shared()
    if not isinstance(items, list):
        raise TypeError(f"only a list can be split, this is {value!r}")
    # Writing each item only to learn its length reuses one hot buffer; keeping what was written
    # would fault in fresh memory for every item, which costs several times more.
    dumps = orjson.dumps
    whole = dumps(items)
    found = []
    start = 1
    for item in items:
        end = start + len(dumps(item))
        found.append(Value(whole[start:end], item))
        start = end + 1
    return found
