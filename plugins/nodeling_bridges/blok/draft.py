"""A conversion under way: what has been found out, noted and refused so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling.formats import Position, Source, Wishes

__all__ = ["Draft", "escaped"]


def escaped(key: str | int) -> str:
    """A key as it stands in a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


class Draft:
    """The source and what comes of it.

    Attributes:
        is_first: The document is of the first generation.
        loops: The steps whose output is a list in Blok and a report with `results` here.
        names: Every name that a step bears in Blok.
        repeated: Those that several steps bear.
        read: The names whose output some expression reads.
        env: The environment variables that expressions read.
    """

    def __init__(self, source: Source, wishes: Wishes, *, is_first: bool) -> None:
        self.source = source
        self.wishes = wishes
        self.is_first = is_first
        self.notes: list[Fault] = []
        self.faults: list[Fault] = []
        self.places: dict[str, Position] = {}
        self.loops: set[str] = set()
        self.names: set[str] = set()
        self.repeated: set[str] = set()
        self.read: set[str] = set()
        self.env: set[str] = set()
        self.ui: dict[str, Any] = {}
        self.workflow = ""  # what it is called
        self._taken: set[str] = set()

    def note(self, what: str, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what was not carried over; what is left means the same without it."""
        self.notes.append(self.source.fault(f"blok.{what}", message, pointer, hint=hint, warning=True))

    def fault(self, what: str, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what cannot be carried over without meaning something else."""
        self.faults.append(self.source.fault(f"blok.{what}", message, pointer, hint=hint))

    def place(self, target: str, pointer: str) -> None:
        """Remember where a part of the native document comes from."""
        position = self.source.locate(pointer)
        if position is not None:
            self.places[target] = position

    def unique(self, name: str) -> str:
        """A step name of the native document, where each is borne once."""
        found, number = name, 1
        while found in self._taken or (number > 1 and found in self.names):
            number += 1
            found = f"{name}-{number}"
        self._taken.add(found)
        return found

    def strangers(self, data: dict[str, Any], known: Iterable[str], pointer: str, what: str) -> None:
        """Note every key that means nothing here, with the nearest that does."""
        known = tuple(known)
        for key in data:
            if key not in known:
                near = nearest(key, known)
                hint = f"did you mean {near!r}?" if near else None
                place = f"{pointer}/{escaped(key)}"
                self.note("unknown_key", place, f"{what} has the key {key!r}, which is left out", hint)

    def text(self, data: dict[str, Any], key: str, pointer: str, what: str) -> str:
        """A text that must be there; an empty one where it is not, which is a fault."""
        found = data.get(key)
        if isinstance(found, str) and found:
            return found
        self.fault(
            "shape", f"{pointer}/{escaped(key)}" if key in data else pointer, f"{what} needs a {key!r}"
        )
        return ""

    def mapping(self, value: Any, pointer: str, what: str) -> dict[str, Any]:
        """An object, or an empty one and a fault."""
        if isinstance(value, dict):
            return value
        self.fault("shape", pointer, f"{what} is an object")
        return {}

    def steps(self, value: Any, pointer: str, what: str) -> list[tuple[dict[str, Any], str]]:
        """Steps with their places; what is none is a fault."""
        if not isinstance(value, list):
            self.fault("shape", pointer, f"{what} is a list of steps")
            return []
        found = []
        for index, step in enumerate(value):
            place = f"{pointer}/{index}"
            found.append((self.mapping(step, place, "a step"), place))
        return found
