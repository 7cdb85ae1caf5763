"""Schemas as unions of typed shapes, which is the form in which they can be compared.

A `Node` is a conjunction of schema parts; `Shaper.shapes` rewrites it as a union of shapes, one
per JSON type and alternative. What a shape cannot express is kept as an `Extra`, so that a shape
always covers at least the values of the schema: never too few. All work is paid for from one
budget, so that no schema, however hostile, takes long: it ends in `OutOfBudget`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

import orjson

from nodeling._dataclass import dataclass
from nodeling_runtime.schema_document import Draft, draft_of, resolve, walk

__all__ = [
    "ANYTHING",
    "NOTHING",
    "Extra",
    "Items",
    "Node",
    "Number",
    "Object",
    "Part",
    "Root",
    "Shape",
    "Text",
    "Values",
]

KINDS = ("null", "boolean", "number", "string", "array", "object")
COMPARED: frozenset[Draft | None] = frozenset({"7", "2019-09", "2020-12"})


class OutOfBudget(Exception):
    """The comparison was given up: the schemas are too complex."""


class Root:
    """One schema document: where its references lead and which values its parts accept."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.doc: Any = orjson.loads(data)
        self.draft = draft_of(self.doc)
        self.mark = blake2b(data, digest_size=12).hexdigest()
        self.pointers: dict[int, str] = {}
        self.is_embedding = False
        for path, schema in walk(self.doc):
            steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
            self.pointers[id(schema)] = "#" + "".join("/" + step for step in steps)
            embedded = path and isinstance(schema, dict) and not str(schema.get("$id", "#")).startswith("#")
            self.is_embedding = self.is_embedding or bool(embedded)
        self._checks: Any = None

    def accepts(self, schema: Any, value: Any) -> bool | None:
        """Whether a part of this document accepts a value; None when that cannot be told."""
        if isinstance(schema, bool):
            return schema
        if self._checks is None:
            from nodeling_runtime.schemas import part_checks

            self._checks = part_checks(self.doc)
        check = self._checks(self.pointers.get(id(schema), "?"))
        return None if check is None else bool(check(value))


