"""Blobs of programs that know no protocol: files in a folder that the environment names.

A program is given values as they are, whatever their size, and raw bytes as references to files in its
folder. What it gives is a reference only where the folder holds such a file; nothing is escaped. Invariant: a
file that an output refers to is the host's before the folder goes.
"""

from __future__ import annotations

from typing import Any

import orjson

from nodeling.protocol_blobs import is_reference, names_file
from nodeling.values import encode
from nodeling_runtime.blob_values import BlobValue, RunBlobs
from nodeling_runtime.blobs import Blob, BlobFault
from nodeling_runtime.dispatch.base import NodeCall, Outcome
from nodeling_runtime.dispatch.blob_folder import BlobFolder
from nodeling_runtime.dispatch.exec_result import Refused, error_of

_MARK = b'"$blob":'


def hand_over(call: NodeCall, folder: BlobFolder) -> None:
    """Let the program find the bytes that its inputs refer to, and read the rest of them.

    Raises:
        Refused: They cannot be read or handed over.
    """
    inputs = call.inputs
    if not isinstance(inputs, BlobValue):
        return
    try:
        inputs.shared()
        for blob in inputs.blobs.values():
            if blob.encoding == "raw":
                folder.place(blob)
    except BlobFault as fault:
        code = fault.code if isinstance(fault.code, int) else 4001
        raise Refused.of(code, f"{call.spec.name}: its inputs cannot be read: {fault.message}") from fault


def with_blobs(outcome: Outcome, folder: BlobFolder, blobs: RunBlobs) -> Outcome:
    """The outcome, what its output refers to taken out of the program's folder."""
    if outcome.output is None or _MARK not in outcome.output.data:
        return outcome
    files: dict[str, Blob] = {}
    taken: dict[str, Blob] = {}

    def taking(value: Any) -> Any:
        if is_reference(value):
            name = value["$blob"].get("path")
            blob = folder.placed(name) or taken.get(name) if isinstance(name, str) else None
            if blob is None and names_file(value, folder.path):
                blob = taken[name] = folder.take({"size": folder.size_of(name), **value["$blob"]}, blobs)
            if blob is not None:
                files[blob.name] = blob
                return blob.reference()
        if isinstance(value, dict):
            return {key: taking(item) for key, item in value.items()}
        return [taking(item) for item in value] if isinstance(value, list) else value

    try:
        found = taking(orjson.loads(outcome.output.data))
    except BlobFault as fault:
        outcome.output, outcome.error = None, error_of(4006, fault.message)
        return outcome
    if files:
        outcome.output = BlobValue(encode(found), files)
    return outcome
