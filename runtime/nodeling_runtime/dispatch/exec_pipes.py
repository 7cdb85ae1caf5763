"""The three pipes to a program, read and written without ever blocking the loop.

Invariant: stdout and stderr are always drained, whatever the program does with its stdin, and what
is kept of them is bounded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

READ_SIZE = 65536
STDOUT_LIMIT = 16 * 1024 * 1024  # the largest inline value; more would have to be a blob


class Pipes:
    """The ends of a program's stdin, stdout and stderr on both sides."""

    __slots__ = ("_child_fds", "_loop", "_reading", "_stdin", "_to_write", "at_end", "child")

    def __init__(self, stdin: bytes | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._child_fds: list[int] = []
        self._reading: dict[int, Callable[[bytes], None]] = {}
        self._stdin = -1
        self._to_write = memoryview(stdin or b"")
        self.at_end: asyncio.Future[None] = self._loop.create_future()
        self.child: tuple[int, int, int] = (-1, -1, -1)
        try:
            self._open(stdin is not None)
        except OSError:
            self.close()
            raise

    def _open(self, wants_stdin: bool) -> None:
        if wants_stdin:
            first, self._stdin = os.pipe()
            os.set_blocking(self._stdin, False)
        else:
            first = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._child_fds.append(first)
        for _ in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            self._child_fds.append(theirs)
            self._reading[ours] = _ignore
            os.set_blocking(ours, False)
        self.child = (first, self._child_fds[1], self._child_fds[2])

    def start(self, on_stdout: Callable[[bytes], None], on_stderr: Callable[[bytes], None]) -> None:
        """Begin to write and read; the program's own ends are let go of."""
        self._close_child_fds()
        for fd, take in zip(list(self._reading), (on_stdout, on_stderr), strict=True):
            self._reading[fd] = take
            self._loop.add_reader(fd, self._read, fd)
        self._write()

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        if data:
            self._reading[fd](data)
            return
        self._stop_reading(fd)
        if not self._reading and not self.at_end.done():
            self.at_end.set_result(None)

    def _write(self) -> None:
        if self._stdin < 0:
            return
        try:
            while self._to_write:
                self._to_write = self._to_write[os.write(self._stdin, self._to_write) :]
        except (BlockingIOError, InterruptedError):
            self._loop.add_writer(self._stdin, self._write)
            return
        except BrokenPipeError:
            # A program need not read what it is given: its exit and its output decide.
            pass
        self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
        self._to_write = memoryview(b"")

    def _stop_reading(self, fd: int) -> None:
        del self._reading[fd]
        self._loop.remove_reader(fd)
        os.close(fd)

    def _close_child_fds(self) -> None:
        while self._child_fds:
            os.close(self._child_fds.pop())

    def close(self) -> None:
        """Let go of every end, read to its end or not."""
        self._close_child_fds()
        self._close_stdin()
        for fd in list(self._reading):
            self._stop_reading(fd)


def _ignore(_data: bytes) -> None:
    """What is read before anybody asked for it; nothing is read then."""


class Collector:
    """Keeps what a program writes, up to a limit, and tells when the limit is passed."""

    __slots__ = ("_limit", "_on_overflow", "_parts", "size")

    def __init__(self, on_overflow: Callable[[], None], limit: int = STDOUT_LIMIT) -> None:
        self._parts: list[bytes] = []
        self._limit = limit
        self._on_overflow = on_overflow
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take a chunk; beyond the limit it is only counted."""
        self.size += len(data)
        if self.size > self._limit:
            self._parts.clear()
            self._on_overflow()
        else:
            self._parts.append(data)

    def data(self) -> bytes:
        """All that was kept."""
        return b"".join(self._parts)
