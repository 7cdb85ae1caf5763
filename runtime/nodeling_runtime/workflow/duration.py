"""Durations: a bare number is milliseconds in a document, a string carries its unit."""

from __future__ import annotations

import math
import re

_FORM = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$")
_UNITS = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
LONGEST_MS = 10 * 365 * _UNITS["d"]
WANTED = "write milliseconds, or a string with a unit such as 30s, 10m or 500ms"


class DurationError(ValueError):
    """A value is no duration; the text says what is wrong with it, and what to write."""

    hint = WANTED

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; {WANTED}")
        self.message = message


def milliseconds(value: object, *, unit_required: bool = False) -> float:
    """Read a duration as milliseconds.

    Raises:
        DurationError: It is not a positive, finite length of time.
    """
    if isinstance(value, str):
        match = _FORM.match(value)
        if match is None:
            raise DurationError(f"{value!r} is no duration")
        found = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or unit_required:
        raise DurationError(f"{value!r} is no duration")
    else:
        found = float(value)
    if not math.isfinite(found) or found <= 0:
        raise DurationError(f"{value!r} is no duration: it must be more than 0")
    if found > LONGEST_MS:
        raise DurationError(f"{value!r} is longer than ten years")
    return found


def spoken(ms: float) -> str:
    """A duration for people."""
    if ms < 1_000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f} s"
    minutes, seconds = divmod(ms / 1_000, 60)
    return f"{minutes:.0f} min {seconds:.0f} s"
