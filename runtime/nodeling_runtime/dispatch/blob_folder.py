"""The folder in which one process finds the blobs of its calls, and leaves its own.

Files come and go by hard links and renames under the folder's descriptor, so nothing that the process does
to its folder leads anywhere else. Invariant: what was placed for a call is there until the call is over, and
when no call is open everything in the folder may go.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import Any

from nodeling_runtime.blob_values import RunBlobs
from nodeling_runtime.blobs import Blob, BlobFault
from nodeling_runtime.dispatch.worker import fork_guard
from nodeling_runtime.shelf import shelf


class BlobFolder:
    """Made with the process, removed with it."""

    __slots__ = ("_fd", "_placed", "is_littered", "path")

    def __init__(self) -> None:
        self.path = shelf().make_folder()
        self._fd = fork_guard.guard(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        self._placed: dict[str, tuple[Blob, int]] = {}  # how many open calls were given it
        self.is_littered = False  # whether files may have been left

    def place(self, blob: Blob) -> None:
        """Let the process find a blob.

        Raises:
            BlobFault: There is no room for it, or it is gone.
        """
        held = self._placed.get(blob.name)
        if held is None:
            try:
                blob.link_to(blob.name, dir_fd=self._fd)
            except OSError as error:
                what = f"a blob of {blob.size} bytes cannot be handed over: {error.strerror}"
                raise BlobFault(what, code=4005) from error
        self._placed[blob.name] = (blob, 1 if held is None else held[1] + 1)

    def withdraw(self, name: str) -> None:
        """One of the calls that were given a blob is over."""
        blob, count = self._placed.pop(name)
        if count > 1:
            self._placed[name] = (blob, count - 1)
        else:
            self._unlink(name)

    def placed(self, name: str) -> Blob | None:
        """The blob of this name that was put here."""
        held = self._placed.get(name)
        return None if held is None else held[0]

    def size_of(self, name: str) -> int:
        """The bytes of a file that is here; 0 for what is no file."""
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_size

    def take(self, about: Mapping[str, Any], blobs: RunBlobs) -> Blob:
        """A blob that the process left here; it is the host's from now on.

        Raises:
            BlobFault: It is not what is said of it.
        """
        return blobs.adopt(self._fd, about)

    def tidy(self) -> None:
        """No call is open: remove what was left."""
        self.is_littered = False
        for name in os.listdir(self._fd):
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except IsADirectoryError:
            shutil.rmtree(name, ignore_errors=True, dir_fd=self._fd)
        except OSError:
            return  # the node removed it, or its folder

    def remove(self) -> None:
        """Remove everything."""
        if self._fd < 0:
            return
        for name in os.listdir(self._fd):
            self._unlink(name)
        fork_guard.close(self._fd)
        self._fd = -1
        self._placed.clear()
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