@lru_cache(maxsize=256)
def root_of(data: bytes) -> Root:
    """The document of canonical bytes; equal bytes share one."""
    return Root(data)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A schema inside its document."""

    root: Root
    schema: Any

    @property
    def key(self) -> tuple[str, Any]:
        """What tells it apart: documents by content, their parts by identity, booleans by value."""
        if isinstance(self.schema, bool):
            return "", self.schema
        return self.root.mark, id(self.schema)

    def sub(self, schema: Any) -> Part:
        """Another schema of the same document."""
        return Part(self.root, schema)


class Node:
    """What satisfies all of several parts."""

    __slots__ = ("key", "parts")

    def __init__(self, parts: Iterable[Part]) -> None:
        apart = {part.key: part for part in parts if part.schema is not True and part.schema != {}}
        self.key = frozenset(apart)
        self.parts = tuple(apart.values())

    def __and__(self, other: Node) -> Node:
        return Node((*self.parts, *other.parts))

    def accepts(self, value: Any) -> bool | None:
        """Whether every part accepts the value; None when that cannot be told."""
        unknown = False
        for part in self.parts:
            answer = part.root.accepts(part.schema, value)
            if answer is False:
                return False
            unknown = unknown or answer is None
        return None if unknown else True

    @property
    def is_anything(self) -> bool:
        """Whether nothing is asked at all."""
        return not self.parts


_EMPTY_ROOT = Root(b"true")
ANYTHING = Node(())
NOTHING = Node((Part(_EMPTY_ROOT, False),))


@dataclass(frozen=True, slots=True, eq=False)
class Extra:
    """A demand that the fields of a shape do not express; equal texts are equal demands."""

    kind: str
    text: str
    nodes: tuple[Node, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """A few values, listed."""

    values: tuple[Any, ...]
    node: Node
    extras: tuple[Extra, ...] = ()
    kind: Literal["values"] = "values"


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """Numbers between two bounds; an open bound excludes itself."""

    node: Node
    extras: tuple[Extra, ...]
    integer: bool
    low: float
    low_open: bool
    high: float
    high_open: bool
    multiples: tuple[float, ...]
    kind: Literal["number"] = "number"


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Strings of some lengths."""

    node: Node
    extras: tuple[Extra, ...]
    low: float
    high: float
    kind: Literal["string"] = "string"


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Arrays: the first places apart, then the rest."""

    node: Node
    extras: tuple[Extra, ...]
    prefix: tuple[Node, ...]
    rest: Node
    low: float
    high: float
    kind: Literal["array"] = "array"

    def at(self, index: int) -> Node:
        """What stands at one place."""
        return self.prefix[index] if index < len(self.prefix) else self.rest


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """Objects: declared keys apart, then all others."""

    node: Node
    extras: tuple[Extra, ...]
    keys: Mapping[str, Node]
    others: Node
    required: frozenset[str]
    low: float
    high: float
    kind: Literal["object"] = "object"

    def at(self, key: str) -> Node:
        """What stands under one key."""
        return self.keys.get(key, self.others)


Shape = Values | Number | Text | Items | Object


def extra(kind: str, part: Part, demand: Any, nodes: tuple[Node, ...] = (), limit: int = 0) -> Extra:
    """An extra whose text tells it apart; a reference means what its own document says."""
    text = orjson.dumps(demand, option=orjson.OPT_SORT_KEYS).decode()
    local = part.root.mark if '"$' in text else part.root.draft
    return Extra(kind, f"{kind}:{text}@{local}", nodes, limit)


def target_of(part: Part) -> Part | None:
    """Where a part's `$ref` leads, or None."""
    if part.root.is_embedding:
        return None
    found = resolve(part.root.doc, part.schema["$ref"])
    return None if found is None else part.sub(found)


def number_of(node: Node, extras: tuple[Extra, ...], parts: Iterable[Part], integer: bool) -> Number | None:
    """The numbers that satisfy all parts, or None when there are none."""
    lows, highs, multiples = [(-math.inf, False)], [(math.inf, False)], []
    for part in parts:
        read = part.schema
        lows += [(read[key], key != "minimum") for key in ("minimum", "exclusiveMinimum") if key in read]
        highs += [(read[key], key != "maximum") for key in ("maximum", "exclusiveMaximum") if key in read]
        multiples += [read["multipleOf"]] if "multipleOf" in read else []
    low, low_open = max(lows)
    high, high_open = min(highs, key=lambda bound: (bound[0], not bound[1]))
    integer = integer or any(float(one).is_integer() for one in multiples)
    if integer and math.isfinite(low):
        low, low_open = (math.floor(low) + 1 if low_open else math.ceil(low)), False
    if integer and math.isfinite(high):
        high, high_open = (math.ceil(high) - 1 if high_open else math.floor(high)), False
    if low > high or (low == high and (low_open or high_open)):
        return None
    return Number(node, extras, integer, low, low_open, high, high_open, tuple(dict.fromkeys(multiples)))


def text_of(node: Node, extras: tuple[Extra, ...], parts: Iterable[Part]) -> Text | None:
    """The strings that satisfy all parts, or None when there are none."""
    low, high = bounds(parts, "minLength", "maxLength")
    patterns = (part.schema["pattern"] for part in parts if "pattern" in part.schema)
    more = tuple(Extra("pattern", f"pattern:{pattern}") for pattern in patterns)
    return Text(node, extras + more, low, high) if low <= high else None


def bounds(parts: Iterable[Part], least: str, most: str) -> tuple[float, float]:
    """The tightest of two counting keywords."""
    read = [part.schema for part in parts]
    low = max((one[least] for one in read if least in one), default=0)
    return low, min((one[most] for one in read if most in one), default=math.inf)
