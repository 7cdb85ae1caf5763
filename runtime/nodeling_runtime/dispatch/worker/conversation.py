"""What is said between the host and one worker: calls out, outcomes, logs and chunks in.

Invariant: each call's future is resolved at most once here, and what a worker says is told to the call
it belongs to, or to the oldest that is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from nodeling.protocol import (
    Chunk,
    Drained,
    Failed,
    HostConnection,
    LogLine,
    Output,
    Pong,
    Progress,
    Ready,
    Refused,
    Released,
    StrayLine,
    Violation,
)
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
from nodeling_runtime.dispatch.worker import ends
from nodeling_runtime.dispatch.worker.answer import Answer
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.call_blobs import MARK, CallBlobs, is_plain
from nodeling_runtime.dispatch.worker.folders import WorkerFolders, WorkFolder
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.log import Flood, GrowingRedactor, WorkerLog
from nodeling_runtime.dispatch.worker.pipes import WorkerPipes
from nodeling_runtime.dispatch.worker.request import call_error, config_of, context_of
from nodeling_runtime.dispatch.worker.stream import Stream
from nodeling_runtime.dispatch.worker.writer import FrameWriter
from nodeling_runtime.values import Value

TIDY_EVERY = 64  # calls; a node may leave files that no result names
MOST_EARLY_LINES = 256  # said while no call was open; the next call gets to hear them
MOST_A_SECOND = 1000  # log frames of one worker
MOST_STRAYS = 1000  # lines on the channel that are no frames, in a minute, before somebody is told
STRAY_SECONDS = 60.0
PROGRESS_SECONDS = 0.1  # between two reports of one call's progress; the latest is never lost
State = Literal["starting", "ready", "draining", "stopping", "dying", "gone"]


class Open:
    """A call that was sent."""

    __slots__ = (
        "blobs",
        "call",
        "dropped",
        "future",
        "id",
        "is_abandoned",
        "progress",
        "progress_due",
        "refusal",
        "stream",
        "work_dir",
    )

    def __init__(
        self,
        id: int,
        call: NodeCall,
        work_dir: WorkFolder,
        blobs: CallBlobs | None,
        future: Answer,
    ) -> None:
        self.id = id
        self.call = call
        self.work_dir = work_dir
        self.blobs = blobs
        self.stream: Stream | None = None  # made with the first chunk
        self.future = future
        self.is_abandoned = False
        self.refusal: CallError | None = None  # why the host ended it, whatever the node says to that
        self.progress: dict[str, Any] | None = None  # the latest that was not told yet
        self.progress_due = 0.0
        self.dropped = 0

    def close_stream(self) -> None:
        """Nobody waits for its chunks any more."""
        if self.stream is not None:
            self.stream.close()

    def tell_progress(self) -> None:
        """Tell how far the call has come, if that is news."""
        body, self.progress = self.progress, None
        if body is not None:
            self.call.emit("progress", body)


class Conversation:
    """The calls of one worker. What becomes of its process is decided by who inherits."""

    _pipes: WorkerPipes
    _writer: FrameWriter
    served: int

    def __init__(self, launch: Launch, bounds: Bounds, folders: WorkerFolders | None = None) -> None:
        self.launch = launch
        self._bounds = bounds
        self._meta = {"progress": True, "stream": {"credit": bounds.credit}}
        self.state: State = "starting"
        self.pid = 0
        self.calls: dict[int, Open] = {}
        self._loop = asyncio.get_running_loop()
        self._connection = HostConnection(channel=launch.channel)
        self._redact = GrowingRedactor()
        self._stderr = WorkerLog(self._tell_oldest, self._redact)
        self._stdout = WorkerLog(self._tell_oldest, self._redact, "stdout")
        self._early: list[tuple[str, dict[str, Any]]] = []  # what was said while nobody had a call here
        self.is_greeted = False  # whether it has shown who it is
        self._seen = False  # whether a frame came since the last look
        self._may_have_logs = False
        self._misses = 0
        self._stray_since = 0.0
        self._strays = 0
        self._flood = Flood(MOST_A_SECOND)
        self._endings: set[asyncio.Task[None]] = set()
        self._due: list[tuple[Answer, Outcome]] | None = None  # of calls that ended in what is being read
        self._folders = folders or WorkerFolders()

    @property
    def pid(self) -> int:
        """The process; 0 before it is known."""
        return self._pid

    @pid.setter
    def pid(self, pid: int) -> None:
        self._pid, self._label = pid, f"pid {pid}"

    def kill(self, doom: ends.Doom) -> None:
        """End the process."""
        raise TypeError(f"{type(self).__name__} does not define `kill`")

    async def end(self, opened: Open) -> None:
        """End a call for real."""
        raise TypeError(f"{type(self).__name__} does not define `end`")

    def drain(self) -> None:
        """Take no more calls."""
        raise TypeError(f"{type(self).__name__} does not define `drain`")

    def _greeted(self) -> None:
        raise TypeError(f"{type(self).__name__} does not define `_greeted`")

    def _released(self) -> None:
        raise TypeError(f"{type(self).__name__} does not define `_released`")

    # -- calls

    def send(self, call: NodeCall, answer: Answer) -> Open:
        """Hand a call over; `has_room` must hold.

        Raises:
            FrameTooLarge: It does not fit into a frame; nothing was sent.
            BlobFault: A part of it that travels as a file cannot; nothing was sent.
            Refused: It holds what this node does not take; nothing was sent.
        """
        folders, connection, inputs = self._folders, self._connection, call.inputs
        work_dir = folders.take_work()
        blobs: CallBlobs | None = None
        if call.secrets:
            self._redact.learn(call.secrets)
        try:
            context = context_of(call, work_dir.path)
            if inputs.__class__ is Value and is_plain(inputs.data) and MARK not in context:
                data = inputs.data
            else:
                blobs = CallBlobs(folders.blobs, call.blobs)
                blobs.hand_over(context)
                data = blobs.wire(inputs, "blob" in connection.features)
            id, frame = connection.invoke(
                call.spec.manifest.name,
                data,
                config=config_of(call),
                secrets=call.secrets,
                context=context,
                deadline_ms=None if call.deadline is None else round(call.deadline * 1000),
                meta=self._meta,
            )
        except BaseException:
            if blobs is not None:
                blobs.release()
            folders.give_back(work_dir)
            raise
        opened = Open(id, call, work_dir, blobs, answer)
        is_alone = not self.calls
        self.calls[id] = opened
        if self._early:
            early, self._early = self._early, []
            for kind, body in early:
                call.emit(kind, body)
        self._writer.write(frame, at_once=is_alone)
        return opened

    def _answer(self, opened: Open, outcome: Outcome) -> None:
        del self.calls[opened.id]
        if opened.progress is not None:
            opened.tell_progress()
        self._folders.give_back(opened.work_dir)
        if opened.blobs is not None:
            opened.blobs.release()
        blobs = self._folders.blobs
        if outcome.error is not None or self.served % TIDY_EVERY == 0:
            blobs.is_littered = True
        if blobs.is_littered and not self.calls:
            blobs.tidy()
        outcome.worker = self._label
        if opened.dropped:
            dropped = outcome.metrics.get("dropped", 0) + opened.dropped
            outcome.metrics = {**outcome.metrics, "dropped": dropped}
        if opened.refusal is not None:
            outcome.output, outcome.error = None, opened.refusal
        stream = opened.stream
        if stream is None:
            self._resolve(opened, outcome)
        elif outcome.error is not None:
            stream.close()
            self._resolve(opened, outcome)
        else:
            stream.then(lambda: self._resolve(opened, _consumed(stream, outcome)))

    def _resolve(self, opened: Open, outcome: Outcome) -> None:
        due = self._due
        if due is not None:
            due.append((opened.future, outcome))
        elif not opened.future.done():
            opened.future.set_result(outcome)

    def _refuse(self, opened: Open, error: CallError) -> None:
        """End a call that broke a rule; its caller hears why when it is over."""
        if opened.refusal is None and not opened.is_abandoned:
            opened.refusal = error
            task = self._loop.create_task(self.end(opened))
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

    def _grant(self, id: int, n: int) -> None:
        frame = self._connection.credit(id, n)
        if frame and self.state in ("ready", "draining"):
            self._writer.write(frame, at_once=False)

    # -- what comes in

    def _hear(self, data: bytes) -> None:
        """Take what the loop has read; whose calls ended with it go on at once."""
        due: list[tuple[Answer, Outcome]] = []
        self._due = due
        try:
            self._receive(data)
        finally:
            self._due = None
            _wake(due)

    def _receive(self, data: bytes) -> None:
        self._seen = self._may_have_logs = True
        for event in self._connection.receive(data):
            if self.state == "dying":
                return
            _HANDLERS[event.__class__](self, event)

    def _read_logs(self) -> None:
        """Tell what was written for people before this answer, and before all that were read with it."""
        if self._may_have_logs:
            self._may_have_logs = False
            self._pipes.read_logs()

    def _on_output(self, event: Output) -> None:
        self._read_logs()
        id, data, found, written, _, metrics, is_assembled = event
        opened = self.calls[id]
        value: Value | None = None
        error = _reserved(opened.call, written) if written else None
        if is_assembled and opened.stream is not None:
            value = opened.stream.assembled()
        elif MARK in data:
            try:
                value = self._blobs_of(opened).received(data, found)
            except BlobFault as fault:
                error = _bad_blob(fault)
        else:
            value = Value(data)
            value._shared = found
        self._answer(opened, Outcome(None if error else value, error, written, metrics=metrics))
        self._released()

    def _blobs_of(self, opened: Open) -> CallBlobs:
        if opened.blobs is None:
            opened.blobs = CallBlobs(self._folders.blobs, opened.call.blobs)
        return opened.blobs

    def _on_failed(self, event: Failed) -> None:
        self._read_logs()
        self._answer(self.calls[event.id], Outcome(error=call_error(event.error)))
        if event.is_released:
            self._released()
        elif self.calls:
            self.drain()
        else:
            self.kill(ends.violation(event.error.message))

    def _on_released(self, _event: Released) -> None:
        self._released()

    def _on_ready(self, event: Ready) -> None:
        name = self.launch.name
        if event.name and event.name != name and name not in event.nodes:
            said = f"said that it is {event.name[:100]!r}, and its config.json says {name!r}; it was killed"
            self.kill(ends.Doom(9002, said, {"name": event.name[:100]}))
            return
        self.is_greeted = True
        self._greeted()

    def _on_refused(self, event: Refused) -> None:
        error = call_error(event.error)
        code = error.code if isinstance(error.code, int) else 9002
        self.kill(ends.Doom(code, f"was killed: {error.message}", error.details))

    def _on_violation(self, event: Violation) -> None:
        if event.is_fatal:
            self.kill(ends.violation(event.message))
        else:
            self._tell_oldest("log", {"level": "warning", "message": event.message})

    def _on_log(self, event: LogLine) -> None:
        if not self._flood.lets_pass():
            if event.id is not None:
                self.calls[event.id].dropped += 1
            return
        body: dict[str, Any] = {"level": event.level, "message": self._redact(event.message)}
        if event.data is not None:
            body["data"] = event.data
        if event.id is None:
            self._tell_oldest("log", body)
        else:
            self.calls[event.id].call.emit("log", body)

    def _on_progress(self, event: Progress) -> None:
        opened, now = self.calls[event.id], self._loop.time()
        opened.progress = {"progress": event.progress, "total": event.total, "message": event.message}
        if now >= opened.progress_due:
            opened.progress_due = now + PROGRESS_SECONDS
            opened.tell_progress()

    def _on_chunk(self, event: Chunk) -> None:
        opened = self.calls[event.id]
        if opened.is_abandoned or opened.refusal is not None:
            return  # it is drained, and that is all
        try:
            value = self._blobs_of(opened).received(event.data, event.value)
        except BlobFault as fault:
            self._refuse(opened, _bad_blob(fault))
            return
        opened.call.emit("chunk", {"number": event.seq, "data": value.brief()})
        stream = opened.stream
        if stream is None:
            stream = opened.stream = Stream(
                self._bounds.credit, opened.call.on_chunk, partial(self._grant, opened.id)
            )
        stream.add(value)
        most = self._bounds.max_stream_buffer
        if stream.size > most:
            message = f"{self.launch.name} gave more than the {most / 2**20:g} MiB of chunks that are kept"
            self._refuse(opened, CallError(4005, message, "PayloadTooLarge", retryable=False))

    def _on_stray(self, event: StrayLine) -> None:
        self._stdout.feed(event.text.encode() + b"\n")
        now = self._loop.time()
        if now - self._stray_since > STRAY_SECONDS:
            self._stray_since, self._strays = now, 0
        self._strays += 1
        if self._strays == MOST_STRAYS + 1:
            said = f"{self.launch.name} wrote more than {MOST_STRAYS} lines on its channel within a minute"
            hint = "stdout is the protocol's here: let it write to stderr"
            self._tell_oldest("log", {"level": "warning", "message": f"{said}; {hint}"})

    def _on_pong(self, _event: Pong) -> None:
        self._misses = 0

    def _on_drained(self, _event: Drained) -> None:
        self._writer.close()

    def _tell_oldest(self, kind: str, body: dict[str, Any]) -> None:
        for opened in self.calls.values():
            opened.call.emit(kind, body)
            return
        if len(self._early) < MOST_EARLY_LINES:
            self._early.append((kind, body))


def _consumed(stream: Stream, outcome: Outcome) -> Outcome:
    """The outcome of a call whose chunks somebody took: they have a say in it."""
    fault = stream.error
    if fault is not None and outcome.error is None:
        message = f"whoever took its chunks failed: {type(fault).__name__}: {fault}"
        outcome.output, outcome.error = None, CallError("internal", message, type(fault).__name__, False)
    return outcome


def _wake(due: list[tuple[Answer, Outcome]]) -> None:
    """Let callers go on, one after the other; one that ends the program keeps none of the others waiting."""
    rest = iter(due)
    try:
        for answer, outcome in rest:
            if not answer.done():  # one who went on before it may have cancelled it
                answer.wake(outcome)
    finally:
        for answer, outcome in rest:
            if not answer.done():
                answer.set_result(outcome)


def _bad_blob(fault: BlobFault) -> CallError:
    return CallError(4006, fault.message, "InvalidOutput", retryable=False)


def _reserved(call: NodeCall, written: Any) -> CallError | None:
    for key in written:
        if call.source.reserved(key):
            what = f"{key!r} is a step's name; its output alone may stand there"
            message = f"{what}; write under another key, or use set_var on the step"
            return CallError("context.reserved", message, "NodelingError")
    return None


_HANDLERS: dict[type, Callable[[Conversation, Any], None]] = {
    Output: Conversation._on_output,
    Failed: Conversation._on_failed,
    Released: Conversation._on_released,
    Ready: Conversation._on_ready,
    Refused: Conversation._on_refused,
    Violation: Conversation._on_violation,
    LogLine: Conversation._on_log,
    Progress: Conversation._on_progress,
    Chunk: Conversation._on_chunk,
    StrayLine: Conversation._on_stray,
    Pong: Conversation._on_pong,
    Drained: Conversation._on_drained,
}
