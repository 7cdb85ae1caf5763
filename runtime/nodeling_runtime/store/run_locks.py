"""Locks that die with their process: one for each run, in one file beside the database.

A lock is a byte of the file, locked for an open file description (Linux's OFD locks): it does not matter
which thread asks, a second store in the same process is somebody else, and the kernel lets go of it when
the process is gone, however it went. Where there are no such locks a file for each run does the same.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from pathlib import Path

CHECKPOINT = 0  # the byte of whoever writes the log back into the database; runs count from 1
_LOCK = "hhqqi4x"  # the system's `struct flock`
OPENING = 2**62  # the byte of whoever opens, makes or migrates the file


class RunLocks:
    """The locks of one store."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held: set[int] = set()
        self._guard = threading.Lock()

    def acquire(self, number: int) -> bool:
        """Take a lock; False when somebody has it, this store included."""
        with self._guard:
            if number in self._held or not _lock(self._fd, number, fcntl.F_WRLCK):
                return False
            self._held.add(number)
            return True

    def is_held(self, number: int) -> bool:
        """Whether somebody has a lock. It is not tried: whoever wants it now would find it taken."""
        with self._guard:
            if number in self._held:
                return True
            asked = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _wanted(fcntl.F_WRLCK, number))
        (kind, *_) = struct.unpack(_LOCK, asked)
        return bool(kind != fcntl.F_UNLCK)

    def wait(self, number: int) -> None:
        """Take a lock, however long that takes."""
        _lock(self._fd, number, fcntl.F_WRLCK, wait=True)
        with self._guard:
            self._held.add(number)

    def release(self, number: int) -> None:
        """Give a lock back."""
        with self._guard:
            if number in self._held:
                self._held.discard(number)
                _lock(self._fd, number, fcntl.F_UNLCK)

    def close(self) -> None:
        """Give everything back."""
        with self._guard:
            self._held.clear()
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def _lock(fd: int, number: int, kind: int, *, wait: bool = False) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, _wanted(kind, number))
    except BlockingIOError:
        return False
    return True


def _wanted(kind: int, number: int) -> bytes:
    return struct.pack(_LOCK, kind, os.SEEK_SET, number, 1, 0)
