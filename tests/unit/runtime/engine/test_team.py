"""Teams of pull-workers: what becomes of a job that does not end, and of its worker."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable

from nodeling_runtime.dispatch.base import CANCEL_GRACE_SECONDS
from nodeling_runtime.engine.team import Job, Team
from nodeling_runtime.engine.turns import TURN_SECONDS
from virtual_time import VirtualLoop, run_on, run_virtual


class Task(Job):
    """A job that runs a function and keeps a diary."""

    def __init__(self, work: Callable[[Task], Awaitable[None]], *, again: bool = False) -> None:
        super().__init__()
        self.work = work
        self.again = again
        self.runs = 0
        self.ends: list[str] = []

    async def run(self) -> None:
        self.runs += 1
        mine = self.generation
        await self.work(self)
        if mine == self.generation:
            self._conclude("done")

    def conclude_interrupted(self) -> None:
        self._conclude("interrupted")

    def conclude_broken(self, error: Exception) -> None:
        self._conclude(f"broken by {error!r}")

    def gave_up(self) -> bool:
        if self.again and self.ending is None:
            return True
        return super().gave_up()

    def _conclude(self, how: str) -> None:
        if not self.done:
            self.done = True
            self.ends.append(how)


class Crew:
    """A team over a queue."""

    def __init__(self, *jobs: Job, limit: int | None = None) -> None:
        self.queue = deque(jobs)
        self.settled: list[Job] = []
        self.team = Team(lambda: self.queue.popleft() if self.queue else None, self.settled.append, limit)
        self.team.wake(len(jobs))


async def quick(job: Task) -> None:
    await asyncio.sleep(0.01)


async def slow(job: Task) -> None:
    await asyncio.sleep(10)


async def swallows(job: Task) -> None:
    end = asyncio.get_running_loop().time() + 50
    while (left := end - asyncio.get_running_loop().time()) > 0 and job.runs == 1:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


def test_workers_pull_until_nothing_is_left_and_then_go() -> None:
    async def scene() -> None:
        jobs = [Task(quick) for _ in range(7)]
        crew = Crew(*jobs, limit=2)
        await asyncio.sleep(0)
        assert crew.team.workers == 2
        await asyncio.sleep(0.1)
        assert crew.settled == jobs
        assert crew.team.workers == 0
        assert len(asyncio.all_tasks()) == 1

    run_virtual(scene)


def test_a_job_ended_while_it_runs_is_interrupted_and_its_worker_goes_on() -> None:
    async def scene() -> None:
        first, second = Task(slow), Task(quick)
        crew = Crew(first, second, limit=1)
        await asyncio.sleep(0.1)
        first.end("enough")
        await asyncio.sleep(0.1)
        assert (first.ends, second.ends) == (["interrupted"], ["done"])
        assert crew.settled == [first, second]
        assert crew.team.leaked == 0

    run_virtual(scene)


def test_a_job_ended_before_it_began_never_runs_and_settles_once() -> None:
    async def scene() -> None:
        job = Task(quick)
        crew = Crew(job)
        job.team = crew.team
        job.end("too late")
        await asyncio.sleep(0.1)
        assert (job.runs, job.ends, crew.settled) == (0, ["interrupted"], [job])
        assert crew.team.workers == 0

    run_virtual(scene)


def test_a_job_that_does_not_end_is_given_up_with_its_worker_and_another_takes_the_slot() -> None:
    async def scene() -> None:
        stuck, waiting = Task(swallows), Task(quick)
        crew = Crew(stuck, waiting, limit=1)
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        stuck.end("enough")
        await asyncio.sleep(CANCEL_GRACE_SECONDS - 0.01)
        assert crew.settled == []
        await asyncio.sleep(0.02)
        assert crew.settled == [stuck]
        await asyncio.sleep(0.05)
        assert crew.settled == [stuck, waiting]
        assert crew.team.leaked == 1
        assert asyncio.get_running_loop().time() - began < CANCEL_GRACE_SECONDS + 0.1
        await asyncio.sleep(100)  # what the abandoned worker does when it comes back is looked at by nobody
        assert (stuck.ends, crew.settled) == (["interrupted"], [stuck, waiting])
        assert crew.team.workers == 0

    run_virtual(scene)


def test_a_given_up_job_may_go_on_with_a_fresh_worker() -> None:
    async def scene() -> None:
        job = Task(swallows, again=True)
        crew = Crew(job, limit=1)
        await asyncio.sleep(0.1)
        job.interrupt()
        await asyncio.sleep(CANCEL_GRACE_SECONDS + 0.1)
        assert (job.runs, job.ends, crew.team.leaked) == (2, ["done"], 1)
        await asyncio.sleep(100)
        assert crew.settled == [job]

    run_virtual(scene)


def test_a_job_ended_while_it_waits_for_its_fresh_worker_ends_at_once() -> None:
    async def scene() -> None:
        job = Task(swallows, again=True)
        crew = Crew(job, limit=1)
        await asyncio.sleep(0.1)
        job.interrupt()
        resume = crew.team.resume

        def resume_then_end(given: Job) -> None:
            resume(given)
            given.end("meanwhile")

        crew.team.resume = resume_then_end  # type: ignore[method-assign]
        await asyncio.sleep(CANCEL_GRACE_SECONDS + 0.1)
        assert (job.runs, job.ends, crew.settled) == (1, ["interrupted"], [job])
        await asyncio.sleep(100)
        assert crew.team.workers == 0

    run_virtual(scene)


def test_a_fault_of_the_engine_ends_the_job_and_not_the_worker() -> None:
    async def breaks(job: Task) -> None:
        raise RuntimeError("our bug")

    async def scene() -> None:
        bad, good = Task(breaks), Task(quick)
        crew = Crew(bad, good, limit=1)
        await asyncio.sleep(0.1)
        assert bad.ends == ["broken by RuntimeError('our bug')"]
        assert crew.settled == [bad, good]

    run_virtual(scene)


def test_a_cancellation_that_a_job_sends_itself_reaches_no_other() -> None:
    async def cancels_itself(job: Task) -> None:
        assert job.task is not None
        job.task.cancel()

    async def scene() -> None:
        first, second = Task(cancels_itself), Task(quick)
        crew = Crew(first, second, limit=1)
        await asyncio.sleep(0.1)
        assert (first.ends, second.ends) == (["done"], ["done"])
        assert crew.settled == [first, second]

    run_virtual(scene)


def test_jobs_that_never_wait_let_the_loop_turn() -> None:
    async def never_waits(job: Task) -> None:
        end = asyncio.get_running_loop().time() + 0.001
        while asyncio.get_running_loop().time() < end:
            pass

    async def scene() -> int:
        crew = Crew(*[Task(never_waits) for _ in range(150)], limit=3)
        most = 0
        while len(crew.settled) < 150:
            before = len(crew.settled)
            await asyncio.sleep(0)
            most = max(most, len(crew.settled) - before)
        return most

    assert asyncio.run(scene()) < 60, "without a pause they all end before anybody else has a turn"


def test_many_workers_whose_jobs_never_wait_share_one_time_until_the_loop_turns() -> None:
    """A hundred of them, each with a time of its own, would keep a loop from turning for a second."""
    spent = 0.0

    class SlowLoop(VirtualLoop):
        def time(self) -> float:
            return super().time() + spent

    async def never_waits(job: Task) -> None:
        nonlocal spent
        spent += 0.001

    async def scene() -> int:
        crews = [Crew(*[Task(never_waits) for _ in range(400)], limit=50) for _ in range(2)]
        most = before = 0
        while before < 800:
            await asyncio.sleep(0)
            settled = sum(len(crew.settled) for crew in crews)
            most, before = max(most, settled - before), settled
        return most

    loop = SlowLoop()
    try:
        assert run_on(loop, scene) < 10 + 100 + 10  # of one time, one of each worker, and what begins with it
    finally:
        loop.close()


def test_jobs_that_never_wait_pause_less_often_than_a_thread_asks_for_the_interpreter() -> None:
    """A pause lets go of it too briefly for a thread to wake up, and makes that thread wait anew."""
    assert sys.getswitchinterval() < TURN_SECONDS
