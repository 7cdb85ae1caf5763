"""One call of a node, from its request to its terminal frame.

Invariant: `result` or `failure` is asked for exactly once, whatever the node did, and what a call
says on its way (progress, logs, chunks) is said before.
"""

from __future__ import annotations

import os
import time

from nodeling._plain import InvalidValue
from nodeling.context import Context
from nodeling.errors import NodeError, NodelingError
from nodeling.protocol_blobs import (
    BlobError,
    blobs_in,
    escape_blobs,
    names_file,
    open_blob,
    put_aside,
    resolve_blobs,
    write_blob,
)
from nodeling.values import decode, encode
from nodeling.worker_context import SentSource
from nodeling.worker_failure import Mask, failure_of

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    import asyncio
    import threading
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any, BinaryIO

    from nodeling.protocol_node import Invoke
    from nodeling.worker import Worker

__all__ = ["Call", "CallCancelled", "NotLoaded", "NotStarted"]

_MARK = b'blob":'  # in whatever may hold a reference, or a key that looks like one
PROGRESS_SECONDS = 0.1  # at most ten a second for each call
LOGS_A_SECOND = 1000
LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}
CANCELLED = -32800


class CallCancelled(BaseException):
    """Ends a generator that was asked to end; no node catches it by accident."""


class Call:
    """What one call needs while it runs; what most calls never need is made when it is."""

    is_cancelled = False
    streams = False
    credit: int | None = None
    chunks = 0
    context: Context | None = None
    _waiter: asyncio.Future[None] | None = None  # an async handler's, for credit
    _granted: threading.Condition | None = None
    _mask: Mask | None = None
    _progress_due = 0.0
    _progress: dict[str, Any] | None = None
    _log_window = 0.0
    _logs = 0
    _dropped = 0
    _folder: str | None = None
    _metrics: dict[str, float] | None = None

    def __init__(self, worker: Worker, invoke: Invoke) -> None:
        self.worker = worker
        self.invoke = invoke
        self.id = invoke.id
        if worker.may_stream:
            stream = invoke.meta.get("stream")
            self.streams = type(stream) is dict or stream is True
            if worker.may_wait_for_credit and type(stream) is dict:
                self.credit = stream.get("credit")
                if not worker.is_serial:  # which reads on by itself
                    import threading

                    self._granted = threading.Condition()

    @property
    def mask(self) -> Mask:
        """What hides the secrets of this call."""
        found = self._mask
        if found is None:
            found = self._mask = Mask(self.invoke.secrets.values())
        return found

    # --- Before and after the node ----------------------------------------------------------------

    def begin(self) -> tuple[Context, Any]:
        """The context and the inputs; or an exception that ends the call before the node ran."""
        invoke, worker = self.invoke, self.worker
        if self.is_cancelled:
            raise CallCancelled
        if invoke.deadline_ms is not None and invoke.deadline_ms <= time.time() * 1000:
            raise NotStarted(5004, "the deadline had passed when the call arrived")
        if worker.name and invoke.node and invoke.node != worker.name:
            raise NotStarted(4004, f"this process runs {worker.name!r}, not {invoke.node[:200]!r}")
        inputs = resolve_blobs(invoke.input, worker.blob_dir) if invoke.may_hold_blobs else invoke.input
        context = self.context = Context._put_off(self._told)
        return context, inputs

    def _told(self) -> dict[str, Any]:
        """What the context is made of."""
        invoke, worker = self.invoke, self.worker
        sent = invoke.context
        return {
            "source": SentSource(sent, worker.reads),
            "emit": self.emit,
            "cancelled": self._is_asked_to_end,
            "make_work_dir": self._work_dir,
            "run_id": str(sent.get("run_id", "")),
            "step": str(sent.get("step", "")),
            "attempt": sent.get("attempt", 1),
            "idempotency_key": str(sent.get("idempotency_key", "")),
            "deadline": None if invoke.deadline_ms is None else invoke.deadline_ms / 1000,
            "config": invoke.config,
            "secrets": invoke.secrets,
            "env": {name: os.environ[name] for name in worker.env if name in os.environ},
            "open_blob": self._open_blob,
            "write_blob": self._write_blob,
        }

    def _is_asked_to_end(self) -> bool:
        return self.is_cancelled

    def result(self, output: Any) -> Callable[[], bytes]:
        """What makes the terminal frame of a call that returned; to be called under the lock."""
        if self.is_cancelled:
            raise CallCancelled
        data = self.checked(output)
        context, connection = self.context, self.worker.connection
        if self._progress is not None:
            self._flush_progress()
        is_plain = not (self.chunks or self._metrics or self._dropped)
        if is_plain and (context is None or context._make_up is not None or not context._delta):
            return lambda: connection.result(self.id, data)
        written = {} if context is None else dict(context._delta)
        for key, value in written.items():
            if value is not None and _MARK in value and self._holds_blob(decode(value)):
                raise NodelingError(
                    f"a blob cannot stand in the context variable {key!r}",
                    code="context.blob",
                    hint="return it, in the node's output",
                )
        metrics = self._metrics or {}
        if self._dropped:
            metrics = {**metrics, "dropped": self._dropped}
        return lambda: connection.result(self.id, data, vars=written, chunks=self.chunks, metrics=metrics)

    def failure(self, error: BaseException) -> Callable[[], bytes]:
        """What makes the terminal frame of a call that raised; to be called under the lock."""
        connection = self.worker.connection
        if self.is_cancelled or isinstance(error, CallCancelled):
            said: dict[str, Any] = {
                "code": CANCELLED,
                "message": "cancelled",
                "type": "Cancelled",
                "retryable": False,
            }
            said["started"] = self.context is not None
        elif isinstance(error, NotStarted):
            said = {"code": error.code, "message": error.message, "started": False}
        elif isinstance(error, NotLoaded):
            said = failure_of(error.reason or error, is_loaded=False)
        else:
            said = failure_of(error)
        said["message"] = self.mask.text(said["message"])
        for name in ("details", "traceback", "cause"):
            if said.get(name):
                said[name] = self.mask.value(said[name])
        self._flush_progress()
        return lambda: connection.error(self.id, **said)

    def end(self) -> None:
        """Remove what the call left lying about."""
        if self._folder is not None:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)

    def checked(self, value: Any) -> bytes:
        """A value as the bytes that travel, put into a blob when it is large."""
        data = encode(value)
        limit = self.worker.spill_bytes
        if len(data) < limit and _MARK not in data:
            return data
        folder = self._blob_dir
        if _MARK in data:
            found = decode(data)
            if folder is None:
                return encode(escape_blobs(found))
        elif folder is None or len(data) < limit:
            return data
        try:
            return encode(put_aside(found, folder, limit) if _MARK in data else write_blob(folder, data))
        except OSError as error:
            what = f"a value of {len(data)} bytes cannot be put aside: {error.strerror}"
            raise NodeError(what, code=4005, retryable=False) from error

    # --- While it runs ----------------------------------------------------------------------------

    def emit(self, kind: str, data: dict[str, Any]) -> None:
        """What `ctx` tells on the way."""
        if kind == "metric":
            if self._metrics is None:
                self._metrics = {}
            self._metrics[str(data["name"])] = data["value"]
        elif kind == "log":
            self._log(data)
        elif kind == "progress" and self.invoke.meta.get("progress"):
            self._progress = data
            if time.monotonic() >= self._progress_due:
                self._flush_progress()
        elif kind == "end_scope":
            raise NodeError("a scope is ended from the runtime's own process", code=4010, retryable=False)

    def chunk(self, value: Any) -> None:
        """Send one part of the output; wait first until the host grants it.

        Raises:
            CallCancelled: The call was asked to end.
        """
        if self.is_cancelled:
            raise CallCancelled
        data = self.checked(value)
        if self.credit is not None and self.chunks >= self.credit:
            self.worker.await_credit(self)
        self._send_chunk(data)

    async def chunk_async(self, value: Any) -> None:
        """The same without holding up the loop."""
        import asyncio

        data = self.checked(value)
        while self.credit is not None and self.chunks >= self.credit:
            self._waiter = asyncio.get_running_loop().create_future()
            if self.chunks >= self.credit:  # nothing was granted before whoever grants could see the waiter
                await self._waiter
        self._send_chunk(data)

    def grant(self, n: int) -> None:
        """The host lets `n` more chunks come."""
        if self.credit is not None:
            self.credit += n
        if self._granted is not None:
            with self._granted:
                self._granted.notify_all()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    def cancel(self) -> None:
        """The host asks the call to end."""
        self.is_cancelled = True
        self.grant(0)

    def wait_for_credit(self) -> None:
        """Block this thread until a chunk may be sent or the call shall end."""
        if self._granted is None:
            return
        with self._granted:
            while self.credit is not None and self.chunks >= self.credit and not self.is_cancelled:
                self._granted.wait()
        if self.is_cancelled:
            raise CallCancelled

    def _send_chunk(self, data: bytes) -> None:
        seq = self.chunks
        try:
            self.worker.say(lambda: self.worker.connection.chunk(self.id, seq, data))
        except ValueError as error:
            raise NodeError(str(error), code=4005, retryable=False) from error
        self.chunks = seq + 1

    def _log(self, data: dict[str, Any]) -> None:
        level = data.get("level", "info")
        wanted = self.invoke.meta.get("log_level", self.worker.log_level)
        if LEVELS.get(level, 1) < LEVELS.get(wanted, 1):
            return
        now = time.monotonic()
        if now - self._log_window >= 1:
            self._log_window, self._logs = now, 0
        self._logs += 1
        if self._logs > LOGS_A_SECOND:
            self._dropped += 1
            return
        message, more = self.mask.text(str(data["message"])), self.mask.value(data.get("data"))
        try:
            encode([message, more])
        except InvalidValue:
            more = self.mask.text(repr(more)[:1000])
            message, more = (_clean(message), _clean(more))
        self.worker.say(lambda: self.worker.connection.log(self.id, level, message, more))

    def _flush_progress(self) -> None:
        data, self._progress = self._progress, None
        if data is None:
            return
        self._progress_due = time.monotonic() + PROGRESS_SECONDS
        done, total, message = data["progress"], data["total"], data["message"]
        text = None if message is None else _clean(self.mask.text(str(message)))
        try:
            encode([done, total])
        except InvalidValue:
            self._dropped += 1
            return
        self.worker.say(lambda: self.worker.connection.progress(self.id, done, total, text))

    def _work_dir(self) -> Path:
        from pathlib import Path

        given = self.invoke.context.get("work_dir")
        if isinstance(given, str) and given:
            os.makedirs(given, mode=0o700, exist_ok=True)
            return Path(given)
        import tempfile  # with shutil it takes longer to load than a short call takes to run

        self._folder = tempfile.mkdtemp(prefix="call-")
        return Path(self._folder)

    @property
    def _blob_dir(self) -> str | None:
        """Where blobs go, when the host takes any."""
        return self.worker.blob_dir if "blob" in self.worker.connection.features else None

    def _open_blob(self, reference: Any) -> BinaryIO:
        if self.worker.blob_dir is None:
            raise BlobError("the host named no blob folder")
        return open_blob(self.worker.blob_dir, reference)

    def _write_blob(self, pieces: Iterable[bytes], media_type: str) -> dict[str, Any]:
        folder = self._blob_dir
        if folder is None:
            raise NodelingError("the host of this node takes no blobs", code="context.no_blobs")
        return write_blob(folder, pieces, media_type=media_type, encoding="raw")

    def _holds_blob(self, value: Any) -> bool:
        return any(names_file({"$blob": about}, self._blob_dir) for about in blobs_in(value))


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class NotLoaded(Exception):
    """The node's code did not load; `reason` is what it raised."""

    def __init__(self, reason: BaseException | None) -> None:
        super().__init__(str(reason))
        self.reason = reason


class NotStarted(Exception):
    """The call is refused before the node sees it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
