"""Secrets must not be read in what nodeling says: every text that holds one says `***` in its place.

The sinks (events, results, reports) pass what they write through a `Redactor`. Without secrets it
returns its argument untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MASK = "***"
SHORTEST_LINE = 8  # a line of a longer secret that is shorter than this tells nothing and stands everywhere


class Redactor:
    """Knows the values that must not be shown."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        words = {word for secret in secrets for word in _faces(secret)}
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if words else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str) -> str:
        """A text without its secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """A JSON value, secrets masked in every text and key; the value itself when it holds none."""
        return value if self._pattern is None else self._masked(value)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self._masked(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked(item) for item in value]
        return value


NOTHING = Redactor()


def _faces(secret: str) -> Iterable[str]:
    """A secret, and the lines of one that has several: a log shows them one at a time."""
    if not secret.strip():
        return
    yield secret
    lines = secret.splitlines()
    if len(lines) > 1:
        yield from (line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE)
