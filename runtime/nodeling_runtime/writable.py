"""Texts that can be written down: Python's may hold half characters, as it reads them in file names."""

from __future__ import annotations

from typing import Any


def is_writable(text: str) -> bool:
    """Whether every reader can read a text."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def writable(value: Any) -> Any:
    """A value with the half characters of its texts and keys spelled out: `\\udce9`."""
    if isinstance(value, str):
        return value if is_writable(value) else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {writable(key): writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [writable(item) for item in value]
    return value
