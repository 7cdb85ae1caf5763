"""From the text of a field to its value. Every reader raises `ValueError` with what is wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

MAX_INTEGER = 2**53 - 1
INTEGER = re.compile(r"[+-]?[0-9]{1,16}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
TRUE, FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}


def _integer(text: str) -> int:
    word = text.strip()
    if not INTEGER.fullmatch(word) or abs(int(word)) > MAX_INTEGER:
        raise ValueError(f"{text!r:.60} is no integer")
    return int(word)


def _number(text: str) -> float:
    word = text.strip()
    value = float(word) if NUMBER.fullmatch(word) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r:.60} is no number")
    return value


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(f"{text!r:.60} is neither true nor false")
    return word in TRUE


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValueError(f"{text!r:.60} is no date like 2031-05-01") from None


def _datetime(text: str) -> str:
    try:
        return datetime.fromisoformat(text.strip()).isoformat()
    except ValueError:
        raise ValueError(f"{text!r:.60} is no moment like 2031-05-01T06:00:00Z") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None


READ: dict[str, Callable[[str], Any]] = {
    "text": str,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "json": _json,
}
NARROWEST = (
    ("integer", re.compile(r"[+-]?(0|[1-9][0-9]{0,15})")),  # 007 is a name, no number
    ("number", re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")),
    ("boolean", re.compile(r"(?i:true|false)")),
)


def infer(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Give every column the narrowest type that all of its values have."""
    for name in columns:
        texts = [row[name] for row in rows if row[name]]
        for kind, shape in NARROWEST:
            if texts and all(shape.fullmatch(text) and _reads(kind, text) for text in texts):
                for row in rows:
                    row[name] = READ[kind](row[name]) if row[name] else row[name]
                break


def _reads(kind: str, text: str) -> bool:
    try:
        READ[kind](text)
    except ValueError:
        return False
    return True
