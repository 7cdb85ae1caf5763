"""The schema of a part of a value: what `steps.load.output.rows[0].id` holds.

A selection never invents knowledge: None where the schema says nothing, `MISSING` only where it
proves that the part cannot exist. What it returns stands on its own, its definitions included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

import orjson

from nodeling_runtime.schema_document import walk

from .fit_shape import COMPARED, Items, Node, Object, OutOfBudget, Part, Root, Shape, Values, root_of
from .fit_union import Shaper
from .missing import MISSING, Missing

__all__ = ["known_keys", "select"]

Step = str | int | None


def select(
    schema: Mapping[str, Any] | bool, path: tuple[Step, ...]
) -> Mapping[str, Any] | bool | None | Literal[Missing.MISSING]:
    """The schema at a path: keys, indices, and None for an index or key only known at run time.

    Returns:
        A schema that stands on its own; None when nothing is known; MISSING when nothing can be there.
    """
    return _select(orjson.dumps(schema, default=dict, option=orjson.OPT_SORT_KEYS), path)


@lru_cache(maxsize=1024)  # every step that reads one output asks the same
def _select(
    data: bytes, path: tuple[Step, ...]
) -> Mapping[str, Any] | bool | None | Literal[Missing.MISSING]:
    root = root_of(data)
    if root.draft not in COMPARED:
        return None
    shaper = Shaper()
    union = [Node((Part(root, root.doc),))]
    try:
        for step in path:
            shapes = [shape for node in union for shape in shaper.shapes(node)]
            union = [
                node for shape in shapes for node in _below(shape, step, root) if not shaper.is_empty(node)
            ]
            if not union:
                return MISSING
            if any(node.is_anything for node in union):
                return None
    except (OutOfBudget, RecursionError):
        return None
    return _standalone(root, union)


def known_keys(schema: Mapping[str, Any] | bool) -> list[str]:
    """The keys a schema declares for its objects, in alphabetical order, for naming the nearest."""
    root = root_of(orjson.dumps(schema, default=dict, option=orjson.OPT_SORT_KEYS))
    shaper, keys = Shaper(), set[str]()
    try:
        for shape in shaper.shapes(Node((Part(root, root.doc),))):
            if isinstance(shape, Object):
                keys.update(key for key, node in shape.keys.items() if not shaper.is_empty(node))
            elif isinstance(shape, Values):
                keys.update(key for value in shape.values if isinstance(value, dict) for key in value)
    except (OutOfBudget, RecursionError):
        return []
    return sorted(keys)


def _below(shape: Shape, step: Step, root: Root) -> Iterator[Node]:
    match shape:
        case Object():
            if isinstance(step, str):
                yield shape.at(step)
            elif step is None:
                yield from (*shape.keys.values(), shape.others)
        case Items():
            if step is None:
                # Past the end nothing is read, so only places that exist count.
                yield from shape.prefix
                if shape.high > len(shape.prefix):
                    yield shape.rest
            elif isinstance(step, int):
                yield from _place(shape, step)
        case Values():
            yield from (_constant(root, value) for value in _members(shape.values, step))


def _place(shape: Items, index: int) -> Iterator[Node]:
    if index >= 0:
        if index < shape.high:
            yield shape.at(index)
    elif shape.prefix:
        # Counted from the end of a list of unknown length, any place may be meant.
        yield from (*shape.prefix, shape.rest)
    else:
        yield shape.rest


def _members(values: tuple[Any, ...], step: Step) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            if step is None:
                yield from value.values()
            elif step in value:
                yield value[step]
        elif isinstance(value, list):
            if step is None:
                yield from value
            elif isinstance(step, int) and -len(value) <= step < len(value):
                yield value[step]


def _constant(root: Root, value: Any) -> Node:
    constant = root_of(orjson.dumps({"const": value}, option=orjson.OPT_SORT_KEYS))
    return Node((Part(constant, constant.doc),))


def _standalone(root: Root, union: list[Node]) -> Mapping[str, Any] | bool:
    apart = {node.key: node for node in union}
    alternatives = [_conjunction([_moved(part) for part in node.parts]) for node in apart.values()]
    found = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    if not isinstance(found, dict):
        return bool(found)
    whole: dict[str, Any] = found
    if "$ref" in orjson.dumps(whole).decode():
        whole = {"allOf": [whole], "$defs": {"document": _rewritten(root.doc)}}
    if root.draft != "2020-12" or (isinstance(root.doc, dict) and "$schema" in root.doc):
        whole = {**whole, "$schema": root.doc.get("$schema", "http://json-schema.org/draft-07/schema#")}
    return whole


def _conjunction(schemas: list[Any]) -> Any:
    return schemas[0] if len(schemas) == 1 else {"allOf": schemas}


def _moved(part: Part) -> Any:
    return _rewritten(part.schema)


def _rewritten(schema: Any) -> Any:
    """A copy whose references look for their document under `$defs/document`."""
    copy = orjson.loads(orjson.dumps(schema))
    for path, part in walk(copy):
        if isinstance(part, dict):
            if not path:
                part.pop("$id", None)
                part.pop("$schema", None)
            name = part.get("$ref")
            if isinstance(name, str) and (name == "#" or name.startswith("#/")):
                part["$ref"] = "#/$defs/document" + name[1:]
    return copy
