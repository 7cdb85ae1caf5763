"""The careful walk that turns a Python value into plain JSON data, or says what cannot travel.

It decides what the value profile accepts; the encoders in `values.py` only take short cuts whose
result is the same. Standard library only.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_DEPTH = 64
MAX_INTEGER = 2**53 - 1


class InvalidValue(ValueError):
    """A value is outside the profile; `pointer` says where, `kind` names the rule it breaks."""

    def __init__(self, pointer: str, message: str, kind: str = "type") -> None:
        super().__init__(f"{message} (at {pointer})" if pointer else message)
        self.pointer = pointer
        self.message = message
        self.kind = kind


def pointer_of(parts: list[Any]) -> str:
    """The JSON pointer of a list of keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def plain(value: Any) -> Any:
    """The same value as dicts, lists and scalars of the exact built-in types, checked.

    Raises:
        InvalidValue: something in it cannot travel.
    """
    return Plain().of(value)


class Plain:
    """One walk over one value: where it is, and which containers are open above it."""

    __slots__ = ("depth", "open", "path")

    def __init__(self) -> None:
        self.path: list[Any] = []
        self.open: list[int] = []
        self.depth = 0

    def refuse(self, message: str, kind: str) -> InvalidValue:
        return InvalidValue(pointer_of(self.path), message, kind)

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return self.integer(value)
        if kind is float:
            return self.number(value)
        if kind is dict or kind is list or kind is tuple:
            return self.container(value)
        return self.special(value)

    def text(self, value: str) -> str:
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                code = ord(value[error.start])
                message = f"the text holds the lone surrogate U+{code:04X}, which is no character"
                raise self.refuse(message, "surrogate") from None
        return value

    def integer(self, value: int) -> int:
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return value
        raise self.refuse(_too_big(value.bit_length()), "integer")

    def number(self, value: float) -> float:
        if math.isfinite(value):
            return value
        raise self.refuse(f"{_number_name(value)} is no JSON number; use null instead", "nan")

    def container(self, value: Any) -> Any:
        if id(value) in self.open:
            raise self.refuse("the value contains itself", "circular")
        if self.depth == MAX_DEPTH:
            raise self.refuse(f"the value is more than {MAX_DEPTH} levels deep", "depth")
        self.open.append(id(value))
        self.depth += 1
        found = self.mapping(value) if isinstance(value, dict) else self.sequence(value)
        self.depth -= 1
        self.open.pop()
        return found

    def mapping(self, value: dict[Any, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in list(dict.items(value)):
            if not isinstance(key, str):
                raise self.refuse(f"the key {_short(key)} is {_a(key)}, keys must be text", "key")
            self.path.append(key)
            found[self.text(str.__str__(key))] = self.of(item)
            self.path.pop()
        return found

    def sequence(self, value: Any) -> list[Any]:
        found = []
        read = list.__iter__ if isinstance(value, list) else tuple.__iter__
        for index, item in enumerate(read(value)):
            self.path.append(index)
            found.append(self.of(item))
            self.path.pop()
        return found

    def special(self, value: Any) -> Any:
        """The few types that have one obvious JSON form, and subclasses of the built-in ones."""
        import dataclasses
        import datetime
        from enum import Enum
        from uuid import UUID

        if isinstance(value, Enum):
            return self.inside(value, lambda: value.value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.inside(value, lambda: _fields(value))
        if isinstance(value, (datetime.date, datetime.datetime)):
            return self.text(value.isoformat())
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, int):
            return self.integer(int.__int__(value))
        if isinstance(value, float):
            return self.number(float.__float__(value))
        if isinstance(value, (dict, list, tuple)):
            return self.container(value)
        raise self.refuse(f"{_a(value)} is no JSON value{_advice(value)}", "type")

    def inside(self, value: Any, read: Callable[[], Any]) -> Any:
        """What `read` gives in place of `value`, which must not lead back to itself."""
        if id(value) in self.open:
            raise self.refuse("the value contains itself", "circular")
        self.open.append(id(value))
        try:
            inner = read()
        except Exception as error:
            message = f"{_a(value)} cannot be read: {type(error).__name__}: {error}"
            raise self.refuse(message, "type") from error
        found = self.of(inner)
        self.open.pop()
        return found


def _fields(value: Any) -> dict[str, Any]:
    import dataclasses

    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        # A repr that raises must not hide the fault being reported; the type is enough then.
        return f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def _advice(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return "; return a list"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "; decode it to text, or encode it as base64"
    return ""


def _too_big(bits: int) -> str:
    return f"the integer ({bits} bits) is beyond ±(2^53 - 1), where languages differ; send it as text"


def _number_name(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class Unreadable:
    """Stands where a text held a number that may not travel."""

    def __init__(self, message: str, kind: str) -> None:
        self.message = message
        self.kind = kind


class Reread(Plain):
    """The walk over what was read, which knows the places that stand for bad numbers."""

    __slots__ = ()

    def special(self, value: Any) -> Any:
        raise self.refuse(value.message, value.kind)
