"""How numbers, times and values read on the page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

LONGEST_VALUE = 20_000  # characters of one output that are shown
DECODED_AT_MOST = 256 * 1024  # bytes of an output that are decoded to be laid out; more is shown as it is
MARKS = {"succeeded": "✓", "failed": "✗", "skipped": "–", "cancelled": "⊘", "running": "…"}


def duration(ms: float) -> str:
    """`85 µs`, `8.3 ms`, `812 ms`, `1.24 s`, `2 m 05 s`."""
    if 0 < ms < 0.95:
        return f"{max(ms * 1_000, 1):.0f} µs"
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_995:
        return f"{ms / 1_000:.2f} s"
    minutes, seconds = divmod(round(ms / 1_000), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def moment(epoch: float) -> str:
    """A point in time, in UTC."""
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"


def count(number: int, what: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def clip(value: str, longest: int) -> str:
    """The beginning of a text that is too long for its place."""
    return value if len(value) <= longest else f"{value[: max(longest - 1, 1)]}…"


def pretty(value: Any) -> str:
    """A JSON value laid out; the end of a long one is counted, not shown."""
    return shortened(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def pretty_bytes(data: bytes) -> str:
    """An output's bytes laid out, or their beginning as it is when there are too many."""
    if len(data) <= DECODED_AT_MOST:
        return pretty(json.loads(data))
    return shortened(data[: 4 * LONGEST_VALUE].decode("utf-8", "replace"), len(data))


def shortened(value: str, size: int | None = None) -> str:
    """At most `LONGEST_VALUE` characters, and how much is left out."""
    if len(value) <= LONGEST_VALUE and size is None:
        return value
    left = (size or len(value)) - LONGEST_VALUE
    return f"{value[:LONGEST_VALUE]}\n… {left:,} more {'bytes' if size else 'characters'}"


def size(data: bytes) -> str:
    """`812 B`, `1.2 KiB`, `3.4 MiB`."""
    if len(data) < 1024:
        return f"{len(data)} B"
    if len(data) < 1024 * 1024:
        return f"{len(data) / 1024:.1f} KiB"
    return f"{len(data) / 1024 / 1024:.1f} MiB"
