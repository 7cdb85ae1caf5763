"""One run of one step: its attempts, its clocks, and exactly one end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.dispatch.base import NOTHING_WRITTEN, CallError, Outcome, idempotency_key
from nodeling_runtime.engine.attempts import KILLED_DEADLINE, next_delay_ms
from nodeling_runtime.engine.calling import Calling, calling_of
from nodeling_runtime.engine.context import UNWRITTEN, Delta, View
from nodeling_runtime.engine.failure import refused_step
from nodeling_runtime.engine.full_call import call_in_full
from nodeling_runtime.engine.given import NO_CONFIG, judged, prepared
from nodeling_runtime.engine.guards import Guards
from nodeling_runtime.engine.job_log import StepLog
from nodeling_runtime.engine.keys import container_keys
from nodeling_runtime.engine.names import Names, Parts
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.team import Job, absorb
from nodeling_runtime.engine.writes import left_behind, writes_of
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.values import NULL, Value
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Step

if TYPE_CHECKING:
    from nodeling.implementation import Implementation
    from nodeling_runtime.engine.flow import FlowHandle
    from nodeling_runtime.engine.run import Run


class StepJob(Job):
    """A step on its way from ready to its end."""

    partial: Delta = UNWRITTEN  # a single step leaves nothing behind unless it succeeds
    unstarted = "cancelled"  # what it is when it is ended before it started
    keys: dict[str, Any] | None = None  # a container's own
    config = NO_CONFIG  # never written to: a step's own takes its place
    is_bounded = False  # whether the call that is under way ends by itself when it is told to
    _names: Names | None = None
    _trail: str | None = None
    limit_ms: float | None = None
    _late = False
    _unresponsive = False

    def __init__(
        self,
        run: Run,
        step: Step,
        view: View,
        parts: Parts,
        record: StepRecord,
        default_timeout_ms: float | None = None,
        overlay: Mapping[str, Any] | None = None,
        trail: str | None = None,
    ) -> None:
        self.done = False
        self.ending = None
        self.generation = 0
        self.task = None
        self.slot = None
        self._interrupted = False
        self.engine = run
        self.step = step
        self.view = view
        self.parts = parts
        self.record = record
        self.delta: Delta = UNWRITTEN
        self.flow: FlowHandle | None = None
        self.guards: Guards | None = None
        self.ending_scope: tuple[str, str] | None = None  # how and which, when the node asked for it
        self.log: StepLog | None = None  # its part of the journal, where there is one
        self._default_timeout_ms = default_timeout_ms
        self._overlay = overlay
        self._expired: tuple[str, float] | None = None
        self._inputs: Value | None = None
        self._delay_ms: float | None = None
        self._has_begun = False
        clock = run.clock  # called as if it were a method it would be looked for in the class, here and below
        record.ready_at = clock()
        if run.journal is not None:
            self._trail = trail
            self.log = StepLog(self, run.journal, self.trail)
            self._delay_ms = self.log.delay_ms

    @property
    def path(self) -> str:
        """Where it stands."""
        return self.record.path

    @property
    def trail(self) -> str:
        """Its place in the history: the path, with the attempts of its containers."""
        return self._trail or self.record.path

    @property
    def names(self) -> Names:
        """What its expressions may name."""
        if self._names is None:
            self._names = Names(self.view, self.part)
        return self._names

    def part(self, name: str) -> Any:
        """A part of `ctx`, as this step sees it."""
        return self.config if name == "config" else self.parts(name)

    # -- the story

    async def run(self) -> None:
        """All attempts, from the permits to the end."""
        mine, task, slot = self.generation, self.task, self.slot
        plan = self.view.frame.plan
        calling = plan.known.get(self.step.index) or calling_of(plan, self.step)
        if not self._has_begun and not (self._begin(calling) or await self._is_let_in(calling)):
            return
        while True:
            if self._delay_ms is None and self.log is None:
                self.record.attempts += 1
            else:
                await self._get_ready()
            direct = self._get_set(calling)
            try:
                came: Outcome | Value
                if direct is None:
                    came = await self._called(calling)
                else:
                    # Code on this loop that asks for nothing but its inputs: nobody need stand between.
                    call = direct.call
                    answer = call(None, self._inputs.fresh())  # type: ignore[union-attr]  # it is set
                    if direct.kind == "async" or isawaitable(answer):
                        answer = await answer
                    came = self.engine.blobs.value_of(answer)
            except BaseException as error:
                came = self._broken_off(error, mine, is_node=direct is not None)
            finally:
                due, slot.due = slot.due, None  # type: ignore[union-attr]  # a worker has one
            if mine != self.generation:
                return
            if self._interrupted or task.cancelling():  # type: ignore[union-attr]  # and it is a task
                await self._settle_down(task, due)  # type: ignore[arg-type]
                due = None
            if mine != self.generation or self._decide(came, due, calling):
                return

    def _begin(self, calling: Calling) -> bool:
        """Begin, unless something is to be waited for before that."""
        engine, record = self.engine, self.record
        is_guarded = calling.is_guarded or engine.bounds_leaves
        if (is_guarded or (self.log is not None and self.gate is not None)) and self.guards is None:
            return False
        self._has_begun = True
        if record.started_at is None:
            clock = engine.clock
            record.started_at = clock()
        record.status = "running"
        counted = self.counted
        if counted is not None:
            counted(self)
        if engine.events.active:
            engine.events.emit(
                "step.started",
                self.path,
                node=self.step.node,
                name=self.step.name,
                waited_for=list(record.waited_for),
                container=self.step.is_container,
            )
        return True

    async def _is_let_in(self, calling: Calling) -> bool:
        """Wait for what stands before the beginning, and begin. False when it is over with that."""
        self.guards = Guards(self, calling)
        return await self.guards.let_in() and self._begin(calling)

    async def _get_ready(self) -> None:
        """Wait for the next attempt's time, and count it."""
        if self._delay_ms is not None:
            delay, self._delay_ms = self._delay_ms, None
            await asyncio.sleep(delay / 1_000)
        if self.log is None:
            self.record.attempts += 1
        else:
            await self.log.count()

    def _get_set(self, calling: Calling) -> Implementation | None:
        """Have the inputs, and the node's code where that is called straight: its time begins now."""
        limit = self.limit_ms = self._limit(calling) if calling.has_own_clock else self._default_timeout_ms
        inputs = self._inputs
        if inputs is None:
            inputs = calling.constant
            if inputs is None or self._overlay or self.engine.parameters:
                inputs = self.take_inputs(calling)
            self._inputs = inputs
        direct = calling.implementation or calling.direct()
        if direct is None or inputs.__class__ is BlobValue:
            return None
        if limit is not None:
            clock = self.engine.clock
            self.slot.set(clock() + limit / 1_000, self)  # type: ignore[union-attr]
        return direct

    async def _called(self, calling: Calling) -> Outcome:
        """The node's answer by way of whoever runs such nodes."""
        call = call_in_full(self, self._inputs or NULL)
        self.is_bounded = not calling.is_inprocess
        try:
            return await self.engine.dispatcher_for(calling.spec).call(call)
        finally:
            self.is_bounded = False

    def _broken_off(self, error: BaseException, mine: int, *, is_node: bool) -> Outcome:
        """What an attempt came to that ended by an exception.

        Raises:
            BaseException: It is no affair of this attempt.
        """
        if isinstance(error, asyncio.CancelledError):
            if mine != self.generation or self.ending is not None:
                raise error
            if self._expired is not None:
                return Outcome()
            return Outcome(None, CallError(4000, "the node cancelled itself", "CancelledError"))
        if not is_node or isinstance(error, GeneratorExit):
            raise error
        from nodeling_runtime.dispatch.inprocess import failure_of

        return Outcome(None, failure_of(error))  # whatever a node raises is its failure

    async def _settle_down(self, task: asyncio.Task[None], due: float | None) -> None:
        """A cancellation that the node swallowed, or sent to itself, must not reach what comes after it."""
        self._look_at_the_clock(due)
        if self._interrupted:
            self.calm()
        else:
            await absorb(task)

    def take_inputs(self, calling: Calling) -> Value:
        """Evaluate what the node is given, once for all attempts."""
        if calling.is_container:
            self.keys = container_keys(self.step, self.names, self.engine.journal, self.trail)
            self._inputs = NULL
            return NULL
        overrides = self.engine.parameters.get(self.step.name)
        self.config, self._inputs = prepared(self, calling, overrides, self._overlay)
        return self._inputs

    def key(self) -> str:
        """What tells this step's calls from all others, the same for every attempt."""
        journal = self.engine.journal
        generation = 0 if journal is None else journal.recorded.generation(self.trail)
        return idempotency_key(self.engine.id, self.path, generation)

    def _judged(self, outcome: Outcome) -> Outcome:
        if self._expired is not None:
            return Outcome(
                None, self._timed_out(), outcome.delta, outcome.worker, outcome.cpu_ms, outcome.peak_rss_mb
            )
        if self.flow is not None and self.flow.recall is not None and self.ending is None:
            self.flow.recall.check()
        return judged(self.step.spec, outcome, self.engine.blobs)

    def _decide(self, came: Outcome | Value, due: float | None, calling: Calling) -> bool:
        """Conclude, or set the delay before the next attempt. True when it is over.

        Args:
            came: What came of the attempt: where nobody stood between, the output alone.
            due: When it was to be over.
            calling: How the node is called.
        """
        clock = self.engine.clock
        now = clock()
        if (due is not None and now >= due) or self.guards is not None:
            self._look_at_the_clock(due)
        if came.__class__ is Value and self._expired is None and self.ending is None and calling.takes(came):
            self.succeed(came, at=now)
            return True
        outcome = self._judged(came if isinstance(came, Outcome) else Outcome(came))
        self.record.measured(outcome)
        if self.ending is not None:
            self.conclude_interrupted()
        elif outcome.error is not None:
            return self._is_over(outcome, outcome.error)
        else:
            self.succeed(outcome.output, outcome.delta)  # type: ignore[arg-type]  # one that was judged
        return True

    def _is_over(self, outcome: Outcome, error: CallError) -> bool:
        """What a failed attempt is followed by: the step's end, or another one after a delay."""
        delay, record = None, self.record
        if not self._late:
            effects = self.step.spec.manifest.effects
            tries = record.attempts - (0 if self.log is None else self.log.lost)
            delay = next_delay_ms(error, self.step.retry, effects, tries, self.engine.random())
        if delay is None:
            self.delta = left_behind(self, outcome)
            self._conclude_error(error)
            return True
        self._delay_ms = delay
        self._expired = self.ending_scope = None
        if self.log is not None:
            self.log.write_retry(error, delay)
        self.engine.events.emit(
            "step.retry",
            self.path,
            attempt=record.attempts,
            error=error.to_json(),
            delay_ms=round(delay, 3),
        )
        return False

    def cut_off(self, error: BaseException, generation: int) -> None:
        """Something came of it that is no attempt's affair."""
        if generation != self.generation:
            return
        if isinstance(error, NodelingError):
            self._conclude_error(refused_step(error))
        elif isinstance(error, asyncio.CancelledError) and self.ending is None and self._late:
            self.calm()
            self._conclude_error(self._timed_out())
        else:
            super().cut_off(error, generation)

    # -- clocks

    def _limit(self, calling: Calling) -> float | None:
        """How long this attempt may take: what the step or its container says, never more than the node."""
        if calling.timeout_ms is not None or not calling.has_own_clock:
            return calling.timeout_ms or self._default_timeout_ms
        wanted = self.duration(self.step.timeout_ms, "timeout") or self._default_timeout_ms
        most = self.step.spec.timeout_ms
        return wanted if most is None else min(most, wanted or most)

    def ring(self) -> None:
        """The attempt's own time is over."""
        self.expire("timeout", self.limit_ms or 0.0)

    def _look_at_the_clock(self, due: float | None) -> None:
        """A node that held the loop came back before a timer could fire: its time is up all the same."""
        if self._expired is not None or self.ending is not None:
            return
        now = self.engine.clock()
        if self.guards is not None and self.guards.is_past_deadline(now):
            self._late, self._unresponsive = True, True
            self._expired = ("deadline", self.guards.deadline_ms)
        elif due is not None and now >= due:
            self._unresponsive = True
            self._expired = ("timeout", self.limit_ms or 0.0)

    def expire(self, limit: str, ms: float) -> None:
        """One of its times is over."""
        if self.done or self.ending is not None:
            return
        self._expired = (limit, ms)
        self._late = self._late or limit == "deadline"
        if self.unattended:
            self._conclude_error(self._timed_out())
            if self.team is not None:
                self.team.settled(self)
        elif self.flow is not None:
            self.flow.close(limit, self.interrupt)
        else:
            self.interrupt()

    def _timed_out(self) -> CallError:
        limit, ms = self._expired or ("timeout", 0.0)
        details: dict[str, Any] = {"limit": limit, "limit_ms": ms}
        if self._unresponsive:
            details["unresponsive"] = True  # the node kept the whole loop from running meanwhile
        return CallError(KILLED_DEADLINE, f"timed out after {ms:.0f} ms", "TimeoutError", details=details)

    def duration(self, value: float | Template | None, what: str) -> float | None:
        """A bound in milliseconds.

        Raises:
            NodelingError: It is an expression that gives none.
        """
        if not isinstance(value, Template):
            return value
        try:
            return milliseconds(value.evaluate(self.names))
        except DurationError as error:
            raise NodelingError(f"`{what}`: {error}", code="document.duration") from error

    # -- ends

    @property
    def scope_end(self) -> str | None:
        """How the node has its scope ended: `fail` counts when it failed, the others when it did not."""
        return scope_end_of(self.ending_scope, self.record)

    def end(self, reason: str) -> None:
        """End the step for good; a container's children end before the container does."""
        if self.done or self.ending is not None or self.answer is not None:
            return
        if self.flow is None:
            super().end(reason)
            return
        self.ending = reason
        self.flow.close(reason, self.interrupt)

    def hurry(self, reason: str) -> None:
        """End the step, and what cleans up inside it."""
        self.end(reason)
        if self.flow is not None and not self.done:
            self.flow.hurry(reason)

    def may_go_on(self) -> bool:
        """A container is waited for while its cleanup runs, a process until it is dead."""
        return self.is_bounded or (self.flow is not None and self.flow.cleans_up)

    def gave_up(self) -> bool:
        """The node did not come back. A timed-out attempt may be followed by another."""
        self.engine.leaked += 1
        if self.ending is not None or self._expired is None:
            self.conclude_interrupted()
            return False
        return not self._is_over(Outcome(), self._timed_out())

    def conclude_interrupted(self) -> None:
        """Cut short for good."""
        if self.done:
            return
        if self.ending is not None:
            self._conclude(self.unstarted if self.record.started_at is None else "cancelled", self.ending)
        elif self._expired is not None:
            self._conclude_error(self._timed_out())
        else:
            self._conclude_error(CallError(4000, "the node cancelled itself", "CancelledError"))

    def conclude_broken(self, error: Exception) -> None:
        """The engine failed at this step."""
        self._conclude_error(
            CallError("internal", f"{type(error).__name__}: {error}", type(error).__name__, False)
        )

    def take_over(self, delta: Delta, ends: tuple[str, str] | None) -> None:
        """It had ended before the run was resumed: so it has now."""
        self.delta, self.done, self.ending_scope = delta, True, ends
        self._end_above()

    def skip(self, reason: str) -> None:
        """End without having run."""
        self._conclude("skipped", reason)

    def fail(self, error: CallError) -> None:
        """End with an error that the engine found before the node was asked."""
        self._conclude_error(error)

    def succeed(
        self,
        output: Value,
        written: Mapping[str, bytes | None] = NOTHING_WRITTEN,
        reason: str | None = None,
        at: float | None = None,
    ) -> None:
        """End with an output that was judged."""
        if written or self.flow is not None or self.view.merged or self.step.set_var.__class__ is str:
            try:
                self.delta = writes_of(self, output, written)
            except NodelingError as error:
                self._conclude_error(refused_step(error))
                return
        self.record.output = output
        if self.guards is not None:
            self.guards.keep(output, written)
        self._conclude("succeeded", reason, at)

    def _conclude_error(self, error: CallError) -> None:
        if self.done:
            return
        self.record.error = error
        self.record.handled = self.step.continues and self.ending_scope is None
        if self.flow is not None:
            error.details = {**self.flow.account(), **error.details}
        self._conclude("failed", None)

    def _conclude(self, status: str, reason: str | None, at: float | None = None) -> None:
        self.done = True
        if self.guards is not None:
            self.guards.release()
        record = self.record
        record.status, record.reason = status, reason
        record.ended_at = self.engine.clock() if at is None else at
        if self.guards is not None:
            self.guards.report(status, record.error)
        if self.log is not None:
            self.log.journal.expect()  # whoever is told is told when that is kept
        self.engine.step_ended(record)
        if self.flow is not None:
            self.flow.over()
        if self.ending_scope is not None:
            self._end_above()

    def _end_above(self) -> None:
        how = self.scope_end
        if how is not None and self.ending_scope is not None and self.ending_scope[1] == "top":
            self.engine.end_from_within(how, self.record)

    def inner_view(self) -> View:
        """What a step behind this one would see."""
        return self.view.behind(self.record, self.delta, self.step.index)


def scope_end_of(wish: tuple[str, str] | None, record: StepRecord) -> str | None:
    """How a scope is to be ended as a step's node wished, now that it is known how the step ended."""
    if wish is None:
        return None
    return wish[0] if record.status == ("failed" if wish[0] == "fail" else "succeeded") else None
