"""A conversion under way: what was found out, noted and refused so far, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodeling.errors import Fault, nearest
from nodeling.formats import Position, Source, Wishes
from nodeling_bridges.framework0.expressions import Expressions, SyntaxFault, plain

__all__ = ["Draft", "escaped"]


def escaped(key: str | int) -> str:
    """A key as it stands in a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


class Draft:
    """The source, and what comes of it."""

    def __init__(self, source: Source, wishes: Wishes) -> None:
        self.source = source
        self.wishes = wishes
        self.notes: list[Fault] = []
        self.faults: list[Fault] = []
        self.places: dict[str, Position] = {}
        self.expressions = Expressions("")

    def note(self, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what was not carried over; what is left means the same without it."""
        self.notes.append(
            self.source.fault("framework0.not_carried", message, pointer, hint=hint, warning=True)
        )

    def fault(self, code: str, pointer: str, message: str, hint: str | None = None) -> None:
        """Say what cannot be carried over."""
        self.faults.append(self.source.fault(code, message, pointer, hint=hint))

    def place(self, target: str, pointer: str) -> None:
        """Remember where a part of the native document comes from."""
        position = self.source.locate(pointer)
        if position is not None:
            self.places[target] = position

    def where(self, pointer: str) -> str:
        """A place as an error shows it."""
        position = self.source.locate(pointer)
        return self.source.name if position is None else f"{self.source.name}:{position[0]}"

    def strangers(self, data: Mapping[str, Any], known: Iterable[str], pointer: str, what: str) -> None:
        """Note every key that means nothing here, with the nearest that does."""
        known = tuple(known)
        for key in data:
            if key not in known:
                near = nearest(str(key), known)
                hint = f"did you mean {near!r}?" if near else None
                self.note(f"{pointer}/{escaped(key)}", f"{what} has the key {key!r}, which is left out", hint)

    def mapping(self, data: Mapping[str, Any], key: str, pointer: str) -> dict[str, Any]:
        """An object under a key; an empty one where there is none."""
        found = data.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        self.fault("framework0.shape", f"{pointer}/{key}", f"`{key}` is an object, not {found!r:.60}")
        return {}

    def text(self, data: Mapping[str, Any], key: str, pointer: str, what: str) -> str:
        """A text that has to be there."""
        found = data.get(key)
        if isinstance(found, str) and found.strip():
            return found.strip()
        place = f"{pointer}/{key}" if key in data else pointer
        self.fault("framework0.shape", place, f"{what} needs a text as `{key}`")
        return ""

    def texts(self, data: Mapping[str, Any], key: str, pointer: str) -> list[str]:
        """A list of texts under a key; one text stands for a list of it."""
        found = data.get(key)
        listed = [found] if isinstance(found, str) else found
        if listed is None:
            return []
        if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
            return list(listed)
        self.fault("framework0.shape", f"{pointer}/{key}", f"`{key}` is a list of names")
        return []

    def number(self, data: Mapping[str, Any], key: str, pointer: str, least: int) -> int | None:
        """A whole number under a key."""
        found = data.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            self.fault("framework0.shape", f"{pointer}/{key}", f"`{key}` is a whole number from {least} up")
            return None
        return found

    def seconds(self, data: Mapping[str, Any], key: str, pointer: str) -> str | None:
        """A length of time, given in seconds."""
        found = data.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < 1e8:
            self.fault("framework0.shape", f"{pointer}/{key}", f"`{key}` is a number of seconds, more than 0")
            return None
        return f"{max(1, round(found * 1_000))}ms"

    def lowered(self, value: Any, pointer: str, target: str) -> Any:
        """A value in which every `#{…}` is a native expression; its texts know their lines."""
        if isinstance(value, dict):
            return {
                key: self.lowered(item, f"{pointer}/{escaped(key)}", f"{target}/{escaped(key)}")
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self.lowered(item, f"{pointer}/{index}", f"{target}/{index}")
                for index, item in enumerate(value)
            ]
        if not isinstance(value, str):
            return value
        self.place(target, pointer)
        try:
            return self.expressions.value(value, self.where(pointer))
        except SyntaxFault as fault:
            self.expression_fault(fault, value, pointer)
            return plain(value)

    def expression_fault(self, fault: SyntaxFault, text: str, pointer: str) -> None:
        """Say what is wrong with an expression, and where in it."""
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        self.fault(
            "framework0.expression", pointer, f"{fault.message}, at {fault.at} in {shown!r}", fault.hint
        )
