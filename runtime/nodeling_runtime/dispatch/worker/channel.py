"""One worker: its process, from its start through every way in which it and its calls end.

Invariant: each call's future is resolved exactly once, by a terminal frame or by the end of the
process, whichever is first; and when `gone` is resolved, nothing that the process started is left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.dispatch.exec_result import error_of
from nodeling_runtime.dispatch.process import Exit
from nodeling_runtime.dispatch.worker import ends
from nodeling_runtime.dispatch.worker.answer import Answer
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.conversation import Conversation, Open
from nodeling_runtime.dispatch.worker.embryo import Embryo
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.pipes import WorkerPipes
from nodeling_runtime.dispatch.worker.warden import Warden
from nodeling_runtime.dispatch.worker.writer import FrameWriter

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1048576


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


class Worker(Conversation):
    """A process that serves calls of one node."""

    def __init__(
        self, launch: Launch, warden: Warden, owner: Owner, bounds: Bounds, embryo: Embryo | None = None
    ) -> None:
        super().__init__(launch, bounds, None if embryo is None else embryo.folders)
        self.served = 0
        self.idle_since = 0.0
        self._most = 0  # calls at once
        self.born = self._loop.time()
        self.exit: Exit | None = None
        self._warden = warden
        self._owner = owner
        self._doom: ends.Doom | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.gone: asyncio.Future[None] = self._loop.create_future()
        try:
            self._start(embryo)
        except BaseException:
            self._folders.remove()
            raise

    def _start(self, embryo: Embryo | None) -> None:
        bounds = self._bounds
        if embryo is None:
            self._pipes = pipes = WorkerPipes(self.launch.channel)
            try:
                self._id = self._warden.spawn(self.launch.start(self._folders, bounds), pipes.theirs, self)
            except BaseException:
                pipes.close()
                raise
            pipes.close_theirs()
        else:
            self._pipes = pipes = embryo.pipes
            self._id, self.pid = embryo.id, embryo.pid
            self._warden.hand_over(self._id, self)
        pipes.listen(self._hear, self._channel_ended, self._stderr.feed, self._stdout.feed)
        pipes.attach()
        self._writer = FrameWriter(
            pipes.take_writing_end(), bounds.write_timeout, lambda: self.kill(ends.DEAF), _leave_to_exit
        )
        hello = self._connection.hello(blob_dir=self._folders.blobs.path, log_level="debug")  # as in process
        self._writer.write(hello, at_once=True)
        self._arm("startup", bounds.startup, lambda: self.kill(ends.STARTUP))

    # -- what the pool asks

    @property
    def has_room(self) -> bool:
        """Whether a call may be sent now."""
        return (
            self.state == "ready"
            and self._connection.inflight < self._most
            and self._writer.size <= self._bounds.write_budget
        )

    @property
    def is_idle(self) -> bool:
        """Whether it is ready and has nothing to do."""
        return self.state == "ready" and not self.calls and not self._connection.inflight

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

    async def end(self, opened: Open) -> None:
        """End a call for real: ask where that can be done, then kill. Bounded."""
        opened.is_abandoned = True
        opened.close_stream()
        if opened.id not in self.calls:
            return
        if opened.future.done():  # it was cancelled together with whoever awaited it
            opened.future = Answer(self._loop)
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

    def _released(self) -> None:
        self.served += 1
        if not self.calls:
            self.idle_since = self._loop.time()
        if self.state == "ready":
            self._owner.freed(self)
        elif self.state == "draining":
            self._drain_further()

    def _greeted(self) -> None:
        self._disarm("startup")
        self.idle_since = self._loop.time()
        most, wanted = self._connection.max_concurrency, self.launch.concurrency
        self._most = most if wanted is None else min(most, wanted)
        if self.state == "starting":
            self.state = "ready"
            self._arm_ping()
            self._owner.ready(self)

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

    def exited(self, exit: Exit, cause: str | None, measured: float) -> None:
        """The process has ended: its open calls are answered with that."""
        self.exit = exit
        stage = "call" if self.is_greeted else "handshake"
        was = self.state
        if was == "ready" or was == "starting":
            self.state = "draining"  # what is still in the pipes is taken, and nothing is sent any more
        self._pipes.read_rest(self._receive)
        self.state = "dying"
        self._stderr.finish()
        self._stdout.finish()
        lost = ends.Lost(
            self.launch.name,
            exit,
            cause,
            measured,
            self._stderr.tail(),
            stage,
            self.launch.caps(self._bounds),
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
