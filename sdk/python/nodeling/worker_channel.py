"""The worker's private line to its host, kept clear of everything the node prints or reads.

Invariant: nothing but `Channel.write` reaches the host's reader, and when the host is gone this
process is gone within `EXIT_GRACE_SECONDS`, whatever its handlers do.
"""

from __future__ import annotations

import _thread
import os
import select
import sys
import time

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXIT_GRACE_SECONDS", "Channel", "open_channel"]

EXIT_GRACE_SECONDS = 1.0  # what running handlers get, once told, to clean up behind themselves
READ_BYTES = 65536  # larger reads cost more in allocation than they save in calls
FDS_VARIABLE = "NODELING_FDS"


class Channel:
    """Two descriptors, closed to children."""

    __slots__ = ("reader", "writer")

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        for descriptor in (reader, writer):
            os.set_inheritable(descriptor, False)
            os.set_blocking(descriptor, True)

    def read(self) -> bytes:
        """The next bytes; empty when the host is gone."""
        try:
            return os.read(self.reader, READ_BYTES)
        except OSError:
            return b""

    def wait(self) -> None:
        """Wait until there is something to read, or the host is gone."""
        poller = select.poll()
        poller.register(self.reader, select.POLLIN)
        poller.poll()

    def has_more(self) -> bool:
        """Whether there is something to read now."""
        poller = select.poll()
        poller.register(self.reader, select.POLLIN)
        return bool(poller.poll(0))

    def write(self, data: bytes) -> None:
        """Write whole frames; the caller holds the one lock. Without a host the process ends."""
        try:
            written = os.write(self.writer, data)
            if written == len(data):
                return
            rest = memoryview(data)[written:]
            while rest:
                rest = rest[os.write(self.writer, rest) :]
        except OSError:
            os._exit(1)  # nobody listens any more

    def watch(self, warn: Callable[[], None]) -> None:
        """Start the thread that ends this process when the host hangs up, even while a handler is busy."""
        _thread.start_new_thread(self._watch, (warn,))  # as `threading` would, without its import

    def _watch(self, warn: Callable[[], None]) -> None:
        poller = select.poll()
        poller.register(self.reader, 0)  # no events asked for: only hang-up and error wake it
        while True:
            try:
                if poller.poll():
                    break
            except OSError:
                break
        warn()
        time.sleep(EXIT_GRACE_SECONDS)
        os._exit(1)


def open_channel() -> Channel:
    """The pipes that `NODELING_FDS` names, else stdin and stdout moved out of everybody's way.

    Raises:
        ValueError: `NODELING_FDS` does not name two open descriptors.
    """
    named = os.environ.pop(FDS_VARIABLE, None)
    if named is not None:
        try:
            reader, writer = (int(part) for part in named.split(","))
            return Channel(reader, writer)
        except (ValueError, OSError) as error:
            raise ValueError(f"{FDS_VARIABLE}={named!r} names no two open pipes") from error
    import fcntl

    reader = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 3)
    writer = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Channel(reader, writer)


def make_prints_prompt() -> None:
    """Let what the node prints reach the log line by line, and never fail on odd characters."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, errors="backslashreplace")
