"""What a plain scalar means in the YAML 1.2 core schema.

Few things are not text: a handful of words and two forms of number. So `on`, `10:30` and dates
stay the text that they look like, and `010` is ten.
"""

from __future__ import annotations

import re
from typing import Any

from nodeling.values import MAX_INTEGER
from nodeling_runtime.documents.positions import cut

__all__ = ["WORDS", "Refused", "core_scalar"]

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER_START = frozenset("0123456789+-.")


class Refused(Exception):
    """A scalar that reads as something which may not travel."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def core_scalar(text: str) -> Any:
    """What a plain scalar means in the core schema.

    Raises:
        Refused: a number outside the profile.
    """
    if text in WORDS:
        return WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Refused(
                "document.number", f"the number {cut(text)} is too large", "quote it to make it text"
            )
        return number
    if _NOT_A_NUMBER.fullmatch(text):
        raise Refused("document.nan", f"{text} is no JSON number", "use null, or quote it to make it text")
    return text


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text[2:] if base != 10 else text
    size = len(digits.lstrip("+-").lstrip("0"))
    number = int(digits, base) if size <= 18 else MAX_INTEGER + 1
    if abs(number) > MAX_INTEGER:
        shown = text if len(text) <= 24 else f"of {size} digits"
        message = f"the integer {shown} is beyond ±(2^53 - 1), where languages differ"
        raise Refused("document.integer", message, "quote it to make it text")
    return number
