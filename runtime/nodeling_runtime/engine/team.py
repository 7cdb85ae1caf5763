"""Pull-workers: tasks that take jobs one after the other until there is none left.

A job runs in its worker's own task, so a chain of steps needs one task and a container with a bound
of n needs n, however many children it has. A job that does not come back after it was told to end is
given up together with its worker; what that worker does later is looked at by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nodeling_runtime.dispatch.base import CANCEL_GRACE_SECONDS
from nodeling_runtime.engine.turns import TURN_SECONDS, clock_of, turns_of

if TYPE_CHECKING:
    from nodeling_runtime.engine.gate import Gate
    from nodeling_runtime.engine.recorded import Ended

CLOCK_TOLERANCE_SECONDS = 1e-6  # a loop may call a timer by so much too early
NEVER = float("inf")


class Slot:
    """A worker's timer: set for each job, and given to the loop only when none stands there in time.

    Most jobs end long before their time is up. The loop's timer of an earlier job is left standing then; when
    it goes off, what is due later is armed anew.
    """

    __slots__ = ("_handle", "_job", "_loop", "_rings_at", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.due: float | None = None  # who sets this to None clears the timer
        self._loop = loop
        self._job: Job | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._rings_at = NEVER

    def set(self, due: float, job: Job) -> None:
        """Let the job ring at a time of the loop's clock, unless this is cleared before."""
        self.due, self._job = due, job
        if due < self._rings_at:
            if self._handle is not None:
                self._handle.cancel()
            self._arm(due)

    def close(self) -> None:
        """Leave nothing with the loop."""
        self.due = self._job = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._rings_at = None, NEVER

    def _arm(self, due: float) -> None:
        self._handle, self._rings_at = self._loop.call_at(due, self._turn), due

    def _turn(self) -> None:
        self._handle, self._rings_at = None, NEVER
        due, job = self.due, self._job
        if due is None or job is None:
            return
        if self._loop.time() < due - CLOCK_TOLERANCE_SECONDS:
            self._arm(due)
        else:
            self.due = self._job = None
            job.ring()


class Job:
    """Something a worker runs. Ends exactly once, by `conclude`."""

    # Few jobs change these, so what each begins with is kept once.
    team: Team | None = None
    counted: Callable[[Any], None] | None = None  # called with the job when the work itself begins
    answer: Ended | None = None  # how it had ended before the run was resumed
    gate: Gate | None = None  # of a container that is resumed
    _grace: asyncio.TimerHandle | None = None

    def __init__(self) -> None:
        # Every job is asked for these more than once: what is found on the job itself is found soonest.
        self.done = False
        self.ending: str | None = None
        self.generation = 0
        self.task: asyncio.Task[None] | None = None
        self.slot: Slot | None = None  # of the worker that is at it
        self._interrupted = False

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

    def ring(self) -> None:
        """The time is over that the job has set its slot's timer to."""
        raise TypeError(f"{type(self).__name__} does not define `ring`")

    def cut_off(self, error: BaseException, generation: int) -> None:
        """The work ended by an exception, which is no affair of a generation that was given up."""
        if generation != self.generation:
            return
        if isinstance(error, Exception):
            self.conclude_broken(error)
        else:
            self.conclude_interrupted()

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
        self, take: Callable[[], Job | None], settled: Callable[[Job], object], limit: int | None = None
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

    def settled(self, job: Job) -> None:
        """A job has ended."""
        self._settled(job)

    def resume(self, job: Job) -> None:
        """Go on with a job whose worker was given up."""
        self._resumed.append(job)
        self._spawn()

    def grow(self) -> None:
        """Have as many more workers on their way as have begun, as far as the limit goes."""
        begun = self.workers - self._starting
        if begun > self._starting:
            self.wake(begun)

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
        take, settled, resumed = self._take, self._settled, self._resumed
        variables = contextvars.copy_context
        loop = asyncio.get_running_loop()
        clock, turns = clock_of(loop), turns_of(loop)
        task, slot = asyncio.current_task(loop), Slot(loop)
        self._starting -= 1
        while True:
            job = resumed.popleft() if resumed else take()
            if job is None:
                break
            if job.done:  # it was ended while it waited, and counted then
                continue
            job.team, job.task, job.slot = self, task, slot
            mine = job.generation = job.generation + 1
            try:
                await job.run()
            except (asyncio.CancelledError, Exception) as error:
                job.cut_off(error, mine)
            if mine != job.generation:
                return  # the job was given up meanwhile, and this worker with it
            if job._interrupted or task.cancelling():  # type: ignore[union-attr]  # this is a task
                await absorb(task)  # type: ignore[arg-type]
                job.calm()
            job.task = job.slot = None
            settled(job)
            if len(now := variables()) and self._is_stained(now):
                break
            if clock() - turns.last > TURN_SECONDS:
                await turns.pause(loop)
        slot.close()
        self.workers -= 1
        if job is not None:
            self.wake(self._starting + 1)

    def _is_stained(self, now: contextvars.Context) -> bool:
        """Whether a job left context variables changed: the next one gets a worker that knows none of it."""
        clean = self._context
        return any(clean.get(var, self) is not value for var, value in now.items())


async def absorb(task: asyncio.Task[None]) -> None:
    """Let a cancellation that was sent but has not arrived do so here, where it harms nobody."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()
