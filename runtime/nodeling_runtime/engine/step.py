"""One run of one step: permits, attempts, clocks, and exactly one end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome, idempotency_key
from nodeling_runtime.dispatch.straight import straight
from nodeling_runtime.engine.attempts import KILLED_DEADLINE, next_delay_ms
from nodeling_runtime.engine.calling import Calling, calling_of
from nodeling_runtime.engine.context import UNWRITTEN, Delta, Frame, View, Write, join_deltas
from nodeling_runtime.engine.failure import lost_with_its_process, refused_step
from nodeling_runtime.engine.flow import FlowHandle
from nodeling_runtime.engine.given import judged, prepared
from nodeling_runtime.engine.job_log import StepLog
from nodeling_runtime.engine.keys import container_keys
from nodeling_runtime.engine.names import Names
from nodeling_runtime.engine.permits import Permits
from nodeling_runtime.engine.record import StepRecord
from nodeling_runtime.engine.source import StepSource
from nodeling_runtime.engine.team import Job, Slot, absorb
from nodeling_runtime.expressions.record import to_plain
from nodeling_runtime.expressions.template import Template
from nodeling_runtime.values import NULL, Value
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Cache, Circuit, Step

if TYPE_CHECKING:
    from nodeling_runtime.engine.cached import Entry
    from nodeling_runtime.engine.circuit import Breaker
    from nodeling_runtime.engine.gate import Gate
    from nodeling_runtime.engine.run import Run

Parts = Callable[[str], Any]
NOTHING_SET: dict[str, Any] = {}
NO_PERMITS: list[Permits] = []


class StepJob(Job):
    """A step on its way from ready to its end."""

    log: StepLog | None = None  # its part of the journal, where there is one
    delta: Delta = UNWRITTEN
    partial: Delta = UNWRITTEN  # a single step leaves nothing behind unless it succeeds
    flow: FlowHandle | None = None
    ending_scope: tuple[str, str] | None = None  # how and which, when the node asked for it
    unstarted = "cancelled"  # what it is when it is ended before it started
    _names: Names | None = None
    _expired: tuple[str, float] | None = None
    _inputs: Value | None = None
    _keys: dict[str, Any] | None = None
    _delay_ms: float | None = None
    _deadline: asyncio.TimerHandle | None = None
    _due: float | None = None  # when the attempt's own timeout is over
    _limit_ms: float | None = None  # and how long that is
    _late = False
    _unresponsive = False
    _is_bounded = False  # whether the call that is under way ends by itself when it is told to
    _is_permitted = False
    _config = NOTHING_SET  # never written to: a step's own takes its place
    _holds = NO_PERMITS
    _breaker: Breaker | None = None
    _entry: Entry | None = None  # where an output of its is kept for later calls

    def __init__(
        self,
        run: Run,
        step: Step,
        view: View,
        path: str,
        parts: Parts,
        *,
        record: StepRecord,
        default_timeout_ms: float | None = None,
        overlay: Mapping[str, Any] | None = None,
        trail: str | None = None,
    ) -> None:
        self.engine = run
        self.step = step
        self.view = view
        self.path = path
        self.trail = trail or path  # its place in the history: the path, with the attempts of its containers
        self.parts = parts
        self.record = record
        self._default_timeout_ms = default_timeout_ms
        self._overlay = overlay
        record.ready_at = run.clock()
        if run.journal is not None:
            self.log = StepLog(self, run.journal, self.trail)
            self._delay_ms = self.log.delay_ms

    @property
    def names(self) -> Names:
        """What its expressions may name."""
        if self._names is None:
            self._names = Names(self.view, self._part)
        return self._names

    # -- the story

    async def run(self) -> None:
        """All attempts, from the permits to the end."""
        mine = self.generation
        try:
            if not self._begins_at_once() and await self._is_over_before():
                return
            while True:
                if self._delay_ms is None and self.log is None:
                    self.record.attempts += 1
                else:
                    await self._get_ready()
                outcome = await self._attempt(mine)
                if mine != self.generation or self._decide(outcome):
                    return
        except asyncio.CancelledError:
            if mine == self.generation and self.ending is None and self._late:
                self.calm()
                self._conclude_error(self._timed_out())
                return
            raise
        except NodelingError as error:
            if mine == self.generation:
                self._conclude_error(refused_step(error))

    async def _get_ready(self) -> None:
        """Wait for the next attempt's time, and count it."""
        if self._delay_ms is not None:
            await self._back_off()
        if self.log is None:
            self.record.attempts += 1
        else:
            await self.log.count()

    def _begins_at_once(self) -> bool:
        """Begin, unless there is something to wait for before that."""
        if self._is_permitted:
            return True
        step = self.step
        if self.gate is not None or step.cache is not None or step.circuit is not None or step.fails_lost:
            return False
        if not step.is_container and self.engine.permits_for(step.spec):
            return False
        if step.deadline_ms is not None:
            self._arm_deadline()
        self._begin()
        return True

    async def _is_over_before(self) -> bool:
        """Wait for its turn and its permits, and begin. True when it is over with that: no call is made."""
        if self.log is not None:
            if self.gate is not None and await self._has_ended(self.log, self.gate):
                return True
            if self.log.is_given_up:
                self._conclude_error(lost_with_its_process())
                return True
        if self.step.deadline_ms is not None:
            self._arm_deadline()
        if not self.step.is_container:
            for permits in self.engine.permits_for(self.step.spec):
                if not permits.try_acquire():
                    await permits.acquire()
                self._holds = [*self._holds, permits]
        self._is_permitted = True
        if self.step.cache is not None and await self._takes_over(self.step.cache):
            return True
        if self.step.circuit is not None and await self._is_refused(self.step.circuit):
            return True
        self._begin()
        return False

    async def _has_ended(self, log: StepLog, gate: Gate) -> bool:
        """Wait for this child's turn among those of a resumed container. True when it had ended before."""
        ended = await log.answer(self, gate)
        if ended is None:
            return False
        self.delta, self.done, self.ending_scope = ended.delta, True, ended.ends
        self._end_above()
        return True

    def _begin(self) -> None:
        self._is_permitted = True
        if self.record.started_at is None:
            self.record.started_at = self.engine.clock()
        self.record.status = "running"
        if self.counted is not None:
            self.counted(self)
        if self.engine.events.active:
            self.engine.events.emit(
                "step.started",
                self.path,
                node=self.step.node,
                name=self.step.name,
                waited_for=list(self.record.waited_for),
                container=self.step.is_container,
            )

    async def _takes_over(self, cache: Cache) -> bool:
        """Whether an earlier call's output is there, and is this step's now."""
        from nodeling_runtime.engine.cached import REASON, Entry

        inputs = self._inputs = self._prepared(calling_of(self.view.frame, self.step))
        key = None if cache.key is None else to_plain(cache.key.evaluate(self.names))
        shared, mine = self.engine.shared, self.generation
        given = None if cache.any_inputs else (inputs, self._config)
        self._entry = Entry(shared, self.step.spec, given, key, cache.ttl_ms)
        hit = await self._entry.read()
        if hit is None or mine != self.generation or self.ending is not None:
            return False
        self.engine.events.emit("step.cached", self.path, run=hit.run_id, by=hit.step, at=hit.at)
        self._entry = None
        self._succeed(hit.outcome, REASON)
        return True

    async def _is_refused(self, circuit: Circuit) -> bool:
        """Whether the node failed so often lately that it is not called now."""
        from nodeling_runtime.engine.circuit import Breaker

        breaker = Breaker(self.engine.shared, circuit, self.step.spec.name)
        refusal, mine = await breaker.enter(self.engine.now()), self.generation
        if refusal is None:
            self._breaker = breaker
            return False
        if mine == self.generation:
            self._conclude_error(refusal)
        return True

    def _arm_deadline(self) -> None:
        limit = self._duration(self.step.deadline_ms, "deadline")
        if limit is not None:
            loop = asyncio.get_running_loop()
            due = self.engine.clock() + limit / 1_000
            if self.log is not None and self.log.begun is not None and self.record.ready_at is not None:
                due = self.record.ready_at + limit / 1_000
            self._deadline = loop.call_at(due, self._expire, "deadline", limit)

    async def _back_off(self) -> None:
        delay, self._delay_ms = self._delay_ms or 0.0, None
        await asyncio.sleep(delay / 1_000)

    async def _attempt(self, mine: int) -> Outcome:
        calling = calling_of(self.view.frame, self.step)
        limit = self._limit(calling)
        slot = self._worker_slot()
        asked = self._asked(calling, slot, limit)
        try:
            outcome = await asked
        except asyncio.CancelledError:
            if mine != self.generation or self.ending is not None:
                raise
            if self._expired is None:
                await self._settle_down()
                return Outcome(None, CallError(4000, "the node cancelled itself", "CancelledError"))
            outcome = Outcome()
        finally:
            self._is_bounded = False
            slot.clear()
        if mine != self.generation:
            return outcome
        if self._expired is None and self.ending is None:
            self._look_at_the_clock(limit)
        if self._is_unsettled():
            await self._settle_down()
        return self._judged(calling, outcome)

    def _worker_slot(self) -> Slot:
        if self.slot is None:
            raise AssertionError("an attempt is made by a worker")
        return self.slot

    def _asked(self, calling: Calling, slot: Slot, limit: float | None) -> Awaitable[Outcome]:
        """The node's answer, to be awaited at once: its time may have begun."""
        self._expired = self.ending_scope = None
        inputs = self._inputs
        if inputs is None:
            inputs = self._inputs = self._prepared(calling)
        direct = calling.direct() if inputs.__class__ is Value else None
        if direct is not None:
            self._start_clock(slot, limit)
            return straight(direct, inputs, self.engine.blobs)
        call = self._call(inputs, slot, limit)
        return self.engine.dispatcher_for(self.step.spec).call(call)

    def _judged(self, calling: Calling, outcome: Outcome) -> Outcome:
        if self._expired is not None:
            return Outcome(
                None, self._timed_out(), outcome.delta, outcome.worker, outcome.cpu_ms, outcome.peak_rss_mb
            )
        if self.flow is not None and self.flow.recall is not None and self.ending is None:
            self.flow.recall.check()
        if outcome.output is not None and not calling.judges_output:
            return outcome
        return judged(self.step.spec, outcome, self.engine.blobs)

    def _limit(self, calling: Calling) -> float | None:
        """How long this attempt may take: what the step or its container says, never more than the node."""
        if not calling.has_own_clock:
            return self._default_timeout_ms
        wanted = self._duration(self.step.timeout_ms, "timeout") or self._default_timeout_ms
        most = self.step.spec.timeout_ms
        return wanted if most is None else min(most, wanted or most)

    def _start_clock(self, slot: Slot, limit: float | None) -> None:
        """Arm the attempt's timeout."""
        self._limit_ms, self._due = limit, None
        if limit is not None:
            self._due = self.engine.clock() + limit / 1_000
            slot.set(self._due, self._ring)

    def _ring(self) -> None:
        """The attempt's own time is over."""
        self._expire("timeout", self._limit_ms or 0.0)

    def _look_at_the_clock(self, limit: float | None) -> None:
        """A node that held the loop came back before a timer could fire: its time is up all the same."""
        now = self.engine.clock()
        if self._deadline is not None and self.step.deadline_ms is not None and now >= self._deadline.when():
            self._late, self._unresponsive = True, True
            self._expired = ("deadline", self._duration(self.step.deadline_ms, "deadline") or 0.0)
        elif limit is not None and self._due is not None and now >= self._due:
            self._unresponsive = True
            self._expired = ("timeout", limit)

    def _is_unsettled(self) -> bool:
        """Whether a cancellation was sent that nobody has taken back."""
        return self._interrupted or (self.task is not None and self.task.cancelling() > 0)

    async def _settle_down(self) -> None:
        """A cancellation that the node swallowed, or sent to itself, must not reach what comes after it."""
        if self._interrupted:
            self.calm()
        elif self.task is not None and self.task.cancelling():
            await absorb(self.task)

    def _decide(self, outcome: Outcome) -> bool:
        """Conclude, or set the delay before the next attempt. True when it is over."""
        record = self.record
        record.measured(outcome)
        if self.ending is not None:
            self.conclude_interrupted()
            return True
        if outcome.error is None:
            self._succeed(outcome)
            return True
        delay = None
        if not self._late:
            effects = self.step.spec.manifest.effects
            tries = record.attempts - (0 if self.log is None else self.log.lost)
            delay = next_delay_ms(outcome.error, self.step.retry, effects, tries, self.engine.random())
        if delay is None:
            self._leave_behind(outcome)
            self._conclude_error(outcome.error)
            return True
        self._delay_ms = delay
        if self.log is not None:
            self.log.write_retry(outcome.error, delay)
        self.engine.events.emit(
            "step.retry",
            self.path,
            attempt=record.attempts,
            error=outcome.error.to_json(),
            delay_ms=round(delay, 3),
        )
        return False

    # -- clocks

    def _expire(self, limit: str, ms: float) -> None:
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

    def _duration(self, value: float | Template | None, what: str) -> float | None:
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
        return self._is_bounded or (self.flow is not None and self.flow.cleans_up)

    def gave_up(self) -> bool:
        """The node did not come back. A timed-out attempt may be followed by another."""
        self.engine.leaked += 1
        if self.ending is not None or self._expired is None:
            self.conclude_interrupted()
            return False
        return not self._decide(Outcome(None, self._timed_out()))

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

    def skip(self, reason: str) -> None:
        """End without having run."""
        self._conclude("skipped", reason)

    def fail(self, error: CallError) -> None:
        """End with an error that the engine found before the node was asked."""
        self._conclude_error(error)

    def _succeed(self, outcome: Outcome, reason: str | None = None) -> None:
        try:
            self.delta = self._writes(outcome)
        except NodelingError as error:
            self._conclude_error(refused_step(error))
            return
        self.record.output = outcome.output
        if self._entry is not None:
            run = self.engine
            self._entry.keep(outcome, run.redactor, run.id, self.step.name, run.now())
        self._conclude("succeeded", reason)

    def _writes(self, outcome: Outcome) -> Delta:
        name, index = self.step.name, self.step.index
        if not (self.view.merged or outcome.delta or self.flow or isinstance(self.step.set_var, str)):
            return UNWRITTEN
        writes = {key: Write(index, write.data, write.who) for key, write in self.view.merged.items()}
        if self.flow is not None:
            adopted = join_deltas(self.flow.adopted(), self.step.merge)
            writes.update({key: Write(index, write.data, write.who) for key, write in adopted.items()})
        writes.update({key: Write(index, data, name) for key, data in outcome.delta.items()})
        if isinstance(self.step.set_var, str) and outcome.output is not None:
            data = outcome.output.data
            self.engine.blobs.pin(data)
            writes[self.step.set_var] = Write(index, data, name)
        return writes

    def _leave_behind(self, outcome: Outcome) -> None:
        """Keep what a failed attempt wrote, and what the children wrote that its container let out."""
        writes: dict[str, Write] = {} if self.flow is None else join_deltas(self.flow.adopted(), "last")
        own = {key: Write(self.step.index, data, self.step.name) for key, data in outcome.delta.items()}
        self.delta = {**writes, **own}

    def _conclude_error(self, error: CallError) -> None:
        if self.done:
            return
        self.record.error = error
        self.record.handled = self.step.continues and self.ending_scope is None
        if self.flow is not None:
            error.details = {**self.flow.account(), **error.details}
        self._conclude("failed", None)

    def _conclude(self, status: str, reason: str | None) -> None:
        self.done = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._holds:
            for permits in reversed(self._holds):
                permits.release()
            self._holds = NO_PERMITS
        record = self.record
        record.status, record.reason, record.ended_at = status, reason, self.engine.clock()
        if self._breaker is not None:
            self._breaker.leave(self.engine.now(), status, record.error)
        if self.log is not None:
            self.log.journal.expect()  # whoever is told is told when that is kept
        self.engine.step_ended(record)
        if self.ending_scope is not None:
            self._end_above()

    def _end_above(self) -> None:
        how = self.scope_end
        if how is not None and self.ending_scope is not None and self.ending_scope[1] == "top":
            self.engine.end_from_within(how, self.record)

    def beside(
        self,
        step: Step,
        frame: Frame,
        path: str,
        parts: Parts,
        record: StepRecord,
        timeout_ms: float | None,
        overlay: Mapping[str, Any] | None,
        trail: str | None,
    ) -> StepJob:
        """The job of a child of this container that is in no scope's order."""
        return StepJob(
            self.engine,
            step,
            frame.view(0, None),
            path,
            parts,
            record=record,
            default_timeout_ms=timeout_ms,
            overlay=overlay,
            trail=trail,
        )

    def inner_view(self) -> View:
        """What a step behind this one would see. Only a child that is alone in its frame is asked."""
        frame, index = self.view.frame, self.step.index
        if self.record.status != "succeeded":
            return frame.view(self.view.visible, "last")
        if frame.outputs[index] is None:
            frame.outputs[index] = self.record.output
            frame.write(index, self.delta)
        return frame.view(self.view.visible | 1 << index, "last")

    # -- the call

    def _call(self, inputs: Value, slot: Slot, limit: float | None) -> NodeCall:
        """The call in full. Its time begins now, or when a worker takes it, whose wait has its own bounds."""
        spec, step = self.step.spec, self.step
        if spec.manifest.flow:
            self.flow = FlowHandle(self, self._keys or {})
        path, mine = self.path, self.generation

        def emit(kind: str, data: dict[str, Any]) -> None:
            if mine != self.generation or self.done:  # what was given up is heard no more
                return
            if kind == "end_scope":
                self.ending_scope = (data["how"], data["target"])
                return
            if kind == "log" and self.log is not None:
                self.log.journal.note_log(self.trail, data)
            self.engine.events.emit(f"step.{kind}", path, **data)

        call = NodeCall(
            spec=spec,
            inputs=inputs,
            config=self._config,
            secrets=self.engine.secrets_for(step),
            source=StepSource(self.view, self._part, self.engine.step_names, spec.manifest.reads),
            emit=emit,
            run_id=self.engine.id,
            step=step.name,
            attempt=self.record.attempts,
            idempotency_key=self._key,
            deadline=None,  # from the hand-over on
            work_root=self.engine.work_root,
            flow=self.flow,
            blobs=self.engine.blobs,
        )

        def begin() -> None:
            self._start_clock(slot, limit)
            call.deadline = self._epoch_deadline(limit)

        if spec.runs_in == "worker":
            self._limit_ms, self._due = limit, None
            call.handed_over = begin
        else:
            begin()
        self._is_bounded = spec.runs_in != "inprocess"
        return call

    def _epoch_deadline(self, limit_ms: float | None) -> float | None:
        """The earliest of all the ends that this attempt has, in seconds since the epoch."""
        left = None if limit_ms is None else limit_ms / 1_000
        if self._deadline is not None:
            rest = self._deadline.when() - self.engine.clock()
            left = rest if left is None else min(left, rest)
        rest_of_run = self.engine.remaining()
        if rest_of_run is not None:
            left = rest_of_run if left is None else min(left, rest_of_run)
        return None if left is None else self.engine.now() + left

    def _prepared(self, calling: Calling) -> Value:
        """Evaluate what the node is given, once for all attempts."""
        step = self.step
        if calling.is_container:
            self._keys = container_keys(step, self.names, self.engine.journal, self.trail)
            return NULL
        overrides = self.engine.parameters.get(step.name)
        if calling.constant is not None and not (overrides or self._overlay):
            return calling.constant
        self._config, inputs = prepared(
            step, self.names, self.engine.blobs, overrides, self._overlay, calling.takes_no_config
        )
        return inputs

    def _key(self) -> str:
        journal = self.engine.journal
        generation = 0 if journal is None else journal.recorded.generation(self.trail)
        return idempotency_key(self.engine.id, self.path, generation)

    def _part(self, name: str) -> Any:
        return self._config if name == "config" else self.parts(name)


def scope_end_of(wish: tuple[str, str] | None, record: StepRecord) -> str | None:
    """How a scope is to be ended as a step's node wished, now that it is known how the step ended."""
    if wish is None:
        return None
    return wish[0] if record.status == ("failed" if wish[0] == "fail" else "succeeded") else None
