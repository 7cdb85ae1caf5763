"""One call in this process while it lasts: what its context leads to, and what it leaves lying about."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from nodeling.context import Context
from nodeling.errors import NodeError
from nodeling_runtime.blobs import Blob
from nodeling_runtime.dispatch.base import NodeCall
from nodeling_runtime.writable import writable

TALK = ("log", "progress")  # what a node says, in texts of its own


class LiveCall:
    """What one call leaves lying about until it has ended, and what its context leads to."""

    __slots__ = ("blobs", "call", "cancelled", "loop", "metrics", "thread", "work_dirs", "worker")

    def __init__(self, call: NodeCall) -> None:
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.blobs: list[Blob] = []  # written, and referred to by no value yet
        self.cancelled = False
        self.metrics: dict[str, float] = {}
        self.worker: str | None = None  # the thread, where there is one
        self.work_dirs: list[str] = []

    def context(self) -> Context:
        """What the node is given to look around."""
        call = self.call
        wanted = call.spec.manifest.env
        return Context(
            source=call.source,
            emit=self.emit,
            cancelled=self.is_cancelled,
            make_work_dir=self.make_work_dir,
            run_id=call.run_id,
            step=call.step,
            attempt=call.attempt,
            idempotency_key=call.idempotency_key,
            deadline=call.deadline,
            config=dict(call.config),
            secrets=call.secrets,
            env={name: os.environ[name] for name in wanted if name in os.environ} if wanted else None,
            open_blob=self.open_blob,
            write_blob=self.write_blob,
        )

    def is_cancelled(self) -> bool:
        """Whether it should end soon."""
        return self.cancelled

    def emit(self, kind: str, data: dict[str, Any]) -> None:
        """Tell what the node tells, from whatever thread."""
        if kind == "metric":
            self.metrics[str(data["name"])] = data["value"]
        elif kind in TALK:
            data = writable(data)
        if threading.get_ident() == self.thread:
            self.call.emit(kind, data)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the call was given up long ago
            self.loop.call_soon_threadsafe(self.call.emit, kind, data)

    def make_work_dir(self) -> Path:
        """A private folder, which goes when the call has ended."""
        import tempfile

        prefix = f"{os.path.basename(self.call.step) or 'call'}-"
        folder = tempfile.mkdtemp(prefix=prefix, dir=self.call.work_root())
        self.work_dirs.append(folder)
        return Path(folder)

    def open_blob(self, reference: Any) -> BinaryIO:
        """The bytes of a file of the run."""
        blob = self.call.blobs.named(reference)
        if blob is None:
            raise NodeError("this is no blob that this run has", code=4001, retryable=False)  # as in a worker
        return blob.open()

    def write_blob(self, pieces: Iterable[bytes], media_type: str) -> dict[str, Any]:
        """A new file of the run."""
        blob = self.call.blobs.write(pieces, media_type)
        self.blobs.append(blob)
        return blob.reference()

    def sweep(self) -> None:
        """The call has ended: its folders go."""
        import shutil  # for the few calls that had a folder

        for folder in self.work_dirs:
            shutil.rmtree(folder, ignore_errors=True)
