"""What a program writes for people: lines as events, the last of them kept for the error.

Invariant: memory stays bounded and no secret the call was given passes, however much is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

TAIL_SIZE = 65536
MAX_LINE = 65536  # a longer line is passed on in pieces
LINES_PER_SECOND = 1000
REDACTED = "[redacted]"


class Redactor:
    """Replaces the secrets of one call wherever they stand in a text."""

    __slots__ = ("_values",)

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._values = sorted((value for value in secrets.values() if value), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for value in self._values:
            text = text.replace(value, REDACTED)
        return text


class LineLog:
    """Turns a stream of bytes into log events and remembers its tail."""

    __slots__ = ("_emit", "_partial", "_redact", "_second", "_stream", "_tail", "_this_second", "dropped")

    def __init__(
        self, emit: Callable[[str, dict[str, Any]], None], redact: Redactor, stream: str = "stderr"
    ) -> None:
        self._emit = emit
        self._redact = redact
        self._stream = stream
        self._tail = bytearray()
        self._partial = b""
        self._second = 0.0
        self._this_second = 0
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """Take a chunk as it was read."""
        self._tail += data
        if len(self._tail) > 2 * TAIL_SIZE:
            del self._tail[:-TAIL_SIZE]
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._line(line)
        while len(self._partial) >= MAX_LINE:
            self._line(self._partial[:MAX_LINE])
            self._partial = self._partial[MAX_LINE:]

    def finish(self) -> None:
        """Pass on a last line without an end, and say how many lines were dropped."""
        if self._partial:
            self._line(self._partial)
            self._partial = b""
        if self.dropped:
            message = (
                f"{self.dropped} lines of {self._stream} were dropped: more than {LINES_PER_SECOND} a second"
            )
            self._emit("log", {"level": "warning", "stream": self._stream, "message": message})

    def tail(self) -> str:
        """The last 64 KiB, from the start of a line where something had to go."""
        kept = bytes(self._tail[-TAIL_SIZE:])
        if len(self._tail) > TAIL_SIZE:
            kept = kept.partition(b"\n")[2] or kept
        return self._redact(kept.decode("utf-8", "replace").rstrip())

    def _line(self, line: bytes) -> None:
        if not self._has_room():
            self.dropped += 1
            return
        text = self._redact(line.removesuffix(b"\r").decode("utf-8", "replace"))
        self._emit("log", {"level": "info", "stream": self._stream, "message": text})

    def _has_room(self) -> bool:
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._this_second = now, 0
        self._this_second += 1
        return self._this_second <= LINES_PER_SECOND
