"""Pull-workers: tasks that take jobs one after the other until there is none left.

A job runs in its worker's own task, so a chain of steps needs one task and a container with a bound
of n needs n, however many children it has. A job that does not come back after it was told to end is
given up together with its worker; what that worker does later is looked at by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodeling_runtime.dispatch.base import CANCEL_GRACE_SECONDS

if TYPE_CHECKING:
    from nodeling_runtime.engine.gate import Gate
    from nodeling_runtime.engine.recorded import Ended

CLOCK_TOLERANCE_SECONDS = 1e-6  # a loop may call a timer by so much too early
TURN_SECONDS = 0.002  # jobs that never wait must not keep timers, cancellation and other workers waiting


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """A loop's clock, without the loop around it where it is the machine's."""
    machine = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
    return time.monotonic if machine else loop.time


class Slot:
    """A worker's timer: set for each job, and given to the loop only when none stands there in time.

    Most jobs end long before their time is up. The loop's timer of an earlier job is left standing then; when
    it goes off, what is due later is armed anew.
    """

    __slots__ = ("_due", "_handle", "_loop", "_ring")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._ring: Callable[[], None] | None = None

    def set(self, due: float, ring: Callable[[], None]) -> None:
        """Call `ring` at a time of the loop's clock, unless it is cleared before."""
        self._due, self._ring = due, ring
        if self._handle is not None and self._handle.when() > due:
            self._handle.cancel()
            self._handle = None
        if self._handle is None:
            self._handle = self._loop.call_at(due, self._turn)

    def clear(self) -> None:
        """Nothing is due any more."""
        self._due = self._ring = None

    def close(self) -> None:
        """Leave nothing with the loop."""
        self.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _turn(self) -> None:
        self._handle = None
        due, ring = self._due, self._ring
        if due is None or ring is None:
            return
        if self._loop.time() < due - CLOCK_TOLERANCE_SECONDS:
            self._handle = self._loop.call_at(due, self._turn)
        else:
            self.clear()
            ring()


class Job:
    """Something a worker runs. Ends exactly once, by `conclude`."""

    # Most jobs change few of these, so what each begins with is kept once.
    team: Team | None = None
    counted: Callable[[Any], None] | None = None  # called with the job when the work itself begins
    done = False
    ending: str | None = None
    generation = 0
    task: asyncio.Task[None] | None = None
    slot: Slot | None = None  # of the worker that is at it
    answer: Ended | None = None  # how it had ended before the run was resumed
    gate: Gate | None = None  # of a container that is resumed
    _interrupted = False
    _grace: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> bool:
        """Whether a worker has taken this job."""
        return self.generation > 0

    @property
    def unattended(self) -> bool:
        """No worker is at it: it was never taken, or waits for a fresh one after its worker was given up."""
        return self.task is None

    async def run(self) -> None:
        """Do the work and call `conclude`."""
        raise TypeError(f"{type(self).__name__} does not define `run`")

    def conclude_interrupted(self) -> None:
        """The work was cut short: conclude accordingly."""
        raise TypeError(f"{type(self).__name__} does not define `conclude_interrupted`")

    def conclude_broken(self, error: Exception) -> None:
        """The engine itself failed at this job: conclude with that, so that nobody waits for ever."""
        raise TypeError(f"{type(self).__name__} does not define `conclude_broken`") from error

    def may_go_on(self) -> bool:
        """Whether the work has leave to go on although it was told to end."""
        return False

    def gave_up(self) -> bool:
        """The work did not end within its grace. True when the job goes on with a fresh worker."""
        self.conclude_interrupted()
        return False

    def end(self, reason: str) -> None:
        """Ask the job to end, for good."""
        if self.done or self.ending is not None or self.answer is not None:
            return
        self.ending = reason
        if not self.unattended:
            self.interrupt()
        else:
            self.conclude_interrupted()
            if self.team is not None:
                self.team.settled(self)

    def hurry(self, reason: str) -> None:
        """Ask the job to end without cleaning up any further."""
        self.end(reason)

    def interrupt(self) -> None:
        """Cancel what the worker awaits; give both up when that does not help."""
        if self.task is None or self.done:
            return
        self._interrupted = True
        self.task.cancel()
        if self._grace is None:
            self._grant()

    def _grant(self) -> None:
        loop = asyncio.get_running_loop()
        self._grace = loop.call_later(CANCEL_GRACE_SECONDS, self._give_up, self.generation)

    def calm(self) -> None:
        """The interruption has arrived: take the cancellation back."""
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._interrupted and self.task is not None:
            self._interrupted = False
            while self.task.cancelling():
                self.task.uncancel()

    def _give_up(self, generation: int) -> None:
        if self.done or generation != self.generation or self.team is None:
            return
        if self.may_go_on():
            self._grant()
            return
        self._grace = None
        self._interrupted = False
        self.generation += 1
        self.task = None
        if self.slot is not None:
            self.slot.close()
            self.slot = None
        team = self.team
        team.workers -= 1
        team.leaked += 1
        if self.gave_up():
            team.resume(self)
        else:
            team.settled(self)
            team.wake()


