"""What JSON with comments has beside JSON: comments and last commas, blanked out."""

from __future__ import annotations

import re

__all__ = ["has_extras", "without_extras"]

_STRING_OR_COMMENT = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?|//[^\n\r]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?', re.DOTALL
)
_STRING_OR_LAST_COMMA = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[\]}])', re.DOTALL)
_LAST_COMMA = re.compile(r",\s*+[\]}]")
_COMMA_AFTER_NOTHING = re.compile(r"[\[{,]\s*+,")
_NOT_BREAK = re.compile(r"[^\n\r]")


def has_extras(text: str) -> bool:
    """Whether a text may have a comment or a last comma."""
    return "/" in text or _LAST_COMMA.search(text) is not None


def without_extras(text: str) -> str:
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
