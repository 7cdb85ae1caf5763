"""What a worker writes for people, told to whoever has a call in it.

Invariant: memory is bounded, and the secrets of no call this worker ever had pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from nodeling_runtime.dispatch.exec_log import LineLog, Redactor

BYTES_A_SECOND = 1 << 20


class GrowingRedactor(Redactor):
    """Learns the secrets of each call; a worker may write one down long after the call."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        super().__init__({})
        self._known: set[str] = set()

    def learn(self, secrets: Mapping[str, str]) -> None:
        """Never let these pass from now on."""
        fresh = {value for value in secrets.values() if value} - self._known
        if fresh:
            self._known |= fresh
            self._values = sorted(self._known, key=len, reverse=True)


class Flood:
    """What a worker tells unasked, in frames: so much a second is passed on, the rest is counted."""

    __slots__ = ("_most", "_second", "_this_second", "dropped")

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0.0
        self._this_second = 0
        self.dropped = 0

    def lets_pass(self) -> bool:
        """Whether one more may pass now."""
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._this_second = now, 0
        self._this_second += 1
        if self._this_second <= self._most:
            return True
        self.dropped += 1
        return False


class WorkerLog(LineLog):
    """One stream of a worker: a mebibyte a second is passed on, the rest is counted."""

    __slots__ = ("_bytes",)

    def __init__(
        self, emit: Callable[[str, dict[str, Any]], None], redact: Redactor, stream: str = "stderr"
    ) -> None:
        super().__init__(emit, redact, stream)
        self._bytes = 0

    def _line(self, line: bytes) -> None:
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._bytes = now, 0
        self._bytes += len(line) + 1
        if self._bytes > BYTES_A_SECOND:
            self.dropped += 1
            return
        text = self._redact(line.removesuffix(b"\r").decode("utf-8", "replace"))
        self._emit("log", {"level": "info", "stream": self._stream, "message": text})
