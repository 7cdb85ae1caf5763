"""How the guard process looks at other processes: at the system's tables, never trusting a bare number.

Invariant: a process is killed through a handle that was compared with what was looked at before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections import deque

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_SECONDS = 0.25  # how often the trees of the workers are looked at
PAGE_MB = resource.getpagesize() / 1048576
BLOCK_MB = 512 / 1048576
MOST_ENTRIES = 20_000  # of one worker's folders at one look: the guard has others to watch


class Process:
    """One look at one process, by a handle's worth of identity: its number and its start time."""

    __slots__ = ("pid", "ppid", "rss_mb", "session", "started", "state")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.session = int(fields[3])
        self.started = int(fields[19])
        self.rss_mb = int(fields[21]) * PAGE_MB


def below(root: int) -> dict[int, Process]:
    """Every descendant of a process, parents before children."""
    found: dict[int, Process] = {}
    todo = deque(children(root))
    while todo:
        pid = todo.popleft()
        if pid in found:
            continue
        process = read_process(pid)
        if process is not None:
            found[pid] = process
            todo.extend(children(pid))
    return found


def children(pid: int) -> Iterator[int]:
    """The children of every thread of a process."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                data = file.read()
        except OSError:
            continue
        yield from map(int, data.split())


def read_process(pid: int) -> Process | None:
    """One look; None when there is nothing to see any more."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return Process(pid, file.read().rpartition(b")")[2].split())
    except (OSError, IndexError):
        return None


def size_mb(folder: str) -> float:
    """What lies in a folder; the blocks that files take, not the lengths they claim."""
    blocks = 0
    left = MOST_ENTRIES
    todo = [folder]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return blocks * BLOCK_MB
                    status = entry.stat(follow_symlinks=False)
                    blocks += status.st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:  # removed while it was looked at
            continue
    return blocks * BLOCK_MB


def has_mark(pid: int, mark: bytes) -> bool:
    """Whether a process was started with a worker's mark in its environment."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read()
    except OSError:
        return False


def kill_process(process: Process) -> None:
    """SIGKILL, through a handle that was compared with what was looked at."""
    if process.state == b"Z":
        return
    try:
        handle = os.pidfd_open(process.pid)
    except AttributeError:
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGKILL)
        return
    except OSError:
        return
    try:
        now = read_process(process.pid)
        if now is not None and now.started == process.started:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(handle)
