"""Where each value of a document stands in its text.

Places hold offsets; a line and a column (1-based, counted in characters) are worked out only for
the few places that somebody asks about.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

__all__ = ["MAX_FAULTS", "Lines", "Place", "RawFault", "cut", "locate", "nested_copy", "parts_of"]

# A document with more faults than this is wrong as a whole; the first ones say enough.
MAX_FAULTS = 100

_BREAK = re.compile(r"\r\n|\n|\r")


class Place:
    """The offset of a value, of its key if it has one, and the places inside it."""

    __slots__ = ("inside", "key", "start")

    def __init__(self, start: int, key: int | None = None) -> None:
        self.start = start
        self.key = key
        self.inside: dict[str, Place] | list[Place] | None = None

    def child(self, part: str) -> Place | None:
        """The place under a key or an index, or None."""
        if isinstance(self.inside, dict):
            return self.inside.get(part)
        if self.inside and part.isdecimal() and int(part[:12]) < len(self.inside):
            return self.inside[int(part)]
        return None


class RawFault:
    """A fault as a reader finds it: at an offset of the text, not yet in a named file."""

    __slots__ = ("code", "hint", "message", "offset", "pointer")

    def __init__(self, code: str, message: str, offset: int, pointer: str, hint: str | None = None) -> None:
        self.code = code
        self.message = message
        self.offset = offset
        self.pointer = pointer
        self.hint = hint


class Lines:
    """Turns offsets of one text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def at(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def parts_of(pointer: str) -> list[str]:
    """The keys and indexes of a JSON pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def locate(root: Place, pointer: str, *, key: bool) -> int:
    """The offset of what a pointer names, or of its nearest parent that exists."""
    place = root
    for part in parts_of(pointer):
        inner = place.child(part)
        if inner is None:
            return place.start
        place = inner
    return place.key if key and place.key is not None else place.start


def nested_copy(data: Any) -> Any:
    """A copy of plain JSON data that shares no container with it."""
    if isinstance(data, dict):
        return {name: nested_copy(item) for name, item in data.items()}
    if isinstance(data, list):
        return [nested_copy(item) for item in data]
    return data


def cut(text: str) -> str:
    """The text, or its beginning when it is too long for a message."""
    return text if len(text) <= 40 else text[:37] + "..."