class Team:
    """The workers of one scope or one pool."""

    def __init__(
        self, take: Callable[[], Job | None], settled: Callable[[Job], None], limit: int | None = None
    ) -> None:
        self.workers = 0
        self.leaked = 0
        self._take = take
        self._settled = settled
        self._limit = limit
        self._resumed: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0
        self._context = contextvars.copy_context()
        self._clock = clock_of(asyncio.get_running_loop())
        self._turned = self._clock()  # when the loop last turned, as far as is known

    @property
    def at_work(self) -> int:
        """How many workers have begun."""
        return self.workers - self._starting

    def settled(self, job: Job) -> None:
        """A job has ended."""
        self._settled(job)

    def resume(self, job: Job) -> None:
        """Go on with a job whose worker was given up."""
        self._resumed.append(job)
        self._spawn()

    def wake(self, waiting: int = 1) -> None:
        """See to it that so many waiting jobs have a worker each, as far as the limit goes."""
        for _ in range(waiting - self._starting):
            if self._limit is not None and self.workers >= self._limit:
                return
            self._spawn()

    def _spawn(self) -> None:
        self.workers += 1
        self._starting += 1
        task = asyncio.get_running_loop().create_task(self._work(), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a worker is a task")
        self._starting -= 1
        clock = self._clock
        slot = Slot()
        while True:
            job = self._resumed.popleft() if self._resumed else self._take()
            if job is None:
                break
            if job.done:  # it was ended while it waited, and counted then
                continue
            if not await self._do(job, task, slot):
                return
            self._settled(job)
            if self._is_stained():
                break
            if clock() - self._turned > TURN_SECONDS:
                await asyncio.sleep(0)
                self._turned = clock()
        slot.close()
        self.workers -= 1
        if job is not None:
            self.wake(self._starting + 1)

    def _is_stained(self) -> bool:
        """Whether a job left context variables changed: the next one gets a worker that knows none of it."""
        clean, now = self._context, contextvars.copy_context()
        return len(now) > 0 and any(clean.get(var, self) is not value for var, value in now.items())

    async def _do(self, job: Job, task: asyncio.Task[None], slot: Slot) -> bool:
        """Run a job to its end. False when it was given up meanwhile, and this worker with it."""
        job.team, job.task, job.slot = self, task, slot
        mine = job.generation = job.generation + 1
        try:
            await job.run()
        except asyncio.CancelledError:
            if mine == job.generation:
                job.conclude_interrupted()
        except Exception as error:
            if mine == job.generation:
                job.conclude_broken(error)
        if mine != job.generation:
            return False
        if job._interrupted or task.cancelling():
            await absorb(task)
            job.calm()
        job.task = job.slot = None
        return True


async def absorb(task: asyncio.Task[None]) -> None:
    """Let a cancellation that was sent but has not arrived do so here, where it harms nobody."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()
