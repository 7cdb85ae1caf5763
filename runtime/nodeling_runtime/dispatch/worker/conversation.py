"""What is said between the host and one worker: calls out, outcomes, logs and chunks in.

Invariant: each call's future is resolved at most once here, and what a worker says is told to the call
it belongs to, or to the oldest that is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
from nodeling_runtime.dispatch.worker import ends
from nodeling_runtime.dispatch.worker.folders import WorkerFolders
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.log import GrowingRedactor, WorkerLog
from nodeling_runtime.dispatch.worker.pipes import WorkerPipes
from nodeling_runtime.dispatch.worker.request import call_error, config_of, context_of
from nodeling_runtime.dispatch.worker.writer import FrameWriter
from nodeling_runtime.values import Value

FEATURES = ("cancel", "drain", "log", "ping", "progress", "stream")
MOST_EARLY_LINES = 256  # said while no call was open; the next call gets to hear them
META = {"progress": True, "stream": True}
State = Literal["starting", "ready", "draining", "stopping", "dying", "gone"]


class Open:
    """A call that was sent."""

    __slots__ = ("call", "chunks", "future", "id", "is_abandoned", "work_dir")

    def __init__(self, id: int, call: NodeCall, work_dir: str, future: asyncio.Future[Outcome]) -> None:
        self.id = id
        self.call = call
        self.work_dir = work_dir
        self.future = future
        self.chunks: list[bytes] = []
        self.is_abandoned = False


class Conversation:
    """The calls of one worker. What becomes of its process is decided by who inherits."""

    _pipes: WorkerPipes
    _writer: FrameWriter

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.state: State = "starting"
        self.pid = 0
        self.calls: dict[int, Open] = {}
        self._loop = asyncio.get_running_loop()
        self._connection = HostConnection(channel=launch.channel, offered=FEATURES)
        self._redact = GrowingRedactor()
        self._stderr = WorkerLog(self._tell_oldest, self._redact)
        self._stdout = WorkerLog(self._tell_oldest, self._redact, "stdout")
        self._early: list[tuple[str, dict[str, Any]]] = []  # what was said while nobody had a call here
        self._seen = False  # whether a frame came since the last look
        self._misses = 0
        self._folders = WorkerFolders()

    def kill(self, doom: ends.Doom) -> None:
        """End the process."""
        raise TypeError(f"{type(self).__name__} does not define `kill`")

    def drain(self) -> None:
        """Take no more calls."""
        raise TypeError(f"{type(self).__name__} does not define `drain`")

    def _greeted(self) -> None:
        raise TypeError(f"{type(self).__name__} does not define `_greeted`")

    def _released(self) -> None:
        raise TypeError(f"{type(self).__name__} does not define `_released`")

    # -- calls

    def send(self, call: NodeCall) -> Open:
        """Hand a call over; `has_room` must hold.

        Raises:
            FrameTooLarge: It does not fit into a frame; nothing was sent.
        """
        work_dir = self._folders.take_work()
        if call.secrets:
            self._redact.learn(call.secrets)
        try:
            id, frame = self._connection.invoke(
                call.spec.name,
                call.inputs.data,
                config=config_of(call),
                secrets=call.secrets,
                context=context_of(call, work_dir),
                deadline_ms=None if call.deadline is None else round(call.deadline * 1000),
                meta=META,
            )
        except BaseException:
            self._folders.give_back(work_dir)
            raise
        opened = self.calls[id] = Open(id, call, work_dir, self._loop.create_future())
        if self._early:
            early, self._early = self._early, []
            for kind, body in early:
                call.emit(kind, body)
        self._writer.write(frame, at_once=len(self.calls) == 1)
        return opened

    def _answer(self, opened: Open, outcome: Outcome) -> None:
        del self.calls[opened.id]
        self._folders.give_back(opened.work_dir)
        outcome.worker = f"pid {self.pid}"
        if not opened.future.done():
            opened.future.set_result(outcome)

    # -- what comes in

    def _receive(self, data: bytes) -> None:
        self._seen = True
        for event in self._connection.receive(data):
            if self.state == "dying":
                return
            _HANDLERS[type(event)](self, event)

    def _on_output(self, event: Output) -> None:
        self._pipes.read_logs()
        opened = self.calls[event.id]
        value = Value.from_checked(event.data)
        value._shared = event.value
        if event.is_assembled:
            value = Value.from_checked(b"[" + b",".join(opened.chunks) + b"]")
        error = _reserved(opened.call, event.vars)
        outcome = Outcome(None if error else value, error, event.vars, metrics=event.metrics)
        self._answer(opened, outcome)
        self._released()

    def _on_failed(self, event: Failed) -> None:
        self._pipes.read_logs()
        self._answer(self.calls[event.id], Outcome(error=call_error(event.error)))
        if event.is_released:
            self._released()
        elif self.calls:
            self.drain()
        else:
            self.kill(ends.violation(event.error.message))

    def _on_released(self, _event: Released) -> None:
        self._released()

    def _on_ready(self, _event: Ready) -> None:
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
        body: dict[str, Any] = {"level": event.level, "message": self._redact(event.message)}
        if event.data is not None:
            body["data"] = event.data
        if event.id is None:
            self._tell_oldest("log", body)
        else:
            self.calls[event.id].call.emit("log", body)

    def _on_progress(self, event: Progress) -> None:
        body = {"progress": event.progress, "total": event.total, "message": event.message}
        self.calls[event.id].call.emit("progress", body)

    def _on_chunk(self, event: Chunk) -> None:
        opened = self.calls[event.id]
        opened.chunks.append(event.data)
        opened.call.emit("chunk", {"seq": event.seq, "data": event.value})

    def _on_stray(self, event: StrayLine) -> None:
        self._stdout.feed(event.text.encode() + b"\n")

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


def _reserved(call: NodeCall, written: Any) -> CallError | None:
    for key in written:
        if call.source.reserved(key):
            message = f"{key!r} is a step's name; its output alone may stand there"
            return CallError("context.reserved", message, "NodelingError", False)
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
