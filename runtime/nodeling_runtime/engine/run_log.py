"""A run's own part of the journal: how it is taken up, told to end, suspended and ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling.errors import StoreError
from nodeling_runtime.engine.record import StepRecord

if TYPE_CHECKING:
    from nodeling_runtime.engine.journal import Journal
    from nodeling_runtime.engine.run import Run
    from nodeling_runtime.engine.scope import ScopeRun
    from nodeling_runtime.engine.scope_job import ScopeJob

MOST_EVENTS = 1_000_000  # a history so long ends the run: something in it does not end


@dataclass(frozen=True, slots=True)
class Lost:
    """The failures that a run is suspended for, and those of them whose links wait."""

    steps: list[str]
    held: list[str]

    @classmethod
    def of(cls, scope: ScopeRun) -> Lost:
        """Those of a scope that is at rest."""
        lost = scope.scheduler.lost()
        held = [scope.place(step) for step in lost if scope.scheduler.is_held(step)]
        return cls([scope.place(step) for step in lost], held)


class RunLog:
    """The journal of a run, as the run uses it."""

    def __init__(self, run: Run, journal: Journal) -> None:
        self.journal = journal
        self.events: int | None = None  # how many there were when they were too many
        self._run = run
        if run.redactor:
            journal.redactor = run.redactor
        journal.told, journal.failed, journal.grown = self._told, self._cut_off, self._grown

    @property
    def began(self) -> float:
        """When the run was first asked for."""
        return self.journal.recorded.created or time.time()

    async def is_suspended(self) -> bool:
        """Whether a step is in doubt: then nothing goes on until somebody has looked at it."""
        journal = self.journal
        doubtful = journal.recorded.doubtful()
        for path, begun in doubtful:
            if not begun.is_in_doubt:
                journal.note("step.in_doubt", path, {"attempt": begun.attempts})
        if doubtful:
            journal.note("run.suspended", "", {"reason": "in_doubt", "steps": [path for path, _ in doubtful]})
            await journal.kept()
        return bool(doubtful)

    async def write_suspended(self, error: dict[str, Any] | None, lost: Lost) -> None:
        """The run stands still, because of what failed in it, when that is kept.

        Raises:
            StoreError: It is not kept.
        """
        data = {"reason": "failed", "steps": lost.steps, "held": lost.held, "error": error}
        self.journal.note("run.suspended", "", data)
        await self.journal.kept()

    def resume_ending(self, job: ScopeJob, cleanup_ms: float) -> asyncio.TimerHandle | None:
        """Have a run that was being ended, or was to be, so before anything else; when it has to be over."""
        loop, recorded, run = asyncio.get_running_loop(), self.journal.recorded, self._run
        cancels = [one for one in recorded.cancels.get("", ()) if one.how != "stop"]
        if cancels:
            first = cancels[0]
            job.ending, run.timed_out = first.reason, first.limit_ms
            # Nobody cleaned up while the process was gone, so that time does not count.
            return loop.call_later(cleanup_ms / 1_000, run.cancel, first.reason)
        if recorded.cancel is not None:
            loop.call_soon(run.cancel, recorded.cancel)  # behind the worker's first step
        return None

    def write_cancel(self, reason: str, how: str, limit_ms: float | None = None) -> None:
        """The run is told to end: `cancel`, `hurry` or `stop`."""
        data = {"reason": reason, "how": how, "limit_ms": limit_ms}
        self.journal.note("scope.cancelled", "", data)

    async def write_end(self, status: str, error: dict[str, Any] | None, record: StepRecord) -> None:
        """The run has ended when that is kept, and not before.

        Raises:
            StoreError: It is not kept.
        """
        value = None if record.output is None or status != "succeeded" else record.output.data
        self.journal.note("run.ended", "", {"status": status, "error": error}, value)
        await self.journal.kept()

    def _told(self, reason: str) -> None:
        """Somebody asked the run to end, from another process."""
        job = self._run.job
        if job is not None and job.ending is None:
            self._run.cancel(reason)

    def _cut_off(self, error: StoreError) -> None:
        """Nothing is kept any more, so nothing more is done."""
        job = self._run.job
        if job is not None and not job.done:
            self._run.cancel(str(error.code))
            job.hurry(str(error.code))

    def _grown(self, count: int) -> None:
        self._run.events.emit("run.long_history", events=count, most=MOST_EVENTS)
        if count >= MOST_EVENTS:
            self.events = count
            asyncio.get_running_loop().call_soon(self._run.cancel, "history_limit")
