"""Where a node's values come from, as expressions and literals of a native document. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodeling_bridges.kailash.catalogue import ERROR, METADATA, NodeType
from nodeling_bridges.kailash.model import NodeEntry

__all__ = ["Given", "literal", "member", "reference"]

_WORDS = ("in", "true", "false", "null")  # what means something else behind a point


def literal(value: Any) -> Any:
    """A value that means itself in a native document, whatever its texts look like."""
    if isinstance(value, str):
        special = "${" in value or value.startswith("js/")
        return f"${{{json.dumps(value, ensure_ascii=False)}}}" if special else value
    if isinstance(value, Mapping):
        return {str(key): literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [literal(item) for item in value]
    return value


def member(path: str, *, optional: bool) -> str:
    """A dotted path behind an expression."""
    mark, found = "?" if optional else "", ""
    for word in filter(None, path.split(".")):
        if word.isascii() and word.isidentifier() and word not in _WORDS:
            found += f"{mark}.{word}"
        else:
            found += f"{mark}[{word if word.isdigit() else json.dumps(word, ensure_ascii=False)}]"
    return found


def reference(step: str, kind: NodeType, path: str, *, optional: bool) -> str:
    """The expression of one output of a step.

    Args:
        step: The step's name.
        kind: The source's type.
        path: The output, and the path behind it, as its author wrote it.
        optional: The step, or the output, may not be there; null stands for it then.
    """
    head, _, rest = path.partition(".")
    place = kind.outputs.get(head)
    at = f"steps[{json.dumps(step, ensure_ascii=False)}]"
    if place == ERROR:
        return f"({at}?.error{member(rest, optional=True)} ?? null)"
    if place == "status" and optional:
        return f"({at}?.output?.status ?? {at}?.error?.details?.status ?? null)"
    where = path if place is None else f"{place}.{rest}" if rest else place
    if not optional:
        return f"{at}.output{member(where, optional=False)}"
    return f"({at}?.output{member(where, optional=True)} ?? null)"


@dataclass(slots=True)
class Given:
    """What one node is given.

    Attributes:
        entry: The node.
        kind: Its type.
        arriving: What connections bring, by input, as expressions without braces.
        there: For inputs that may not be there when the node runs: when they are, as an expression.
    """

    entry: NodeEntry
    kind: NodeType
    arriving: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether anything gives this parameter."""
        return name in self.arriving or self.entry.config.get(name) is not None

    def value(self, name: str, default: Any = None) -> Any:
        """A parameter as a native document holds it."""
        if name in self.arriving:
            return f"${{{self.arriving[name]}}}"
        said = self.entry.config.get(name)
        return default if said is None else literal(said)

    def plain(self, name: str, default: Any = None) -> Any:
        """A parameter that decides what the document looks like, and so cannot arrive."""
        said = self.entry.config.get(name)
        return default if said is None else said

    def renamed(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Our inputs, of theirs: those that are given."""
        return {ours: self.value(theirs) for theirs, ours in names.items() if self.has(theirs)}

    def extras(self) -> dict[str, Any]:
        """What is given under names that the type itself does not have."""
        own = (*self.kind.parameters, "id", "name")
        said = [name for name in self.entry.config if name not in own]
        come = [name for name in self.arriving if name not in self.kind.parameters or name in METADATA]
        return {name: self.value(name) for name in dict.fromkeys([*said, *come])}

    def variables(self, names: Mapping[str, Any]) -> Any:
        """An object of values, without those that do not arrive: as one expression where there are such."""
        loose = {name: there for name, there in self.there.items() if name in names}
        if not loose:
            return dict(names)
        parts = [_object({name: value for name, value in names.items() if name not in loose})]
        parts += [f"({there} ? {_object({name: names[name]})} : {{}})" for name, there in loose.items()]
        return f"${{merge({', '.join(parts)})}}"


def _object(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {_inside(value)}" for name, value in values.items()) + "}"


def _inside(value: Any) -> str:
    """A value of a native document as it stands inside an expression."""
    if isinstance(value, str):
        whole = value.startswith("${") and value.endswith("}")
        return value[2:-1] if whole else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list):
        return f"[{', '.join(_inside(item) for item in value)}]"
    return json.dumps(value)
