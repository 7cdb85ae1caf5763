"""From a conjunction of schema parts to the union of shapes it allows.

References and `allOf` are unfolded, `anyOf`, `oneOf` and `if` are multiplied out, and what is
left is split by type. Both sides of a comparison share one `Shaper` and its budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

from nodeling._dataclass import dataclass

from .fit_members import items_of, node_of, object_of
from .fit_shape import (
    KINDS,
    Extra,
    Node,
    OutOfBudget,
    Part,
    Shape,
    Values,
    extra,
    number_of,
    target_of,
    text_of,
)

__all__ = ["Shaper"]

# About a third of a second of work; real pairs of schemas need a few hundred steps.
BUDGET = 20_000
# The walk is recursive, about seven frames for each level.
MAX_DEPTH = 60
LISTED_INTEGERS = 32
NOTES = frozenset({"description", "title", "$comment", "default", "examples", "format"})


@dataclass(slots=True)
class _Flat:
    """Parts unfolded so far, and the alternatives still to be chosen from."""

    node: Node
    todo: list[Part]
    seen: set[tuple[str, Any]] = field(default_factory=set)
    bases: list[Part] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)
    choices: list[list[tuple[Node, tuple[Extra, ...]]]] = field(default_factory=list)


class Shaper:
    """Rewrites nodes as unions of shapes, remembering each."""

    def __init__(self) -> None:
        self.left = BUDGET
        self.depth = 0
        self._known: dict[Any, tuple[Shape, ...]] = {}
        self._open: set[Any] = set()

    def spend(self, steps: int = 1) -> None:
        """Pay for work; raises `OutOfBudget` when there is nothing left."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget

    @contextmanager
    def level(self) -> Iterator[None]:
        """One level further down; raises `OutOfBudget` where that is too deep."""
        self.spend()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise OutOfBudget
        yield
        self.depth -= 1

    def shapes(self, node: Node) -> tuple[Shape, ...]:
        """The shapes whose union holds every value of the node; none when it has no value."""
        if node.key not in self._known:
            self._open.add(node.key)
            with self.level():
                self._known[node.key] = tuple(self._flattened(_Flat(node, list(node.parts))))
            self._open.discard(node.key)
        return self._known[node.key]

    def is_empty(self, node: Node) -> bool:
        """Whether it is certain that no value satisfies the node."""
        if node.is_anything or node.key in self._open:
            return False
        return not self.shapes(node)

    def _flattened(self, flat: _Flat) -> Iterator[Shape]:
        self.spend(1 + len(flat.bases))
        while flat.todo:
            if not self._unfold(flat, flat.todo.pop()):
                return
        if not flat.choices:
            yield from self._typed(flat)
            return
        chosen, *rest = flat.choices
        for node, extras in chosen:
            narrowed = replace(
                flat,
                node=flat.node & node,
                todo=list(node.parts),
                seen=set(flat.seen),
                bases=list(flat.bases),
                extras=[*flat.extras, *extras],
                choices=list(rest),
            )
            with self.level():
                shapes = list(self._flattened(narrowed))
            yield from shapes

    def _unfold(self, flat: _Flat, part: Part) -> bool:
        """Adds one part; False when it accepts nothing."""
        read = part.schema
        if isinstance(read, bool) or part.key in flat.seen:
            return read is not False
        self.spend()
        flat.seen.add(part.key)
        if "$ref" in read:
            target = target_of(part)
            if target is None:
                flat.extras.append(Extra("$ref", f"$ref:{read['$ref']}@{part.root.mark}"))
            else:
                flat.todo.append(target)
            if part.root.draft == "7":
                return True
        for key in ("$dynamicRef", "$recursiveRef"):
            if key in read:
                flat.extras.append(Extra(key, f"{key}:{read[key]}@{part.root.mark}"))
        flat.bases.append(part)
        flat.todo.extend(part.sub(one) for one in read.get("allOf", ()))
        self._add_choices(flat, part)
        return True

    def _add_choices(self, flat: _Flat, part: Part) -> None:
        read = part.schema
        if "anyOf" in read:
            flat.choices.append([(node_of(part, one), ()) for one in read["anyOf"]])
        if "oneOf" in read:
            branches = tuple(node_of(part, one) for one in read["oneOf"])
            flat.choices.append([(one, ()) for one in branches])
            if len(branches) > 1:
                flat.extras.append(extra("oneOf", part, read["oneOf"], branches))
        if "if" in read and ("then" in read or "else" in read):
            test = node_of(part, read["if"])
            opposite = extra("not", part, read["if"], (test,))
            flat.choices.append(
                [(test & node_of(part, read.get("then")), ()), (node_of(part, read.get("else")), (opposite,))]
            )
        if "not" in read and _negated_types(read["not"]) is None:
            flat.extras.append(extra("not", part, read["not"], (node_of(part, read["not"]),)))

    def _typed(self, flat: _Flat) -> Iterator[Shape]:
        listed = [part.schema for part in flat.bases if "enum" in part.schema or "const" in part.schema]
        if listed:
            values = listed[0]["enum"] if "enum" in listed[0] else [listed[0]["const"]]
            yield from self._listed(flat, values)
            return
        kinds, integer = _kinds([part.schema for part in flat.bases])
        extras = tuple(flat.extras)
        constants = [None] * ("null" in kinds) + [False, True] * ("boolean" in kinds)
        if constants:
            yield from self._listed(flat, constants)
        made: list[Shape | None] = []
        if "number" in kinds:
            made.append(self._number(flat, extras, integer))
        if "string" in kinds:
            made.append(text_of(flat.node, extras, flat.bases))
        self.spend(sum(len(part.schema) for part in flat.bases))
        if "array" in kinds:
            made.append(items_of(flat.node, extras, flat.bases, self.is_empty))
        if "object" in kinds:
            made.append(object_of(flat.node, extras, flat.bases, self.is_empty))
        yield from (shape for shape in made if shape is not None)

    def _number(self, flat: _Flat, extras: tuple[Extra, ...], integer: bool) -> Shape | None:
        shape = number_of(flat.node, extras, flat.bases, integer)
        if shape is None or not shape.integer or shape.high - shape.low >= LISTED_INTEGERS:
            return shape
        numbers = range(int(shape.low), int(shape.high) + 1)
        return next(self._listed(flat, list(numbers)), None)

    def _listed(self, flat: _Flat, values: list[Any]) -> Iterator[Shape]:
        self.spend(len(values) * len(flat.node.parts))
        answers = [(value, flat.node.accepts(value)) for value in values]
        kept = tuple(value for value, answer in answers if answer is not False)
        unsure = any(answer is None for _, answer in answers)
        if kept:
            yield Values(kept, flat.node, (Extra("values", "values?"),) if unsure else ())


def _negated_types(schema: Any) -> set[str] | None:
    """The types that a `not` of nothing but a type excludes; None when it is no such `not`."""
    if not isinstance(schema, dict) or set(schema) - NOTES != {"type"}:
        return None
    named = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    return None if "integer" in named and "number" not in named else named - {"integer"}


def _kinds(schemas: list[dict[str, Any]]) -> tuple[set[str], bool]:
    kinds, integer = set(KINDS), False
    for read in schemas:
        named = read.get("type", KINDS)
        allowed = {named} if isinstance(named, str) else set(named)
        if "integer" in allowed:
            integer = integer or "number" not in allowed
            allowed.add("number")
        kinds &= allowed
        if "not" in read:
            kinds -= _negated_types(read["not"]) or set()
    return kinds, integer
