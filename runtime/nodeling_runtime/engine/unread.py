"""Judging inputs parts of which nobody has read: a file is read only when the schema looks into it."""

from __future__ import annotations

from typing import Any

from nodeling_runtime.blob_values import BlobRecord, has_deferred, settled

_ANNOTATIONS = frozenset(
    ("$comment", "$id", "$schema", "default", "deprecated", "description", "example", "examples", "title")
)
_OF_MAPS = _ANNOTATIONS | {"type", "properties", "required", "additionalProperties"}
_OF_LISTS = _ANNOTATIONS | {"type", "items", "minItems", "maxItems"}


def judgeable(schema: Any, given: Any) -> Any:
    """What a schema is to judge: the value with null for what it does not look at, else all of it, read.

    Raises:
        ExpressionError: A file that has to be read cannot be.
    """
    if _looks_past(schema, given):
        return settled(given, lambda _: None)
    return settled(given)


def _looks_past(schema: Any, given: Any) -> bool:
    """Whether a schema judges a value without looking at anything unread in it."""
    if not has_deferred(given) or _is_open(schema):
        return True
    if isinstance(given, BlobRecord) or not isinstance(schema, dict):
        return False
    if isinstance(given, dict):
        if not schema.keys() <= _OF_MAPS:
            return False
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        return all(_looks_past(known.get(key, others), item) for key, item in given.items())
    return schema.keys() <= _OF_LISTS and all(_looks_past(schema.get("items", True), item) for item in given)


def _is_open(schema: Any) -> bool:
    return schema is True or (isinstance(schema, dict) and schema.keys() <= _ANNOTATIONS)
