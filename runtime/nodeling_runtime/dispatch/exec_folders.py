"""The private folders of one call: HOME, TMPDIR, blobs and the work folder, gone when the call is.

Invariant: nobody but this user can look inside, and nothing read back from them follows a link.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile

from nodeling_runtime.dispatch.blob_folder import BlobFolder

RESULT_LIMIT = 16 * 1024 * 1024


class ResultFileFault(Exception):
    """The result file cannot be taken: it is no ordinary file, or too large."""


class CallFolders:
    """The folders and the place of the result file, made for one call."""

    __slots__ = ("blobs", "home", "result_file", "root", "tmp", "work")

    def __init__(self, parent: str) -> None:
        self.root = tempfile.mkdtemp(prefix="call-", dir=parent)  # mode 0700
        self.home, self.tmp, self.work = (self._make(name) for name in ("home", "tmp", "work"))
        self.result_file = os.path.join(self.root, "result.json")
        try:
            self.blobs = BlobFolder()
        except OSError:
            remove_tree(self.root)
            raise

    def _make(self, name: str) -> str:
        path = os.path.join(self.root, name)
        os.mkdir(path, 0o700)
        return path

    def read_result(self) -> bytes | None:
        """What the program wrote to its result file; None when it wrote nothing.

        Raises:
            ResultFileFault: it is a link, no ordinary file, or over the limit.
        """
        try:
            fd = os.open(self.result_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ResultFileFault(f"the result file cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ResultFileFault("the result file is not an ordinary file")
        with open(fd, "rb") as file:
            data = file.read(RESULT_LIMIT + 1)
        if len(data) > RESULT_LIMIT:
            raise ResultFileFault(f"the result file is larger than {RESULT_LIMIT} bytes")
        return data if data.strip() else None

    def remove(self) -> None:
        """Remove everything."""
        self.blobs.remove()
        remove_tree(self.root)


def remove_tree(root: str) -> None:
    """Remove a folder and all below it, also what a program made unreadable for itself."""
    if os.path.islink(root):  # a program may have put one in its folder's place
        os.unlink(root)
        return
    shutil.rmtree(root, ignore_errors=True)
    if os.path.lexists(root):
        _open_up(root)
        shutil.rmtree(root, ignore_errors=True)


def _open_up(root: str) -> None:
    """Give every folder below `root` back the bits that its owner needs to empty it."""
    os.chmod(root, 0o700)
    for parent, folders, _ in os.walk(root):
        for name in folders:
            path = os.path.join(parent, name)
            with contextlib.suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
