"""What stands between a step and its first attempt, and what of that is let go of at its end.

Most steps meet none of it: only those get guards that have a deadline, a cache or a circuit, that need
permits, or that are children of a resumed container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.engine.failure import lost_with_its_process
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.values import Value
from nodeling_runtime.workflow.model import Cache, Circuit

if TYPE_CHECKING:
    from nodeling_runtime.engine.cached import Entry
    from nodeling_runtime.engine.calling import Calling
    from nodeling_runtime.engine.circuit import Breaker
    from nodeling_runtime.engine.job_log import StepLog
    from nodeling_runtime.engine.permits import Permits
    from nodeling_runtime.engine.step import StepJob


class Guards:
    """The guards of one step."""

    def __init__(self, job: StepJob, calling: Calling) -> None:
        self.deadline: asyncio.TimerHandle | None = None
        self.deadline_ms = 0.0
        self.holds: list[Permits] = []
        self._job = job
        self._calling = calling
        self._entry: Entry | None = None  # where the output is kept for later calls
        self._breaker: Breaker | None = None

    async def let_in(self) -> bool:
        """Wait for its turn and its permits. False when it is over with that: no call is made."""
        job, step = self._job, self._job.step
        if job.log is not None and await self._is_over(job.log):
            return False
        self.arm_deadline()
        if not self._calling.is_container:
            for permits in job.engine.permits_for(step.spec):
                if not permits.try_acquire():
                    await permits.acquire()
                self.holds.append(permits)
        if step.cache is not None and await self._takes_over(step.cache):
            return False
        return step.circuit is None or not await self._is_refused(step.circuit)

    async def _is_over(self, log: StepLog) -> bool:
        """Whether the history says how it ended, or that it is not to begin again."""
        job = self._job
        ended = None if job.gate is None else await log.answer(job, job.gate)
        if ended is not None:
            job.take_over(ended.delta, ended.ends)
        elif log.is_given_up:
            job.fail(lost_with_its_process())
        return job.done

    def arm_deadline(self) -> None:
        """Let the step expire when its deadline has come."""
        job = self._job
        limit = job.duration(job.step.deadline_ms, "deadline")
        if limit is None:
            return
        due = job.engine.clock() + limit / 1_000
        if job.log is not None and job.log.begun is not None and job.record.ready_at is not None:
            due = job.record.ready_at + limit / 1_000
        self.deadline_ms = limit
        self.deadline = asyncio.get_running_loop().call_at(due, job.expire, "deadline", limit)

    def is_past_deadline(self, now: float) -> bool:
        """Whether the deadline has come, on the loop's clock."""
        return self.deadline is not None and now >= self.deadline.when()

    async def _takes_over(self, cache: Cache) -> bool:
        """Whether an earlier call's output is there, and is this step's now."""
        from nodeling_runtime.engine.cached import REASON, Entry

        job, mine = self._job, self._job.generation
        inputs = job.take_inputs(self._calling)
        key = None if cache.key is None else to_plain(cache.key.evaluate(job.names))
        given = None if cache.any_inputs else (inputs, job.config)
        self._entry = Entry(job.engine.shared, job.step.spec, given, key, cache.ttl_ms)
        hit = await self._entry.read()
        if hit is None or mine != job.generation or job.ending is not None:
            return False
        job.engine.events.emit("step.cached", job.path, run=hit.run_id, by=hit.step, at=hit.at)
        self._entry = None
        if hit.outcome.output is not None:
            job.succeed(hit.outcome.output, hit.outcome.delta, REASON)
        return True

    async def _is_refused(self, circuit: Circuit) -> bool:
        """Whether the node failed so often lately that it is not called now."""
        from nodeling_runtime.engine.circuit import Breaker

        job, mine = self._job, self._job.generation
        breaker = Breaker(job.engine.shared, circuit, job.step.spec.name)
        refusal = await breaker.enter(job.engine.now())
        if refusal is None:
            self._breaker = breaker
            return False
        if mine == job.generation:
            job.fail(refusal)
        return True

    def keep(self, output: Value, written: Mapping[str, bytes | None]) -> None:
        """The step succeeded: later calls may take its output over."""
        if self._entry is not None:
            job, run = self._job, self._job.engine
            self._entry.keep(Outcome(output, None, written), run.redactor, run.id, job.step.name, run.now())

    def release(self) -> None:
        """The step has ended: disarm the deadline, and give back what is held."""
        if self.deadline is not None:
            self.deadline.cancel()
        for permits in reversed(self.holds):
            permits.release()
        self.holds.clear()

    def report(self, status: str, error: CallError | None) -> None:
        """Tell the node's circuit how the call went."""
        if self._breaker is not None:
            self._breaker.leave(self._job.engine.now(), status, error)
