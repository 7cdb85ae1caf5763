"""JSON with comments and trailing commas, read fast when nothing is wrong with it.

The work is done by the standard library's C parser and the value profile. Whatever they do not
like goes to the careful reader next door, which decides what is legal; so this one may refuse too
much, never too little.
"""

from __future__ import annotations

import json
from typing import Any

from nodeling.values import InvalidValue, encode

__all__ = ["read_fast"]


class _DuplicateKeyError(ValueError):
    """A key was given twice; the careful reader says where."""


def read_fast(text: str) -> tuple[bool, Any]:
    """Whether the quick way was sure that the text is legal, and the data if so."""
    try:
        data = _load(text)
    except (ValueError, RecursionError):
        # Most files are plain JSON and load none of this.
        from nodeling_runtime.documents.jsonc_extras import has_extras, without_extras

        if not has_extras(text):
            return False, None
        try:
            data = _load(without_extras(text))
        except (ValueError, RecursionError):
            return False, None
    try:
        encode(data)
    except InvalidValue:
        return False, None
    return True, data


def _load(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)
