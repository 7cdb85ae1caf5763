"""JSON with comments and trailing commas, read fast when nothing is wrong with it.

The work is done by the standard library's C parser and the value profile. Whatever they do not
like goes to the careful reader next door, which decides what is legal; so this one may refuse too
much, never too little.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nodeling.values import InvalidValue, encode

__all__ = ["read_fast"]

_STRING_OR_COMMENT = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?|//[^\n\r]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?', re.DOTALL
)
_STRING_OR_LAST_COMMA = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[\]}])', re.DOTALL)
_LAST_COMMA = re.compile(r",\s*+[\]}]")
_COMMA_AFTER_NOTHING = re.compile(r"[\[{,]\s*+,")
_NOT_BREAK = re.compile(r"[^\n\r]")


class _DuplicateKeyError(ValueError):
    """A key was given twice; the careful reader says where."""


def read_fast(text: str) -> tuple[bool, Any]:
    """Whether the quick way was sure that the text is legal, and the data if so."""
    try:
        data = _load(text)
    except (ValueError, RecursionError):
        if "/" not in text and _LAST_COMMA.search(text) is None:
            return False, None
        try:
            data = _load(_without_extras(text))
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


def _without_extras(text: str) -> str:
    """The text with comments and last commas blanked out, every other character where it was."""
    text = _STRING_OR_COMMENT.sub(_blank_comment, text)
    if _LAST_COMMA.search(text):
        if _COMMA_AFTER_NOTHING.search(text):
            # Possibly `[,]`, which is no last comma; possibly only text. The careful reader knows.
            raise ValueError("a comma after nothing")
        text = _STRING_OR_LAST_COMMA.sub(_blank_comma, text)
    return text


def _blank_comment(match: re.Match[str]) -> str:
    found = match.group()
    if found[0] == '"':
        return found
    if found.startswith("/*") and (len(found) < 4 or not found.endswith("*/")):
        raise ValueError("an open comment")
    return _NOT_BREAK.sub(" ", found)


def _blank_comma(match: re.Match[str]) -> str:
    found = match.group()
    return " " if found == "," else found
