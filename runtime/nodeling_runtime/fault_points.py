"""Places at which a test can have this process die: `NODELING_DIE_AT=result:3` dies the third time there.

Whether a durable run survives its process is shown by killing it, and some moments are too short to be
met by chance. Without the variable `reached` does nothing.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "NODELING_DIE_AT"
POINTS = ("started", "sent", "effect", "result", "acknowledged", "checkpoint", "migration")


class _Deadly:
    def __init__(self, wanted: str) -> None:
        self._point, _, count = wanted.partition(":")
        if self._point not in POINTS:
            raise ValueError(f"{VARIABLE} names no point {self._point!r}; there are {', '.join(POINTS)}")
        self._left = int(count or "1")
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_die = _Deadly(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def reached(point: str) -> None:
    """The process is at this point; the last time if a test wants it so."""
    if _die is not None:
        _die(point)


def arm(wanted: str) -> None:
    """Choose the deadly point of this process, as the variable does."""
    global _die
    _die = _Deadly(wanted)
