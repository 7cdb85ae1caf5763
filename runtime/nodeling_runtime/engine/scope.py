"""One run of one scope: the scheduler driven by workers, the frame filled as steps end."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.context import Delta, Frame, Merge, View
from nodeling_runtime.engine.failure import engine_error
from nodeling_runtime.engine.names import Fields, Names, Parts
from nodeling_runtime.engine.noting import note_end, remember
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.scheduler import Scheduler
from nodeling_runtime.engine.scope_log import decided, replay
from nodeling_runtime.engine.step import StepJob, scope_end_of
from nodeling_runtime.engine.team import Job, Team
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.values import NULL, Value
from nodeling_runtime.workflow.model import Scope
from nodeling_runtime.workflow.plan import CANCELLED, FAILED, SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from nodeling_runtime.engine.recorded import Ended
    from nodeling_runtime.engine.run import Run
    from nodeling_runtime.expressions.template import Template

STATUS = {"succeeded": SUCCEEDED, "failed": FAILED, "skipped": SKIPPED, "cancelled": CANCELLED}
WORDS = {bit: word for word, bit in STATUS.items()}


class ScopeRun:
    """Drives one scope; a `Judge` for its scheduler."""

    def __init__(
        self, run: Run, scope: Scope, frame: Frame, path: str, parts: Parts, trail: str | None = None
    ) -> None:
        self.engine = run
        self.scope = scope
        self.frame = frame
        self.path = path
        self.trail = path if trail is None else trail
        self.parts = parts
        self.plan = frame.plan
        self.scheduler = Scheduler(self.plan, self)
        self.error: CallError | None = None
        self.team: Team | None = Team(self._take, self._settled)  # until it is over
        self._queue: deque[StepJob] = deque()
        self._jobs: dict[int, StepJob] = {}
        self._views: dict[int, View] = {}
        self._succeeded = 0
        self._done: asyncio.Future[None] | None = None

    async def execute(self) -> str:
        """Run the scope to its end and say how it ended."""
        self._done = asyncio.get_running_loop().create_future()
        self.scheduler.begin()
        journal = self.engine.journal
        if journal is not None and journal.resumes:
            replay(self, journal.recorded)
        self._pump()
        await self._done
        while not self._is_over():  # it was told to end in the moment in which it came to rest
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        if self.scheduler.at_rest:
            return "suspended"
        # They lead back here: without them a scope is let go of as soon as nobody asks for it.
        self.team = self.scheduler.judge = None  # type: ignore[assignment]  # an ended scope asks nobody
        return str(self.scheduler.outcome)

    def _is_over(self) -> bool:
        if self.scheduler.at_rest:
            return not self.engine.is_to_end()
        return self.scheduler.outcome is not None

    def recollect(self) -> None:
        """Come to the end that the history says, running nothing: so that its steps can be looked at."""
        journal = self.engine.journal
        if journal is not None and self.scheduler.outcome is None:
            self.scheduler.begin()
            replay(self, journal.recorded)

    def remember(self, step: int, ended: Ended) -> None:
        """A step had ended: it is as if it did so now."""
        record = self._record(step)
        remember(self.engine, record, ended)
        record.waited_for = self._sources(step)
        if record.status == "succeeded":
            self.frame.outputs[step] = record.output
            self.frame.write(step, ended.delta)
            self._succeeded |= 1 << step
        elif record.status == "failed":
            self.frame.write_failed(step, ended.delta)
        self._views.pop(step, None)
        how = scope_end_of(ended.ends, record)
        if how is not None and ended.ends is not None and ended.ends[1] == "top":
            self.engine.end_from_within(how, record)
        self._finish(step, record, how)

    def _finish(self, step: int, record: StepRecord, how: str | None) -> None:
        """Tell the scheduler of an end, and of what the step's node wants to become of the scope."""
        if how == "abort":  # before the step's own end, which may be the last one
            self.scheduler.cancel("aborted")
        self.scheduler.finish(step, STATUS[record.status], record.reason, final=how in ("fail", "stop"))

    def place(self, step: int) -> str:
        """A step's place in the history."""
        name = self.plan.steps[step].name
        return f"{self.trail}/{name}" if self.trail else name

    def cancel(self, reason: str) -> None:
        """End the scope; its `always` steps still run."""
        self.scheduler.cancel(reason)
        self._pump()

    def hurry(self, reason: str) -> None:
        """End the scope and its `always` steps, and whatever cleans up inside it."""
        self.scheduler.hurry(reason)
        self._pump()
        for job in list(self._jobs.values()):
            job.hurry(reason)

    def stop(self) -> None:
        """End the scope early and in order, as a step with `stop` does."""
        self.scheduler.stop()
        self._pump()

    # -- what the scheduler asks

    def link(self, step: int, number: int) -> bool:
        """Evaluate a link's condition."""
        condition = (self.plan.steps[step].links or ())[number].condition
        source = self.plan.links[step][number].source
        past = self.plan.ancestors[source] | 1 << source
        if condition is None:
            return True

        def decide() -> bool:
            view = self.frame.view(past & self._succeeded, "last", failed=[source])
            return truth(condition.evaluate(self._names(step, view)), "a link's `if`")

        return decided(self.engine.journal, self.place(step), f"link {number}", decide)

    def admit(self, step: int, satisfied: list[int]) -> bool:
        """Freeze what the step sees, then evaluate its `if`."""
        plan, frame = self.plan, self.frame
        model = plan.steps[step]
        ancestors = plan.ancestors[step]
        if frame.is_calm:
            view = View(frame, ancestors & self._succeeded)
        else:
            if model.trigger == "on_error":
                failed = [source for source in self.scheduler.failures if ancestors >> source & 1]
            else:
                links = plan.links[step]
                failed = [links[n].source for n in satisfied if links[n].names_failure]
            view = frame.view(
                ancestors & self._succeeded, model.merge, failed=failed, is_handler=model.trigger != "body"
            )
        self._views[step] = view
        if model.condition is None:
            return True
        decide = partial(truth_of, model.condition, self._names(step, view))
        return decided(self.engine.journal, self.place(step), "if", decide)

    def settled(self, step: int, status: int, reason: str | None, error: Exception | None) -> None:
        """A step ended without having run."""
        record = self._record(step)
        record.status, record.reason = WORDS[status], reason
        if error is not None:
            record.error = engine_error(error)
            record.handled = self.plan.steps[step].continues
        record.ended_at = self.engine.clock()
        journal = self.engine.journal
        if journal is not None:
            known = journal.recorded.ends.get(self.place(step))
            if known is not None:
                remember(self.engine, record, known)  # listeners were told of it then
                return
            note_end(self.engine, journal, self.place(step), record, {}, at_once=True)
        self.engine.step_ended(record)

    def phase_begins(self, phase: str) -> None:
        """What failed in the body becomes `ctx.error`."""
        if phase != "body":
            self.error = self._scope_error()

    # -- workers

    def _take(self) -> Job | None:
        while self._queue:
            job = self._queue.popleft()
            if not job.done:
                return job
        return None

    def _settled(self, job: Job) -> None:
        try:
            self._keep(job)
            self._pump(inside=job.task is None and job.begun)
        except Exception as error:  # a fault of the engine's own must end the run, not leave it waiting
            if self._done is None or self._done.done():
                raise
            self._done.set_exception(error)

    def _keep(self, job: Job) -> None:
        """What the step wrote is kept, and the scheduler told."""
        if not isinstance(job, StepJob):
            raise AssertionError("a scope runs steps")
        step, record = job.step.index, job.record
        if job.log is not None:
            job.log.write_end()
        del self._jobs[step]
        if record.status == "succeeded":
            self.frame.outputs[step] = record.output
            if job.delta:
                self.frame.write(step, job.delta)
            self._succeeded |= 1 << step
        elif record.status == "failed":
            self.frame.write_failed(step, job.delta)
        if job.ending_scope is None:
            self.scheduler.finish(step, STATUS[record.status], record.reason)
        else:
            self._finish(step, record, job.scope_end)

    def _pump(self, *, inside: bool = False) -> None:
        """Carry out what the scheduler decided."""
        scheduler = self.scheduler
        while scheduler.starts or scheduler.cancels:
            starts, scheduler.starts = scheduler.starts, []
            for step in starts:
                job = self._job(step)
                self._jobs[step] = job
                self._queue.append(job)
            cancels, scheduler.cancels = scheduler.cancels, []
            for step, reason, unstarted in cancels:
                running = self._jobs.get(step)
                if running is not None:
                    running.unstarted = WORDS[unstarted]
                    running.end(reason)
        if self._queue and self.team is not None:
            self.team.wake(len(self._queue) - (1 if inside else 0))
        over = scheduler.outcome is not None or (scheduler.at_rest and self._is_over())
        if over and self._done is not None and not self._done.done():
            for step in scheduler.failures:
                self.frame.records[step].handled = scheduler.forgiven(step)
            self._done.set_result(None)

    def _job(self, step: int) -> StepJob:
        model = self.plan.steps[step]
        record = self._record(step)
        record.status = "ready"
        engine, trail = self.engine, None
        if engine.journal is not None:
            trail = self.place(step)
        if engine.journal is not None or engine.events.active:  # nobody else is told
            record.waited_for = self._sources(step)
        view, parts = self._views.pop(step), self._parts_for(step)
        job = StepJob(engine, model, view, parts, record, None, None, trail)
        job.team = self.team
        return job

    def _sources(self, step: int) -> tuple[str, ...]:
        """The names of the steps whose links met the step's join."""
        sources = self.scheduler.satisfied_sources(step)
        if len(sources) > 1:
            sources.sort()
        return tuple([self.plan.steps[i].name for i in sources])

    def _record(self, step: int) -> StepRecord:
        record = self.frame.records[step]
        if record is None:
            model = self.plan.steps[step]
            path = f"{self.path}/{model.name}" if self.path else model.name
            is_container = model.spec.manifest.flow
            record = self.frame.records[step] = StepRecord(path, model.name, model.node, is_container)
        return record  # type: ignore[no-any-return]

    # -- what expressions and nodes read

    def _names(self, step: int, view: View) -> Names:
        return Names(view, self._parts_for(step))

    def _parts_for(self, step: int) -> Parts:
        def part(name: str) -> Any:
            if name == "response":
                return self._response(step)
            if name == "error" and self.error is not None:
                return self.error.details.get("as_seen")
            if name == "run" and self.plan.steps[step].trigger != "body":
                status = "cancelled" if self.scheduler.cancelled else "failed" if self.error else "succeeded"
                return {**self.parts("run"), "status": status}
            return self.parts(name)

        return part

    def _response(self, step: int) -> Any:
        """`ctx.response`: what the step before this one gave."""
        source = self._previous(step)
        if source is None:
            return self.parts("response")
        model, record = self.plan.steps[source], self.frame.records[source]
        if model.set_var is True:
            return {"data": None, "success": True, "error": None, "contentType": "application/json"}
        output = self.frame.outputs[source]
        if isinstance(output, BlobValue):
            return _unread_response(output, record)
        return {
            "data": None if output is None else output.shared(),
            "success": record.status == "succeeded",
            "error": record.error_json(),
            "contentType": "application/json",
        }

    def _previous(self, step: int) -> int | None:
        links = self.plan.links[step]
        if not links:
            return None
        if not links[0].sequential:
            sources = self.scheduler.satisfied_sources(step)
            return sources[0] if len(sources) == 1 else None
        source: int | None = links[0].source
        while source is not None and self.scheduler.status[source] == SKIPPED:
            before = self.plan.links[source]
            source = before[0].source if before else None
        return source

    # -- the scope's end

    def output(self, explicit: bool = True) -> Value:
        """The scope's output: its expression's, the last succeeded step's, or its leaves'."""
        scope = self.scope
        if scope.output is not None and explicit:
            view = self.frame.view(self._body_mask(), "last")
            return self.engine.blobs.value_of(scope.output.evaluate(Names(view, self.parts, True)))
        if scope.ordered or scope.single:
            done = [i for i in self.plan.phases["body"] if self.scheduler.status[i] == SUCCEEDED]
            return (self.frame.outputs[done[-1]] or NULL) if done else NULL
        leaves = self.plan.leaves()
        if len(leaves) == 1:
            return self.frame.outputs[leaves[0]] or NULL
        outputs = {self.plan.steps[i].name: (self.frame.outputs[i] or NULL).readable() for i in leaves}
        return self.engine.blobs.value_of(outputs)

    def leaving(self, merge: Merge | None) -> Delta:
        """The writes that leave the scope."""
        return self.frame.leaving(self._succeeded, merge)

    def inner_view(self) -> View:
        """What a step behind the last one would see."""
        return self.frame.view(self._succeeded, "last")

    def _body_mask(self) -> int:
        return self._succeeded

    def _scope_error(self) -> CallError | None:
        """The first unhandled failure, with the others beside it."""
        left = self.scheduler.unhandled()
        if not left:
            return None
        seen = []
        for step in left:
            record = self.frame.records[step]
            error = record.error or CallError("internal", "failed")
            seen.append({"code": error.code, "step": record.name, "message": error.message})
        first = self.frame.records[left[0]]
        error = first.error or CallError("internal", "failed")
        return CallError(
            error.code,
            error.message,
            error.type,
            error.retryable,
            details={**error.details, "as_seen": {**seen[0], "others": seen[1:]}},
        )

    def failure(self) -> CallError:
        """Why the scope failed."""
        return self._scope_error() or self.error or CallError("internal", "the scope failed")


def truth_of(condition: Template, names: Names) -> bool:
    """An `if`'s value.

    Raises:
        NodelingError: It has none, or one that is neither true nor false.
    """
    return truth(condition.evaluate(names), "`if`")


def truth(value: Any, what: str) -> bool:
    """A condition's value.

    Raises:
        ExpressionError: It is neither true nor false.
    """
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"{what} gave {value!r}, which is neither true nor false", code="expr.type")


def _unread_response(output: BlobValue, record: StepRecord) -> Fields:
    return Fields(
        "ctx.response",
        {
            "data": output.readable,
            "success": lambda: record.status == "succeeded",
            "error": record.error_json,
            "contentType": lambda: "application/json",
        },
    )
