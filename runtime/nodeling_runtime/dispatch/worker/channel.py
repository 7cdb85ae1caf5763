"""One worker: its process, its connection, the calls in it, and every way in which they end.

Invariant: each call's future is resolved exactly once, by a terminal frame or by the end of the
process, whichever is first; and when `gone` is resolved, nothing that the process started is left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Literal, Protocol

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
from nodeling_runtime.dispatch.exec_result import error_of
from nodeling_runtime.dispatch.process import Exit
from nodeling_runtime.dispatch.worker import ends
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.folders import WorkerFolders
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.log import GrowingRedactor, WorkerLog
from nodeling_runtime.dispatch.worker.pipes import WorkerPipes
from nodeling_runtime.dispatch.worker.request import call_error, config_of, context_of
from nodeling_runtime.dispatch.worker.warden import Warden
from nodeling_runtime.dispatch.worker.writer import FrameWriter
from nodeling_runtime.values import Value

FEATURES = ("cancel", "drain", "log", "ping", "progress", "stream")
MOST_EARLY_LINES = 256  # said while no call was open; the next call gets to hear them
META = {"progress": True, "stream": True}
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1048576
State = Literal["starting", "ready", "draining", "stopping", "dying", "gone"]


class Owner(Protocol):
    """Whoever keeps the worker: a pool."""

    def ready(self, worker: Worker) -> None:
        """It can take calls."""

    def freed(self, worker: Worker) -> None:
        """A call of it has ended."""

    def lost(self, worker: Worker, error: CallError | None) -> None:
        """It takes no calls any more; with an error it ended by itself."""

    def gone(self, worker: Worker) -> None:
        """Nothing is left of it."""


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


class Worker:
    """A process that serves calls of one node."""

    def __init__(self, launch: Launch, warden: Warden, owner: Owner, bounds: Bounds) -> None:
        self.launch = launch
        self.state: State = "starting"
        self.pid = 0
        self.served = 0
        self.reserved = 0  # slots promised to callers who have not sent yet
        self.idle_since = 0.0
        self.calls: dict[int, Open] = {}
        self.exit: Exit | None = None
        self._warden = warden
        self._owner = owner
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self._connection = HostConnection(channel=launch.channel, offered=FEATURES)
        self._redact = GrowingRedactor()
        self._stderr = WorkerLog(self._tell_oldest, self._redact)
        self._stdout = WorkerLog(self._tell_oldest, self._redact, "stdout")
        self._early: list[tuple[str, dict[str, Any]]] = []  # what was said while nobody had a call here
        self._doom: ends.Doom | None = None
        self._seen = False  # whether a frame came since the last look
        self._misses = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._folders = WorkerFolders()
        try:
            self._start()
        except BaseException:
            self._folders.remove()
            raise

    def _start(self) -> None:
        bounds = self._bounds
        self._pipes = pipes = WorkerPipes(self.launch.channel)
        try:
            self._id = self._warden.spawn(self.launch.start(self._folders, bounds), pipes.theirs, self)
        except BaseException:
            pipes.close()
            raise
        pipes.close_theirs()
        pipes.listen(self._receive, self._channel_ended, self._stderr.feed, self._stdout.feed)
        pipes.attach()
        self._writer = FrameWriter(
            pipes.take_writing_end(), bounds.write_timeout, lambda: self.kill(ends.DEAF), _leave_to_exit
        )
        self._writer.write(self._connection.hello(), at_once=True)
        self._arm("startup", bounds.startup, lambda: self.kill(ends.STARTUP))

    # -- what the pool asks

    @property
    def has_room(self) -> bool:
        """Whether a call may be sent now."""
        if self.state != "ready" or self._writer.size > self._bounds.write_budget:
            return False
        most = self._connection.max_concurrency
        if self.launch.concurrency is not None:
            most = min(most, self.launch.concurrency)
        return self._connection.inflight + self.reserved < most

    @property
    def is_idle(self) -> bool:
        """Whether it is ready and has nothing to do."""
        return (
            self.state == "ready" and not self.calls and not self.reserved and not self._connection.inflight
        )

    def memory_mb(self) -> float:
        """The resident memory of the process now; 0 where that cannot be read."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * _PAGE_MB
        except (OSError, IndexError):
            return 0.0

    def attach(self) -> None:
        """Go on on the running loop; a process that died meanwhile takes no calls."""
        self._loop = asyncio.get_running_loop()
        self.gone = self._loop.create_future()
        is_dead = self._pipes.has_hung_up
        self._pipes.attach()
        self._writer.attach()
        self._warden.park(self._id, None)
        self._arm_ping()
        if is_dead:
            self.kill(ends.SHUTDOWN)

    def detach(self, ttl: float) -> None:
        """Let go of the loop: an idle worker waits for the next one, at most so long."""
        self._disarm()
        self._pipes.detach()
        self._warden.park(self._id, ttl)

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

    async def end(self, opened: Open) -> None:
        """End a call for real: ask where that can be done, then kill. Bounded."""
        opened.is_abandoned = True
        if opened.id not in self.calls:
            return
        if opened.future.done():  # it was cancelled together with whoever awaited it
            opened.future = self._loop.create_future()
        frame = self._connection.cancel(opened.id, "user")
        if frame and self.state in ("ready", "draining"):
            self._writer.write(frame, at_once=True)
            await asyncio.wait({opened.future}, timeout=self._bounds.cancel_grace)
        if not opened.future.done() and any(not other.is_abandoned for other in self.calls.values()):
            self.drain()
            await asyncio.wait({opened.future}, timeout=self._bounds.drain_cap)
        if not opened.future.done():
            self.kill(ends.CANCELLED if len(self.calls) == 1 else ends.SIBLING)
            await asyncio.wait({self.gone}, timeout=self._bounds.gone)
        if not opened.future.done():
            self._answer(opened, Outcome(error=error_of(9006, f"{self.launch.name} does not die")))

    def _answer(self, opened: Open, outcome: Outcome) -> None:
        del self.calls[opened.id]
        self._folders.give_back(opened.work_dir)
        outcome.worker = f"pid {self.pid}"
        if not opened.future.done():
            opened.future.set_result(outcome)

    def _released(self) -> None:
        self.served += 1
        self.idle_since = self._loop.time()
        if self.state == "ready":
            self._owner.freed(self)
        elif self.state == "draining":
            self._drain_further()

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
        self._disarm("startup")
        self.idle_since = self._loop.time()
        if self.state == "starting":
            self.state = "ready"
            self._arm_ping()
            self._owner.ready(self)

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

    # -- silence

    def _arm_ping(self) -> None:
        if "ping" in self._connection.features:
            self._misses = 0
            self._arm("ping", self._bounds.ping_interval, self._look)

    def _look(self) -> None:
        bounds = self._bounds
        if self._seen:
            self._seen = False
            self._misses = 0
            self._arm("ping", bounds.ping_interval, self._look)
            return
        if self._misses >= bounds.ping_misses:
            self.kill(ends.SILENT)
            return
        self._misses += 1
        self._writer.write(self._connection.ping(), at_once=True)
        self._arm("ping", bounds.ping_timeout, self._look)

    # -- ends

    def drain(self) -> None:
        """Take no more calls, and go when those under way have ended."""
        if self.state not in ("starting", "ready"):
            return
        self.state = "draining"
        self._owner.lost(self, None)
        self._arm("drain", self._bounds.drain_cap, lambda: self.kill(ends.SIBLING))
        self._drain_further()

    def _drain_further(self) -> None:
        if not self.calls and not self._connection.inflight:
            self.stop()
        elif all(opened.is_abandoned for opened in self.calls.values()):
            self.kill(ends.CANCELLED)

    def stop(self) -> None:
        """Let an idle worker go in order: it is asked, its input ends, then TERM, then KILL."""
        if self.state in ("stopping", "dying", "gone"):
            return
        was_known = self.state == "draining"
        self.state = "stopping"
        self._disarm()
        if not was_known:
            self._owner.lost(self, None)
        frame = self._connection.shutdown(round(self._bounds.exit_grace * 1000))
        if frame:
            self._writer.write(frame, at_once=True)
        else:
            self._writer.close()
        self._arm("exit", self._bounds.exit_grace, self._terminate)

    def _terminate(self) -> None:
        self._writer.close()
        self._warden.terminate(self._id)
        self._arm("exit", self._bounds.kill_grace, lambda: self.kill(ends.SHUTDOWN))

    def kill(self, doom: ends.Doom) -> None:
        """SIGKILL to the process and all it started; its calls are answered when it is dead."""
        if self.state in ("dying", "gone"):
            return
        if self._doom is None:
            self._doom = doom
        was_known = self.state in ("draining", "stopping")
        self.state = "dying"
        self._disarm()
        self._warden.kill(self._id)
        if not was_known:
            self._owner.lost(self, None)

    def _channel_ended(self) -> None:
        if self.state in ("dying", "gone"):
            return
        # Only the warden can say how the process ended; that news is on its way, or there is none.
        self._arm("report", self._bounds.exit_report, self._lives_on)

    def _lives_on(self) -> None:
        if self.state == "stopping":
            return
        self.kill(ends.Doom(9004, "closed its channel and lived on, and was killed"))

    # -- what the warden reports

    def started(self, pid: int) -> None:
        """The process runs."""
        self.pid = pid

    def refused(self, error: OSError) -> None:
        """The process could not be started."""
        from nodeling_runtime.dispatch.exec_spawn import spawn_refusal

        refusal = spawn_refusal(error, self.launch.name, self.launch.program).error
        self._owner.lost(self, refusal)
        self.state = "dying"
        self._bury(lambda _: refusal)
        self.gone_for_good()

    def exited(self, exit: Exit, cause: str | None, tree_mb: float) -> None:
        """The process has ended: its open calls are answered with that."""
        self.exit = exit
        stage = "handshake" if self.state == "starting" or self._connection.state == "handshake" else "call"
        was = self.state
        if was == "ready" or was == "starting":
            self.state = "draining"  # what is still in the pipes is taken, and nothing is sent any more
        self._pipes.read_rest()
        self.state = "dying"
        self._stderr.finish()
        self._stdout.finish()
        lost = ends.Lost(
            self.launch.name,
            exit,
            cause,
            tree_mb,
            self._stderr.tail(),
            stage,
            self.launch.memory_mb,
            self._doom,
        )
        error = lost.error()
        if cause == "idle":
            self._owner.lost(self, None)
        elif was in ("ready", "starting") or (was == "dying" and stage == "handshake"):
            self._owner.lost(self, error)
        self._bury(lambda _: error)

    def gone_for_good(self) -> None:
        """Nothing that the process started is left."""
        self.state = "gone"
        self._folders.remove()
        if not self.gone.done():
            self.gone.set_result(None)
        self._owner.gone(self)

    def abandon(self) -> None:
        """The runtime ends, and no loop may be left to tell: let go of what is held here."""
        self.state = "gone"
        self._timers.clear()
        self._pipes.abandon()
        self._writer.abandon()
        self._folders.remove()

    def _bury(self, error_for: Callable[[Open], CallError]) -> None:
        self._disarm()
        self._connection.eof()
        for opened in list(self.calls.values()):
            self._answer(opened, Outcome(error=error_for(opened)))
        self._writer.close()
        self._pipes.close()

    # -- timers

    def _arm(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        self._disarm(name)
        self._timers[name] = self._loop.call_later(seconds, act)

    def _disarm(self, *names: str) -> None:
        for name in names or tuple(self._timers):
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()


def _leave_to_exit() -> None:
    """A broken pipe: the reader and the warden will say what became of the process."""


def _reserved(call: NodeCall, written: Any) -> CallError | None:
    for key in written:
        if call.source.reserved(key):
            message = f"{key!r} is a step's name; its output alone may stand there"
            return CallError("context.reserved", message, "NodelingError", False)
    return None


_HANDLERS: dict[type, Callable[[Worker, Any], None]] = {
    Output: Worker._on_output,
    Failed: Worker._on_failed,
    Released: Worker._on_released,
    Ready: Worker._on_ready,
    Refused: Worker._on_refused,
    Violation: Worker._on_violation,
    LogLine: Worker._on_log,
    Progress: Worker._on_progress,
    Chunk: Worker._on_chunk,
    StrayLine: Worker._on_stray,
    Pong: Worker._on_pong,
    Drained: Worker._on_drained,
}
