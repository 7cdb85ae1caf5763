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

import orjson

from nodeling.protocol_blobs import BlobRef, escape_blobs, is_reference, unescape_key
from nodeling.values import encode
from nodeling_runtime.blob_values import SPILL_BYTES, BlobValue, RunBlobs
from nodeling_runtime.blobs import Blob, BlobFault, write
from nodeling_runtime.dispatch.exec_result import Refused
from nodeling_runtime.dispatch.worker import fork_guard
from nodeling_runtime.shelf import shelf
from nodeling_runtime.values import Value

_TIDY_EVERY = 64  # calls; a node may leave files that no result names
_MAY_BE_REFERENCE = b'blob":'


class BlobFolder:
    """Made with the process, removed with it."""

    __slots__ = ("_calls", "_fd", "_is_littered", "_placed", "path")

    def __init__(self) -> None:
        self.path = shelf().make_folder()
        self._fd = fork_guard.guard(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        self._placed: dict[str, tuple[Blob, int]] = {}  # how many open calls were given it
        self._calls = 0
        self._is_littered = False

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

    def take(self, about: Mapping[str, Any], blobs: RunBlobs) -> Blob:
        """A blob that the process left here; it is the host's from now on.

        Raises:
            BlobFault: It is not what is said of it.
        """
        return blobs.adopt(self._fd, about)

    def litter(self) -> None:
        """A call ended in a way that may have left files."""
        self._is_littered = True

    def tidy(self) -> None:
        """No call is open: remove what was left, when something may have been."""
        self._calls += 1
        if self._is_littered or self._calls % _TIDY_EVERY == 0:
            self._is_littered = False
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


class CallBlobs:
    """What one call was given by reference, and what it gave."""

    __slots__ = ("_blobs", "_folder", "_given", "_taken")

    def __init__(self, folder: BlobFolder, blobs: RunBlobs) -> None:
        self._folder = folder
        self._blobs = blobs
        self._given: list[Blob] = []
        self._taken: dict[str, Blob] = {}

    def wire(self, value: Value, takes_blobs: bool) -> bytes:
        """A value as it stands in a frame, its files put where the process finds them.

        Raises:
            BlobFault: A file cannot be handed over.
            Refused: There are raw bytes in it, and the node takes no blobs.
        """
        if isinstance(value, BlobValue):
            return self._wire_files(value, takes_blobs)
        data = value.data
        if takes_blobs and len(data) >= SPILL_BYTES:
            return encode(self._place(write([data])).reference())
        return escaped(data) if _MAY_BE_REFERENCE in data else data

    def _wire_files(self, value: BlobValue, takes_blobs: bool) -> bytes:
        if takes_blobs:
            for blob in value.blobs.values():
                self._place(blob)
            return encode(escape_blobs(_marked(value.brief(), value)))
        if value.has_raw:
            message = "its inputs hold bytes by reference, and it does not take blobs"
            raise Refused.of(4010, message, retryable=False)
        return escaped(value.data)

    def hand_over(self, data: bytes) -> None:
        """Let the process find the files that a context refers to."""
        if _MAY_BE_REFERENCE in data:
            for blob in self._blobs.named_in(orjson.loads(data)).values():
                self._place(blob)

    def _place(self, blob: Blob) -> Blob:
        self._folder.place(blob)
        self._given.append(blob)
        return blob

    def received(self, data: bytes, value: Any) -> Value:
        """A value that came in a frame; its files are taken out of the process's folder.

        Raises:
            BlobFault: A reference names no file that can be taken.
        """
        if _MAY_BE_REFERENCE not in data:
            found = Value.from_checked(data)
            found._shared = value
            return found
        files: dict[str, Blob] = {}
        plain = self._taking(value, files)
        return BlobValue(encode(plain), files) if files else Value(encode(plain))

    def _taking(self, value: Any, files: dict[str, Blob]) -> Any:
        if is_reference(value):
            blob = self._take(value["$blob"])
            files[blob.name] = blob
            return blob.reference()
        if isinstance(value, dict):
            return {unescape_key(key): self._taking(item, files) for key, item in value.items()}
        if isinstance(value, list):
            return [self._taking(item, files) for item in value]
        return value

    def _take(self, about: Mapping[str, Any]) -> Blob:
        name = about.get("path")
        if isinstance(name, str):
            known = self._taken.get(name) or self._folder.placed(name)
            if known is not None:
                return known
        blob = self._folder.take(about, self._blobs)
        self._taken[about["path"]] = blob
        return blob

    def release(self) -> None:
        """The call is over."""
        given, self._given = self._given, []
        for blob in given:
            self._folder.withdraw(blob.name)
        self._taken = {}


def escaped(data: bytes) -> bytes:
    """Checked bytes without references as they stand in a frame."""
    return encode(escape_blobs(orjson.loads(data)))


def _marked(value: Any, owner: BlobValue) -> Any:
    """A skeleton whose references are told from a user's own keys."""
    if owner.blob_of(value) is not None:
        return BlobRef(value)
    if isinstance(value, dict):
        return {key: _marked(item, owner) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, owner) for item in value]
    return value
