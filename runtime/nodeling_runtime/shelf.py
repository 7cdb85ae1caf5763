"""Where the files of blobs lie: one private folder of this process, in memory where there is such a place.

Invariant: the folder is gone when the process is. It holds a lock as long as it lives; one whose lock is free
was left by a process that was killed, and goes as soon as anybody makes another.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import threading

LOCK = ".lock"
_PREFIX = "nodeling-blobs-"
_IN_MEMORY = "/dev/shm"  # noqa: S108 - only folders of mode 0700 are made there
_NO_DIGITS = str.maketrans("0123456789", "ghijklmnop")
_LEAST_FREE = 512 * 2**20  # a smaller place in memory is soon full, and a disk is not


class Shelf:
    """The folder of this process."""

    __slots__ = ("_lock", "root")

    def __init__(self, home: str) -> None:
        sweep(home)
        made = tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=home)  # mode 0700
        self._lock = os.open(os.path.join(made, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.root = os.path.join(home, _PREFIX + _letters(8))
        os.rename(made, self.root)  # under this name it is locked from the first moment on

    def make_folder(self) -> str:
        """A folder for one process's blobs."""
        path = os.path.join(self.root, f"node-{_letters(8)}")
        os.mkdir(path, 0o700)
        return path

    def new_path(self) -> str:
        """The place for one more file; nobody guesses its name."""
        return os.path.join(self.root, f"b-{_letters(16)}")

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Let go of the lock only: in a forked child the folder is somebody else's."""
        with contextlib.suppress(OSError):
            os.close(self._lock)


def _letters(count: int) -> str:
    """So many random bytes as letters. In a frame, digits behind an `e` look like a number to be checked."""
    return os.urandom(count).hex().translate(_NO_DIGITS)


def home() -> str:
    """The folder that shelves are made in."""
    with contextlib.suppress(OSError):
        status = os.statvfs(_IN_MEMORY)
        if status.f_bavail * status.f_frsize >= _LEAST_FREE and os.access(_IN_MEMORY, os.W_OK | os.X_OK):
            return _IN_MEMORY
    return tempfile.gettempdir()


def sweep(home: str) -> None:
    """Remove the shelves that processes of this user left behind when they were killed."""
    for name in os.listdir(home):
        if name.startswith(_PREFIX):
            remove_abandoned(os.path.join(home, name))


def remove_abandoned(root: str) -> None:
    """Remove a shelf unless its process lives."""
    try:
        if os.lstat(root).st_uid != os.geteuid():
            return
        lock = os.open(os.path.join(root, LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(root, ignore_errors=True)
    except OSError:
        return  # it is in use
    finally:
        os.close(lock)


_THE: list[Shelf] = []
_MAKING = threading.Lock()


def shelf() -> Shelf:
    """The shelf of this process, made when it is first asked for."""
    if not _THE:
        with _MAKING:
            if not _THE:
                _THE.append(Shelf(home()))
    return _THE[0]


def close_if_empty() -> None:
    """Let the shelf go when nothing lies on it any more; the next blob makes another."""
    with _MAKING:
        if _THE and os.listdir(_THE[0].root) == [LOCK]:
            _THE.pop().close()


def _close() -> None:
    while _THE:
        _THE.pop().close()


def _forget() -> None:
    while _THE:
        _THE.pop().forget()


atexit.register(_close)
os.register_at_fork(after_in_child=_forget)
