"""What one call of a worker is given and gives by reference.

Invariant: what stands in a frame for a file of this host is in the process's folder as long as the call is
open, and what a frame says of the process's files is believed only after they were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from nodeling.protocol_blobs import BlobRef, escape_blobs, is_reference, unescape_key
from nodeling.values import encode
from nodeling_runtime.blob_values import SPILL_BYTES, BlobValue, RunBlobs
from nodeling_runtime.blobs import Blob, write
from nodeling_runtime.dispatch.blob_folder import BlobFolder
from nodeling_runtime.dispatch.exec_result import Refused
from nodeling_runtime.values import Value

MARK = b'blob":'  # where a file is named, or a key looks like that


def is_plain(data: bytes) -> bool:
    """Whether checked bytes stand in a frame as they are, whatever the node takes."""
    return len(data) < SPILL_BYTES and MARK not in data


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
        return escaped(data) if MARK in data else data

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
        if MARK in data:
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
        if MARK not in data:
            return Value.from_decoded(data, value)
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
