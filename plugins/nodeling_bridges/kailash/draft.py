"""A conversion under way: what has been noted and refused so far, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling.formats import Source

__all__ = ["Draft", "escaped", "suggestion"]


def escaped(key: str | int) -> str:
    """A key as it stands in a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest name, or all of them."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        return f"did you mean {near!r}?"
    return f"there is {', '.join(names)}" if names else "there is none"


class Draft:
    """The source, and what there is to say about it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.notes: list[Fault] = []

    def fault(self, what: str, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what cannot be carried over without meaning something else."""
        found = self.source.fault(f"kailash.{what}", message, pointer, hint=hint)
        if found not in self.faults:
            self.faults.append(found)

    def note(self, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what was not carried over; what is left means the same without it."""
        self.notes.append(self.source.fault("kailash.not_carried", message, pointer, hint=hint, warning=True))

    def mapping(self, value: Any, pointer: str, what: str) -> dict[str, Any]:
        """An object with names as keys, or an empty one and a fault."""
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return value
        self.fault("shape", pointer, f"{what} must be an object")
        return {}

    def text(self, value: Any, pointer: str, what: str) -> str:
        """A text that says something, or an empty one and a fault."""
        if isinstance(value, str) and value.strip():
            return value
        self.fault("shape", pointer, f"{what} must be a text")
        return ""
