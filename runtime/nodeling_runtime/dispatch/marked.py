"""Ending every process whose environment holds a call's mark.

Invariant: a process is signalled through a handle (a pidfd, or psutil's check of the start time)
that was compared with the mark after it was opened.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

MARK_VARIABLE = "NODELING_CALL"
_ENVIRON_READ = 1 << 18


def kill_marked(mark: bytes, besides: int) -> int:
    """SIGKILL to every process whose environment holds `mark`; gives how many there were."""
    return sum(_kill_if_marked(pid, mark) for pid in _processes() if pid != besides and _is_marked(pid, mark))


def _processes() -> Iterator[int]:
    own = os.getpid()
    try:
        names = os.listdir("/proc")
    except OSError:  # no such file system here: the group kill and the tree have to do
        return
    yield from (int(name) for name in names if name.isdigit() and int(name) != own)


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = b""
        while chunk := os.read(fd, _ENVIRON_READ):
            found = found[-len(mark) :] + chunk
            if mark in found:
                return True
    except OSError:  # it ended meanwhile
        return False
    finally:
        os.close(fd)
    return False


def _kill_if_marked(pid: int, mark: bytes) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):  # it ended, or this system has no pidfd to give
        return _kill_by_start_time(pid, mark)
    try:
        if not _is_marked(pid, mark):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _kill_by_start_time(pid: int, mark: bytes) -> bool:
    import psutil  # only a system without pidfds needs it here, and it takes longer to load than Python

    try:
        process = psutil.Process(pid)
        if not _is_marked(pid, mark):
            return False
        process.kill()
    except psutil.Error:
        return False
    return True
