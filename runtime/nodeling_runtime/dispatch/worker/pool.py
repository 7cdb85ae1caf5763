"""The workers of one node in one environment: found, grown, replaced, held back after crashes.

Invariant: a call that waits is sent the moment a slot is free, or ends in an error; the first to come is the
first to go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from nodeling.protocol import FrameTooLarge
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
from nodeling_runtime.dispatch.exec_result import Refused, error_of
from nodeling_runtime.dispatch.worker.answer import Answer
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.channel import Worker
from nodeling_runtime.dispatch.worker.conversation import Open
from nodeling_runtime.dispatch.worker.embryo import Embryo
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.request import unsent
from nodeling_runtime.dispatch.worker.warden import Warden

_LOOK_AT_MEMORY_EVERY = 16  # calls


class Room(Protocol):
    """Whoever counts the workers of all pools."""

    warden: Warden
    bounds: Bounds

    def may_spawn(self) -> bool:
        """Whether one more process may be started, an idle one elsewhere being let go of for it."""

    def hatch(self, launch: Launch) -> Embryo | None:
        """The process that was started ahead for a launch, if there is one."""

    def spawned(self, worker: Worker) -> None:
        """A process was started."""

    def ended(self, worker: Worker) -> None:
        """Nothing is left of a process."""


class Refusal(Exception):
    """No worker is to be had."""

    def __init__(self, error: CallError) -> None:
        super().__init__(error.message)
        self.error = error


class Ticket:
    """A call that waits for a worker, and then for its answer."""

    __slots__ = ("answer", "call", "sent")

    def __init__(self, call: NodeCall, answer: Answer) -> None:
        self.call = call
        self.answer = answer
        self.sent: tuple[Worker, Open] | None = None


def hand_over(call: NodeCall, worker: Worker, answer: Answer) -> Open | None:
    """Send a call to a worker that has room. None when it cannot be sent: the answer says why."""
    if call.handed_over is not None:
        call.handed_over()
    try:
        return worker.send(call, answer)
    except (FrameTooLarge, BlobFault, Refused) as error:
        answer.set_result(Outcome(error=unsent(call, error)))
        return None


class Pool:
    """Workers that are alike."""

    def __init__(self, launch: Launch, room: Room, *, reuse: bool = True) -> None:
        self.launch = launch
        self.workers: list[Worker] = []
        self._room = room
        self._reuse = reuse
        bounds = room.bounds
        ends = (bounds.max_requests, bounds.max_age, bounds.max_rss_mb)
        self._wears = any(end is not None for end in ends)
        self._waiting: deque[Ticket] = deque()
        self._crashes: deque[float] = deque()
        self._last_error: CallError | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    # -- what the dispatcher asks

    def take(self) -> Worker | None:
        """A worker with room, now; the one used last is the warmest."""
        if self._waiting or not self._reuse:
            return None
        for worker in reversed(self.workers):
            if worker.has_room:
                return worker
        return None

    def queue(self, call: NodeCall) -> Ticket:
        """Have a call sent as soon as a worker has room.

        Raises:
            Refusal: None will be had.
        """
        self._refuse_quarantined()
        ticket = Ticket(call, Answer(asyncio.get_running_loop()))
        self._waiting.append(ticket)
        self.grow()
        return ticket

    def forget(self, ticket: Ticket) -> None:
        """A call that was not sent is not wanted any more."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)

    def unused(self, worker: Worker) -> None:
        """A call was not sent after all: its slot is somebody else's."""
        self._offer(worker)

    def is_wanted(self) -> bool:
        """Whether somebody waits here."""
        return bool(self._waiting)

    def warm(self) -> None:
        """Start one worker ahead of its first call."""
        if not self.workers and self._reuse and self._room.may_spawn():
            self._spawn()

    # -- growing

    def grow(self) -> None:
        """Start as many processes as there are callers waiting, within the bounds."""
        starting = sum(1 for worker in self.workers if worker.state == "starting")
        for _ in range(len(self._waiting) - starting):
            most = self.launch.concurrency
            if most is not None and len(self.workers) >= most:
                return
            if self._retry is not None or not self._room.may_spawn():
                return
            if not self._spawn():
                return

    def _spawn(self) -> bool:
        try:
            embryo = self._room.hatch(self.launch) if self._reuse else None
            worker = Worker(self.launch, self._room.warden, self, self._room.bounds, embryo)
        except OSError as error:
            what = f"{self.launch.name}: no worker could be started: {error.strerror or error}"
            self._fail_next(error_of(9001, what, started=False))
            return False
        self.workers.append(worker)
        self._room.spawned(worker)
        return True

    # -- what workers report

    def ready(self, worker: Worker) -> None:
        """A process has answered the handshake."""
        self._offer(worker)

    def freed(self, worker: Worker) -> None:
        """A call has ended."""
        if self._crashes:
            self._crashes.clear()
        if not self._reuse or (self._wears and self._is_worn(worker)):
            worker.drain()
        elif self._waiting:
            self._offer(worker)
        elif self._idle_timer is None and worker.is_idle:
            self._watch_idle()

    def lost(self, worker: Worker, error: CallError | None) -> None:
        """A process takes no more calls."""
        if worker in self.workers:
            self.workers.remove(worker)
        if error is not None:
            self._crashed(error)
            if worker.served == 0 and not worker.calls:
                self._fail_next(error)
        self.grow()

    def gone(self, worker: Worker) -> None:
        """Nothing is left of a process."""
        if worker in self.workers:
            self.workers.remove(worker)
        self._room.ended(worker)

    def _offer(self, worker: Worker) -> None:
        while self._waiting and worker.has_room:
            ticket = self._waiting.popleft()
            if ticket.answer.done():
                continue
            opened = hand_over(ticket.call, worker, ticket.answer)
            if opened is not None:
                ticket.sent = (worker, opened)
                if not self._reuse:
                    return
        if worker.is_idle:
            self._watch_idle()

    def _is_worn(self, worker: Worker) -> bool:
        bounds = self._room.bounds
        if bounds.max_requests is not None and worker.served >= bounds.max_requests:
            return True
        if bounds.max_age is not None and asyncio.get_running_loop().time() - worker.born > bounds.max_age:
            return True
        if bounds.max_rss_mb is None or worker.served % _LOOK_AT_MEMORY_EVERY:
            return False
        return worker.memory_mb() > bounds.max_rss_mb

    # -- after crashes

    def _crashed(self, error: CallError) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        bounds = self._room.bounds
        self._last_error = error
        self._crashes.append(now)
        while self._crashes and now - self._crashes[0] > bounds.crash_window:
            self._crashes.popleft()
        count = len(self._crashes)
        if count >= bounds.crashes:
            while self._waiting:
                self._fail_next(self._quarantine())
        elif count > 1 and self._retry is None:
            delay = min(bounds.longest_delay, bounds.first_delay * 2 ** (count - 2))
            self._retry = loop.call_later(delay, self._go_on)

    def _go_on(self) -> None:
        self._retry = None
        self.grow()

    def _refuse_quarantined(self) -> None:
        bounds = self._room.bounds
        if len(self._crashes) < bounds.crashes:
            return
        if asyncio.get_running_loop().time() - self._crashes[-1] <= bounds.crash_window:
            raise Refusal(self._quarantine())
        self._crashes.popleft()  # one try is allowed; its failure closes the door again

    def _quarantine(self) -> CallError:
        bounds, last = self._room.bounds, self._last_error
        message = (
            f"{self.launch.name} crashed {bounds.crashes} times in a row within {bounds.crash_window:g} s "
            f"and is not started again for as long; the last time: {last.message if last else '?'}"
        )
        details = {"quarantined": True, **(last.details if last else {})}
        return error_of(9001, message, started=False, details=details)

    def _fail_next(self, error: CallError) -> None:
        while self._waiting:
            answer = self._waiting.popleft().answer
            if not answer.done():
                answer.set_result(Outcome(error=error))
                return

    # -- idleness

    def _watch_idle(self) -> None:
        if self._idle_timer is None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._room.bounds.idle_ttl, self._retire_idle)

    def _retire_idle(self) -> None:
        self._idle_timer = None
        loop = asyncio.get_running_loop()
        ttl = self._room.bounds.idle_ttl
        left = []
        for worker in [worker for worker in self.workers if worker.is_idle]:
            rest = worker.idle_since + ttl - loop.time()
            if rest <= 0.001:
                worker.stop()
            else:
                left.append(rest)
        if left:
            self._idle_timer = loop.call_later(min(left), self._retire_idle)

    # -- from loop to loop

    def detach(self) -> None:
        """Let go of the loop; nobody waits and every worker is idle."""
        for timer in (self._retry, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._retry = self._idle_timer = None
        self._crashes.clear()
        for worker in self.workers:
            worker.detach(self._room.bounds.idle_ttl)

    def attach(self) -> None:
        """Go on on the running loop."""
        for worker in list(self.workers):
            worker.attach()
        if self.workers:
            self._watch_idle()
