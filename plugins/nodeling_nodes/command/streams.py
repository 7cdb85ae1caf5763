"""The streams of a program: fed and read as fast as it goes, by one thread that also watches the clock."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal

AFTER_EXIT_SECONDS = 1.0  # what the program left running may hold its streams open: it is not waited for
LOOK_SECONDS = 0.05  # how long it may take until a cancellation is seen
PIECE = 64 * 1024
End = Literal["ended", "late", "cancelled"]


class Stream:
    """What a program writes on one stream: the last bytes kept, the others counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.dropped = 0

    def add(self, part: bytes) -> None:
        """Take what was read."""
        self._data += part
        if len(self._data) > 2 * self._limit + PIECE:
            self._cut()

    def _cut(self) -> None:
        over = len(self._data) - self._limit
        if over > 0:
            self.dropped += over
            del self._data[:over]

    def text(self) -> str:
        """What was kept."""
        self._cut()
        return self._data.decode("utf-8", "replace")


class Pump:
    """Moves bytes until the program has ended."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, out: Stream, err: Stream) -> None:
        if process.stdout is None or process.stderr is None:
            raise AssertionError("both streams are pipes")
        self._process = process
        self._left = memoryview(stdin)
        self._open = {process.stdout.fileno(): out, process.stderr.fileno(): err}
        self._exit = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        for descriptor in (*self._open, self._exit):
            self._selector.register(descriptor, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)

    def __enter__(self) -> Pump:
        """Close it when the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""
        self._selector.close()
        os.close(self._exit)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()

    def run(self, ends_at: float, cancelled: Callable[[], bool]) -> End:
        """Move bytes until the program has ended, the time is over or the call is cancelled."""
        streams_end: float | None = None
        while self._open or streams_end is None:
            now = time.monotonic()
            if cancelled():
                return "cancelled"
            if streams_end is not None and now >= streams_end:
                break
            if streams_end is None and now >= ends_at:
                return "late"
            for key, _ in self._selector.select(min(LOOK_SECONDS, max(0.0, ends_at - now) or LOOK_SECONDS)):
                if key.fd == self._exit:
                    self._selector.unregister(self._exit)
                    streams_end = time.monotonic() + AFTER_EXIT_SECONDS
                elif key.fd in self._open:
                    self._read(key.fd)
                else:
                    self._write(key.fd)
        return "ended"

    def _read(self, descriptor: int) -> None:
        part = os.read(descriptor, PIECE)
        if part:
            self._open[descriptor].add(part)
        else:
            self._selector.unregister(descriptor)
            del self._open[descriptor]

    def _write(self, descriptor: int) -> None:
        try:
            self._left = self._left[os.write(descriptor, self._left[:PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it may end without having read
            self._left = self._left[:0]
        if not self._left and self._process.stdin is not None:
            self._selector.unregister(descriptor)
            self._process.stdin.close()
