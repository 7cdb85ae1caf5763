"""The private folders of one worker: HOME, TMPDIR, blobs, and a work folder for each of its slots.

A work folder that a call left untouched serves the next one; the time of its last change, which is put
far back when it is made, tells. Invariant: no call finds what another call left in its work folder.
"""

from __future__ import annotations

import os
import tempfile

from nodeling_runtime.dispatch.blob_folder import BlobFolder
from nodeling_runtime.dispatch.exec_folders import remove_tree

_UNTOUCHED = 0  # the epoch, as the time of the last change


class WorkerFolders:
    """Made with the worker, removed with it."""

    __slots__ = ("_count", "_free", "blobs", "home", "root", "tmp")

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="nodeling-worker-")  # mode 0700
        self.home, self.tmp = (self._make(name) for name in ("home", "tmp"))
        self._free: list[str] = []
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

    def take_work(self) -> str:
        """An empty work folder."""
        if self._free:
            return self._free.pop()
        self._count += 1
        path = self._make(f"work-{self._count}")
        os.utime(path, ns=(_UNTOUCHED, _UNTOUCHED))
        return path

    def give_back(self, path: str) -> None:
        """The call is over: keep its folder when nothing was ever put there, else remove it."""
        try:
            status = os.lstat(path)
        except OSError:
            return
        if status.st_mtime_ns == _UNTOUCHED and status.st_mode == 0o40700:
            self._free.append(path)
        else:
            remove_tree(path)

    def remove(self) -> None:
        """Remove everything."""
        self.blobs.remove()
        remove_tree(self.root)
