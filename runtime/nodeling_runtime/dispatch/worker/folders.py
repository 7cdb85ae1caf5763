"""The private folders of one worker: HOME, TMPDIR, blobs, and a work folder for each of its slots.

A work folder that a call left untouched serves the next one; the times of its changes tell, of which that
of its content is put far back when it is made. Invariant: no call finds what another call left in its work
folder.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time

from nodeling_runtime.dispatch.blob_folder import BlobFolder
from nodeling_runtime.dispatch.exec_folders import remove_tree

_UNTOUCHED = 0  # the epoch, as the time of the last change of what is in it
_PRIVATE = stat.S_IFDIR | 0o700
_YOUNG_NS = 100_000_000  # more than a tick of any file system's clock: two changes may look like one


class WorkFolder:
    """Where one call at a time may put files."""

    __slots__ = ("_changed", "_fd", "_is_young", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        os.mkdir(path, 0o700)
        os.utime(path, ns=(_UNTOUCHED, _UNTOUCHED))
        # It is looked at after every call, and by its descriptor that costs a third of what it does by name.
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._changed = os.fstat(self._fd).st_ctime_ns
        self._is_young = True

    def is_untouched(self) -> bool:
        """Whether it is as it was made: nothing put in, nothing changed, and in its place."""
        status = os.fstat(self._fd)
        if (
            status.st_ctime_ns != self._changed
            or status.st_mtime_ns != _UNTOUCHED
            or status.st_mode != _PRIVATE
        ):
            return False
        if not self._is_young:
            return True
        self._is_young = time.time_ns() - self._changed < _YOUNG_NS
        try:
            there = os.lstat(self.path)
        except OSError:
            return False
        return os.path.samestat(status, there)

    def close(self) -> None:
        """Let go of it; what is there stays."""
        os.close(self._fd)


class WorkerFolders:
    """Made with the worker, removed with it."""

    __slots__ = ("_count", "_free", "_work", "blobs", "home", "root", "tmp")

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="nodeling-worker-")  # mode 0700
        self.home, self.tmp = (self._make(name) for name in ("home", "tmp"))
        self._work: set[WorkFolder] = set()
        self._free: list[WorkFolder] = []
        self._count = 0
        try:
            self.blobs = BlobFolder()
        except OSError:
            remove_tree(self.root)
            raise

    def _make(self, name: str) -> str:
        path = os.path.join(self.root, name)
        os.mkdir(path, 0o700)
        return path

    def take_work(self) -> WorkFolder:
        """An empty work folder."""
        if self._free:
            return self._free.pop()
        self._count += 1
        made = WorkFolder(os.path.join(self.root, f"work-{self._count}"))
        self._work.add(made)
        return made

    def give_back(self, folder: WorkFolder) -> None:
        """The call is over: keep its folder when nothing was ever done to it, else remove it."""
        if folder.is_untouched():
            self._free.append(folder)
        else:
            self._work.discard(folder)
            folder.close()
            remove_tree(folder.path)

    def remove(self) -> None:
        """Remove everything."""
        while self._work:
            self._work.pop().close()
        self._free.clear()
        self.blobs.remove()
        remove_tree(self.root)
