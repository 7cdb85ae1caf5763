"""A job's part of the journal: what is written of it, and where it goes on after a resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.kept_data import error_data
from nodeling_runtime.engine.noting import note_end, remember
from nodeling_runtime.fault_points import reached

if TYPE_CHECKING:
    from nodeling_runtime.engine.gate import Gate
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.engine.recall import Recall
    from nodeling_runtime.engine.recorded import Ended
    from nodeling_runtime.engine.run import Run
    from nodeling_runtime.engine.scope_job import ScopeJob
    from nodeling_runtime.engine.step import StepJob


class JobLog:
    """What is the same for steps and for scopes that are children."""

    def __init__(self, run: Run, journal: Journal, trail: str) -> None:
        self.run = run
        self.journal = journal
        self.trail = trail  # the job's place in the history
        self.of: Recall | None = None  # the history of the container it is a child of
        self.given: str | None = None  # a hash of what that gave it
        self.at_once = False  # it ended in the moment that made it
        self.begun = journal.recorded.begun.get(trail) if journal.resumes else None

    async def answer(self, job: StepJob | ScopeJob, gate: Gate) -> Ended | None:
        """Wait for a child's turn in a resumed container; how it ended before, if it did."""
        if job.answer is None:
            await gate.opened()
            return None
        await gate.turn(self.trail)
        remember(self.run, job.record, job.answer)
        return job.answer


class StepLog(JobLog):
    """The part of a step."""

    def __init__(self, job: StepJob, journal: Journal, trail: str) -> None:
        super().__init__(job.engine, journal, trail)
        self.lost = 0  # attempts that died with their runner: the policy's tries are not spent on them
        self.delay_ms: float | None = None  # until the attempt that it waited for
        self._job = job
        self._open: int | None = None  # the attempt that was written down and whose end was not
        self._goes_on = False  # a container's attempt is taken up again, not repeated
        self.is_given_up = False  # the attempt died with its runner, and there is to be no other
        self._take_up()

    def _take_up(self) -> None:
        """Go on where the history ends."""
        begun, record, run = self.begun, self._job.record, self.run
        if begun is None:
            return
        record.ready_at, record.started_at = run.moment(begun.ready), run.moment(begun.started)
        record.attempts, self.lost = begun.attempts, begun.lost
        if begun.open:
            self._open = begun.attempts
            self._goes_on = self._job.step.is_container
            self.lost += not self._goes_on
            self.is_given_up = self._job.step.on_lost == "fail" and not self._goes_on
        elif begun.due is not None:
            self.delay_ms = max(0.0, begun.due - run.now()) * 1_000

    async def count(self) -> None:
        """One more attempt, unless a container goes on with the one that it had begun."""
        if self._goes_on:
            self._goes_on = False
            return
        self._job.record.attempts += 1
        await self._write_start()

    async def _write_start(self) -> None:
        """Write an attempt's start down. A node is asked when that is kept; a container is not waited for."""
        record, step, journal = self._job.record, self._job.step, self.journal
        if self._open is not None:
            journal.note("step.lost", self.trail, {"attempt": self._open})
        data: dict[str, Any] = {
            "attempt": record.attempts,
            "name": step.name,
            "node": step.node,
            "container": step.is_container,
            "waited_for": list(record.waited_for),
            "ready": self.run.epoch(record.ready_at or 0.0),
        }
        if self.given is not None:
            data["given"] = self.given
        if step.spec.manifest.effects == "unsafe" and step.on_lost is None:
            data["effects"] = "unsafe"
        journal.note("step.started", self.trail, data)
        self._open = record.attempts
        reached("started")
        if not step.is_container:
            waits = journal.keeping()
            if waits is not None:
                await waits
            if journal.hands_over:
                await journal.call_off(self.trail, record.attempts)
            reached("sent")

    def write_retry(self, error: CallError, delay_ms: float) -> None:
        """An attempt failed, and when the next one is."""
        due = self.run.now() + delay_ms / 1_000
        data = {"attempt": self._open, "error": error_data(error), "delay_ms": delay_ms, "due": due}
        self.journal.note("step.retry", self.trail, data)
        self._open = None

    def write_end(self) -> None:
        """How the step ended."""
        job = self._job
        note_end(
            self.run,
            self.journal,
            self.trail,
            job.record,
            job.delta,
            attempt=self._open,
            of=self.of,
            at_once=self.at_once,
            ends=job.ending_scope,
        )


class ScopeLog(JobLog):
    """The part of a scope that is a child; the scope of the run itself has none."""

    def __init__(self, job: ScopeJob, journal: Journal, trail: str) -> None:
        super().__init__(job.engine, journal, trail)
        self._job = job

    def write_start(self) -> None:
        """The scope begins, unless it had begun before."""
        record = self._job.record
        if self.begun is not None:
            record.started_at = self.run.moment(self.begun.started)
        elif self.of is not None:
            now = self.run.now()
            data = {"attempt": 1, "name": record.name, "node": record.node, "container": True, "ready": now}
            given = {} if self.given is None else {"given": self.given}
            self.journal.note("step.started", self.trail, {**data, **given})

    def write_end(self) -> None:
        """How the scope ended."""
        job = self._job
        note_end(
            self.run,
            self.journal,
            self.trail,
            job.record,
            job.delta if job.record.status == "succeeded" else job.partial,
            attempt=None if job.record.started_at is None else 1,
            of=self.of,
            at_once=self.at_once,
        )
