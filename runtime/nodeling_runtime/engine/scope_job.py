"""A scope as one job among others, and a step that is a child without a scope around it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.context import Delta, Frame, Merge, View
from nodeling_runtime.engine.failure import engine_error, refused_input, without_view
from nodeling_runtime.engine.job_log import ScopeLog
from nodeling_runtime.engine.names import Parts
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.scope import ScopeRun, truth_of
from nodeling_runtime.engine.scope_log import decided
from nodeling_runtime.engine.step import StepJob
from nodeling_runtime.engine.team import Job
from nodeling_runtime.values import InvalidValue
from nodeling_runtime.workflow.model import Scope, Workflow

if TYPE_CHECKING:
    from nodeling_runtime.engine.child import Place
    from nodeling_runtime.engine.gate import Gate
    from nodeling_runtime.engine.run import Run


class ScopeJob(Job):
    """A scope as one child of a container, or as the whole of a run."""

    def __init__(
        self,
        run: Run,
        scope: Scope,
        frame: Frame,
        place: Place,
        parts: Parts,
        record: StepRecord,
        merge: Merge | None,
        timeout_ms: float | None = None,
    ) -> None:
        super().__init__()
        self.engine = run
        self.record = record
        self.delta: Delta = {}
        self.partial: Delta = {}  # what its steps wrote before it failed or was ended
        self.trail = place.path if place.own is None else place.own
        self.log = None if run.journal is None else ScopeLog(self, run.journal, self.trail)
        self.scope_run = ScopeRun(run, scope, frame, place.path, parts, place.inner)
        self._merge = merge
        self._timeout_ms = timeout_ms
        self._expired = False
        self._workflow: tuple[Workflow, Any] | None = None

    def expects(self, workflow: Workflow, body: Any) -> None:
        """The scope is a whole workflow: its input is judged by its schema first."""
        self._workflow = (workflow, body)

    def inner_view(self) -> View:
        """What a step behind the scope's last one would see."""
        if self.answer is not None:
            self.scope_run.recollect()
        return self.scope_run.inner_view()

    async def run(self) -> None:
        """Run the scope and conclude."""
        record = self.record
        if self.log is not None and self.gate is not None and await self._has_ended(self.log, self.gate):
            return
        self._begin()
        if self.counted is not None:
            self.counted(self)
        if self._workflow is not None:
            refusal = refused_input(*self._workflow)
            if refusal is not None:
                self._conclude("failed", None, refusal)
                return
        timer = None
        if self._timeout_ms is not None:
            due = (record.started_at or 0.0) + self._timeout_ms / 1_000
            timer = asyncio.get_running_loop().call_at(due, self._expire)
        try:
            outcome = await self.scope_run.execute()
        finally:
            if timer is not None:
                timer.cancel()
        self._judge(outcome)

    def _begin(self) -> None:
        record = self.record
        record.status, record.started_at, record.attempts = "running", self.engine.clock(), 1
        if self.log is not None:
            self.log.write_start()

    async def _has_ended(self, log: ScopeLog, gate: Gate) -> bool:
        """Wait for this child's turn among those of a resumed container. True when it had ended before."""
        ended = await log.answer(self, gate)
        if ended is None:
            return False
        self.delta = self.partial = ended.delta
        self.done = True
        return True

    def interrupt(self) -> None:
        """A scope ends by ending its steps; its own task is left to see that."""
        self.scope_run.cancel(self.ending or "cancelled")

    def hurry(self, reason: str) -> None:
        """A scope that is hurried ends its `always` steps too."""
        self.end(reason)
        if not self.done and self.answer is None:
            self.scope_run.hurry(reason)

    def conclude_interrupted(self) -> None:
        """Ended before it began."""
        if not self.done:
            self._conclude("cancelled", self.ending, None)

    def conclude_broken(self, error: Exception) -> None:
        """The engine failed at this scope."""
        if not self.done:
            self._conclude("failed", None, engine_error(error))

    def _expire(self) -> None:
        self._expired = True
        self.scope_run.cancel("timeout")

    def _judge(self, outcome: str) -> None:
        if outcome != "succeeded":
            self.partial = self.scope_run.leaving("last")
        if self._expired:
            limit = self._timeout_ms or 0.0
            said, details = f"timed out after {limit:.0f} ms", {"limit": "timeout", "limit_ms": limit}
            self._conclude("failed", None, CallError(9005, said, "TimeoutError", details=details))
        elif outcome == "cancelled":
            self._conclude("cancelled", self.ending or self.scope_run.scheduler.cancelled, None)
        elif outcome in ("failed", "suspended"):
            self._conclude("failed", None, without_view(self.scope_run.failure()))
        else:
            self._succeed()

    def _succeed(self) -> None:
        try:
            self.delta = self.scope_run.leaving(self._merge)
            self.record.output = self.scope_run.output()
        except (NodelingError, InvalidValue) as error:
            self.partial = self.scope_run.leaving("last")
            self._conclude("failed", None, engine_error(error))
            return
        self._conclude("succeeded", None, None)

    def _conclude(self, status: str, reason: str | None, error: CallError | None) -> None:
        self.done = True
        self.record.status, self.record.reason, self.record.error = status, reason, error
        self.record.ended_at = self.engine.clock()


def admit_alone(job: StepJob) -> None:
    """Ask whether a child that is in no scope's order shall run; if not, it ends here."""
    condition = job.step.condition
    if not job.step.active:
        job.skip("inactive")
    elif condition is not None:
        try:
            decide = partial(truth_of, condition, job.names)
            if not decided(job.engine.journal, job.trail, "if", decide):
                job.skip("condition")
        except NodelingError as error:
            job.fail(engine_error(error))
