"""The arrays and objects that satisfy several schema parts at once.

Each part says for every place or key what may stand there; the shape of the conjunction says it
for all parts together. Keywords that speak of more than one place at a time become extras.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .fit_shape import ANYTHING, Extra, Items, Node, Object, Part, bounds, extra

__all__ = ["items_of", "object_of"]

IsEmpty = Callable[[Node], bool]
# Patterns that every name matches; `^.*$` is not one: a dot does not match a line break.
EVERY_NAME = ("", "^", ".*", "^.*")


def node_of(part: Part, schema: Any) -> Node:
    """The node of one schema of a part's document; an absent one asks nothing."""
    return ANYTHING if schema is None else Node((part.sub(schema),))


def items_of(node: Node, extras: tuple[Extra, ...], parts: list[Part], is_empty: IsEmpty) -> Items | None:
    """The arrays that satisfy all parts, or None when there are none."""
    low, high = bounds(parts, "minItems", "maxItems")
    read = [_places(part) for part in parts]
    length = max((len(prefix) for prefix, _ in read), default=0)
    places = [_all(prefix[at] if at < len(prefix) else rest for prefix, rest in read) for at in range(length)]
    rest = _all(rest for _, rest in read)
    for at, place in enumerate([*places, rest]):
        if at < high and is_empty(place):
            high = at
    more = [one for part in parts for one in _array_extras(part)]
    low = max([low, *(one.limit for one in more if one.kind == "contains")])
    if low > high:
        return None
    kept = tuple(places if math.isinf(high) else places[: int(high)])
    return Items(node, (*extras, *more), kept, rest, low, high)


def _all(nodes: Iterable[Node]) -> Node:
    return Node(part for node in nodes for part in node.parts)


def _places(part: Part) -> tuple[list[Node], Node]:
    read = part.schema
    listed, rest = read.get("prefixItems"), read.get("items")
    if part.root.draft != "2020-12":
        listed = rest if isinstance(rest, list) else None
        rest = read.get("additionalItems") if isinstance(rest, list) else rest
    return [node_of(part, one) for one in listed or ()], node_of(part, rest)


def _array_extras(part: Part) -> Iterable[Extra]:
    read, modern = part.schema, part.root.draft != "7"
    if read.get("uniqueItems") is True:
        yield Extra("uniqueItems", "uniqueItems")
    if "contains" in read:
        least = read.get("minContains", 1) if modern else 1
        demand = [read["contains"], least, read.get("maxContains") if modern else None]
        if demand[1:] != [0, None]:
            yield extra("contains", part, demand, (node_of(part, read["contains"]),), int(least))
    if modern and "unevaluatedItems" in read and read["unevaluatedItems"] not in (True, {}):
        yield extra("unevaluatedItems", part, read)


def object_of(node: Node, extras: tuple[Extra, ...], parts: list[Part], is_empty: IsEmpty) -> Object | None:
    """The objects that satisfy all parts, or None when there are none."""
    low, high = bounds(parts, "minProperties", "maxProperties")
    read = [_keys(part) for part in parts]
    names = dict.fromkeys(name for keys, _ in read for name in keys)
    keys = {name: _all(known.get(name, others) for known, others in read) for name in names}
    others = _all(others for _, others in read)
    required = frozenset(name for part in parts for name in part.schema.get("required", ()))
    low = max(low, len(required))
    if is_empty(others):
        high = min(high, sum(not is_empty(one) for one in keys.values()))
    if low > high or any(is_empty(keys.get(name, others)) for name in required):
        return None
    more = (one for part in parts for one in _object_extras(part))
    return Object(node, (*extras, *more), keys, others, required, low, high)


def _keys(part: Part) -> tuple[Mapping[str, Node], Node]:
    read = part.schema
    keys = {name: node_of(part, one) for name, one in read.get("properties", {}).items()}
    patterns = read.get("patternProperties", {})
    always = _all(node_of(part, one) for pattern, one in patterns.items() if pattern in EVERY_NAME)
    keys = {name: one & always for name, one in keys.items()}
    if patterns:
        # Others may match a pattern, which exempts them; the extra keeps what that leaves out.
        return keys, always
    closing = read.get("additionalProperties")
    if closing is None and _closes_alone(part):
        closing = read["unevaluatedProperties"]
    return keys, node_of(part, closing)


def _closes_alone(part: Part) -> bool:
    read = part.schema
    others = ("allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef", "$recursiveRef", "dependentSchemas")
    return (
        part.root.draft != "7" and "unevaluatedProperties" in read and not any(key in read for key in others)
    )


def _object_extras(part: Part) -> Iterable[Extra]:
    read, modern = part.schema, part.root.draft != "7"
    patterns = read.get("patternProperties", {})
    if any(pattern not in EVERY_NAME for pattern in patterns):
        demand = [patterns, read.get("additionalProperties"), sorted(read.get("properties", ()))]
        yield extra("patternProperties", part, demand)
    if "propertyNames" in read:
        yield extra("propertyNames", part, read["propertyNames"], (node_of(part, read["propertyNames"]),))
    for key in ("dependencies", *(("dependentRequired", "dependentSchemas") if modern else ())):
        if key in read:
            yield extra(key, part, read[key])
    open_ended = read.get("unevaluatedProperties", True) in (True, {})
    if (
        modern
        and not open_ended
        and "additionalProperties" not in read
        and not (_closes_alone(part) and not patterns)
    ):
        yield extra("unevaluatedProperties", part, read)
