"""The pipes of one worker on our side: a frame channel and the texts it writes.

Invariant: what a worker writes is read whether or not a call is under way, and every descriptor opened
here is closed by `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
from collections.abc import Callable
from typing import Literal

from nodeling_runtime.dispatch.worker import fork_guard
from nodeling_runtime.dispatch.worker.writer import LARGE_PIPE

READ_SIZE = 65536  # a larger read costs more in allocation than it saves in calls
READS_AT_ONCE = 16  # one worker keeps the loop no longer than this
MOST_LOG_READS = 64


class WorkerPipes:
    """Reading ends; the writing end is handed out once."""

    def __init__(self, channel: Literal["fd", "stdio"]) -> None:
        self._theirs: list[int] = []
        self._to_worker = -1
        self._channel = -1
        self._logs: dict[int, Callable[[bytes], None]] = {}
        self._is_large = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poll = select.poll()
        self._take: Callable[[bytes], None]
        self._ended: Callable[[], None]
        self.theirs: tuple[int, ...] = ()
        try:
            self._open(channel)
        except OSError:
            self.close()
            raise

    def _open(self, channel: str) -> None:
        reads, self._to_worker = os.pipe()
        self._theirs.append(reads)
        self._channel, writes = os.pipe()
        self._theirs.append(writes)
        logs = [self._log_pipe()]
        if channel == "stdio":
            self.theirs = (reads, writes, logs[0])
        else:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            self._theirs.append(nothing)
            logs.append(self._log_pipe())
            self.theirs = (nothing, logs[1], logs[0], reads, writes)
        for fd in (self._channel, *self._logs):
            os.set_blocking(fd, False)
            fork_guard.guard(fd)

    def _log_pipe(self) -> int:
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        self._logs[ours] = _ignore
        return theirs

    def take_writing_end(self) -> int:
        """The descriptor that frames are written to, from now on the caller's to close."""
        fd, self._to_worker = self._to_worker, -1
        return fd

    def listen(
        self,
        take: Callable[[bytes], None],
        ended: Callable[[], None],
        stderr: Callable[[bytes], None],
        stdout: Callable[[bytes], None],
    ) -> None:
        """Say who takes what comes in."""
        self._take, self._ended = take, ended
        self._logs = dict(zip(self._logs, (stderr, stdout), strict=False))

    def attach(self) -> None:
        """Read on the running loop."""
        self._loop = asyncio.get_running_loop()
        if self._channel >= 0:
            self._loop.add_reader(self._channel, self._read)
        for fd in self._logs:
            self._loop.add_reader(fd, self._read_log, fd)
            self._poll.register(fd, select.POLLIN)

    def detach(self) -> None:
        """Let go of the loop."""
        if self._loop is None:
            return
        for fd in (self._channel, *self._logs):
            if fd >= 0:
                self._loop.remove_reader(fd)
        self._loop = None

    @property
    def has_hung_up(self) -> bool:
        """Whether nobody is left who could write a frame."""
        if self._channel < 0:
            return True
        poll = select.poll()
        poll.register(self._channel, 0)
        return bool(poll.poll(0))

    def close_theirs(self) -> None:
        """Let go of the worker's own ends; they have been passed on."""
        while self._theirs:
            os.close(self._theirs.pop())

    # -- the channel

    def _read(self) -> None:
        for _ in range(READS_AT_ONCE):
            if self._channel < 0:
                return
            try:
                data = os.read(self._channel, READ_SIZE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close_channel()
                self._ended()
                return
            self._take(data)
            if len(data) < READ_SIZE:
                return
            self._enlarge()

    def read_rest(self, take: Callable[[bytes], None]) -> None:
        """Take what is there after the worker's end; nobody is waited for who still holds a pipe."""
        while self._channel >= 0:
            try:
                data = os.read(self._channel, READ_SIZE)
            except OSError:
                break
            if not data:
                break
            take(data)
        self.read_logs()

    def _enlarge(self) -> None:
        if not self._is_large and self._channel >= 0:
            self._is_large = True
            with contextlib.suppress(AttributeError, OSError):  # there is an end to pipe memory
                fcntl.fcntl(self._channel, fcntl.F_SETPIPE_SZ, LARGE_PIPE)

    def _close_channel(self) -> None:
        fd, self._channel = self._channel, -1
        if self._loop is not None:
            self._loop.remove_reader(fd)
        fork_guard.close(fd)

    # -- texts

    def read_logs(self) -> None:
        """Take every text that was written up to now."""
        for _ in range(MOST_LOG_READS):
            ready = self._poll.poll(0) if self._logs else ()
            if not ready:
                return
            for fd, _ in ready:
                self._read_log(fd)

    def _read_log(self, fd: int) -> None:
        take = self._logs.get(fd)
        if take is None:
            return
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            take(data)
        else:
            self._close_log(fd)

    def _close_log(self, fd: int) -> None:
        del self._logs[fd]
        if self._loop is not None:
            self._loop.remove_reader(fd)
        with contextlib.suppress(KeyError):
            self._poll.unregister(fd)
        fork_guard.close(fd)

    def abandon(self) -> None:
        """Close without a loop; it may be gone."""
        self._loop = None
        self.close()

    def close(self) -> None:
        """Let go of everything that is still held here."""
        self.close_theirs()
        if self._to_worker >= 0:
            os.close(self.take_writing_end())
        if self._channel >= 0:
            self._close_channel()
        for fd in list(self._logs):
            self._close_log(fd)


def _ignore(_data: bytes) -> None:
    """What is read before anybody listens; nothing is read then."""
