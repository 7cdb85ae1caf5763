"""Whole frames into a pipe, many with one write, without ever blocking the loop.

Invariant: frames leave in the order they were given, each of them whole, and a process that takes
nothing for the time allowed is reported once.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

from nodeling_runtime.dispatch.worker import fork_guard

LARGE_FRAME = 65536  # from here on a larger pipe pays
LARGE_PIPE = 1 << 20


class FrameWriter:
    """The writing end of a channel."""

    __slots__ = (
        "_fd",
        "_frames",
        "_is_due",
        "_is_large",
        "_is_waiting",
        "_loop",
        "_on_broken",
        "_on_stuck",
        "_progress",
        "_timeout",
        "_timer",
        "size",
    )

    def __init__(
        self, fd: int, timeout: float, on_stuck: Callable[[], None], on_broken: Callable[[], None]
    ) -> None:
        self._fd = fork_guard.guard(fd)
        os.set_blocking(fd, False)
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._timeout = timeout
        self._on_stuck = on_stuck
        self._on_broken = on_broken
        self._frames: list[bytes | memoryview] = []
        self.size = 0  # bytes that wait
        self._is_due = False  # a flush stands in the loop's queue
        self._is_waiting = False  # the pipe is full, and the loop watches it
        self._is_large = False
        self._progress = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether frames still go anywhere."""
        return self._fd >= 0

    def attach(self) -> None:
        """Go on on the running loop; nothing may be waiting."""
        self._loop = asyncio.get_running_loop()

    def write(self, frame: bytes, *, at_once: bool) -> None:
        """Send a frame, now or together with what else comes in this turn of the loop."""
        if self._fd < 0:
            return
        size = len(frame)
        if size >= LARGE_FRAME and not self._is_large:
            self._enlarge()
        if at_once and not self._frames and not self._is_waiting:
            try:
                written = os.write(self._fd, frame)
            except OSError:
                written = 0  # which is found again, and dealt with, below
            if written == size:
                return
            self._frames.append(memoryview(frame)[written:])
            self.size += size - written
        else:
            self._frames.append(frame)
            self.size += size
        if self._is_waiting or self._is_due:
            return
        if at_once:
            self._flush()
        else:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Let go of the pipe; what waits is dropped."""
        if self._fd < 0:
            return
        self._rest()
        fork_guard.close(self._fd)
        self._fd = -1
        self._frames.clear()
        self.size = 0

    def abandon(self) -> None:
        """Close without a loop; it may be gone."""
        self._is_waiting, self._timer = False, None
        self.close()

    def _enlarge(self) -> None:
        self._is_large = True
        with contextlib.suppress(AttributeError, OSError):  # the user's share of pipe memory may be used up
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, LARGE_PIPE)

    def _flush(self) -> None:
        self._is_due = False
        if self._fd < 0 or not self._frames:
            return
        data = memoryview(self._frames[0] if len(self._frames) == 1 else b"".join(self._frames))
        self._frames.clear()
        try:
            while data:
                written = os.write(self._fd, data)
                self._progress = True
                self.size -= written
                data = data[written:]
        except BlockingIOError:
            self._frames.insert(0, data)
            self._wait()
            return
        except OSError:
            self._rest()
            self._on_broken()
            return
        self._rest()

    def _wait(self) -> None:
        if self._is_waiting:
            return
        self._is_waiting = True
        self._progress = False
        self._loop.add_writer(self._fd, self._flush)
        self._timer = self._loop.call_later(self._timeout, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_waiting:
            return
        if not self._progress:
            self._on_stuck()
            return
        self._progress = False
        self._timer = self._loop.call_later(self._timeout, self._look)

    def _rest(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._loop.remove_writer(self._fd)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
