"""A naive interpreter of workflows, by which the engine is judged.

It plays a scenario in virtual milliseconds. At each instant one thing happens (an attempt ends, a timer
falls due, somebody cancels); then the rules are applied, one kind after another and from the first again
whenever one of them changed something, until none does. Everything is scanned each time and nothing is
remembered that could be looked up: it is meant to be obviously right, never fast. It shares no code with
the engine; what both share is the data in docs/reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reference.conditions import ConditionRaisedError, evaluate, evaluate_link, join_is_met, ties
from reference.containers import ContainerRules
from reference.context import meet, overlay, script_writes
from reference.model import Scenario
from reference.report import report
from reference.result import RAISED, Result
from reference.rules import CONFLICT, TIMEOUT_CODE, Code, back_off_ms, code_is_retried
from reference.state import ScopeState, StepState, Writes

MAX_ROUNDS = 10_000


def interpret(scenario: Scenario) -> Result:
    """Play a scenario to its end."""
    return Simulation(scenario).play()


class Simulation(ContainerRules):
    """One run of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now = 0
        self.round = 0
        self.ready_counter = 0
        self.stopped_by_hand: str | None = None
        self.steps: list[StepState] = []
        self.by_name: dict[str, StepState] = {}
        self.scopes: list[ScopeState] = []
        self.starts: list[str] = []
        self.unclear: list[str] = []
        self.trace: Counter[str] = Counter()

    # -- the loop -------------------------------------------------------------------------------

    def play(self) -> Result:
        """Go from instant to instant until the top scope has ended."""
        top = ScopeState(None, "run", self.scenario.settings.on_failure, {})
        self.open(top, self.scenario.steps)
        self.settle()
        while top.outcome is None:
            due = sorted(self.due(), key=lambda event: event[0])
            if len(due) > 1 and due[0][0] == due[1][0]:
                self.unclear.append(f"two events at {due[0][0]} ms: {due[0][1]} and {due[1][1]}")
            self.now, self.round = due[0][0], 0
            self.happen(*due[0][1:])
            self.settle()
        self.unclear.extend(ties(self.steps))
        return report(self, top)

    def due(self) -> Iterator[tuple[int, str, StepState | None]]:
        """Everything that is going to happen by itself, with its time."""
        if self.stopped_by_hand is None:
            if self.scenario.cancel_at_ms is not None:
                yield self.scenario.cancel_at_ms, "cancelled", None
            if self.scenario.run_timeout_ms is not None:
                yield self.scenario.run_timeout_ms, "run_timeout", None
        for step in self.steps:
            if step.is_terminal:
                continue
            if step.attempt_end_at is not None:
                yield step.attempt_end_at, "attempt_end", step
            if step.timeout_at is not None:
                yield step.timeout_at, "timeout", step
            if step.retry_at is not None:
                yield step.retry_at, "retry", step
            if step.deadline_at is not None:
                yield step.deadline_at, "deadline", step

    def happen(self, what: str, step: StepState | None) -> None:
        """Let one event happen."""
        if step is None:
            self.stopped_by_hand = what
            self.note(f"run.{what}")
            self.cancel_scope(self.scopes[0], what)
        elif what == "attempt_end":
            self.end_leaf_attempt(step)
        elif what == "retry":
            step.retry_at = None
            self.start_attempt(step)
        else:
            self.note(f"clock.{what}")
            self.expire(step, what)

    def settle(self) -> None:
        """Apply the rules until nothing changes, then hand out permits."""
        kinds = (
            self.evaluate_links,
            self.apply_stop,
            self.apply_on_failure,
            self.judge_containers,
            self.decide_joins,
            self.advance_scopes,
        )
        self.round += 1
        while any(kind() for kind in kinds):
            self.round += 1
            if self.round > MAX_ROUNDS:
                raise AssertionError(f"the rules do not settle at {self.now} ms")
        self.hand_out_permits()

    def open_scopes(self) -> list[ScopeState]:
        """The scopes that have not ended, outermost first."""
        return [scope for scope in self.scopes if scope.outcome is None]

    def note(self, feature: str) -> None:
        """Count a rule that was exercised."""
        self.trace[feature] += 1

    # -- links and joins ------------------------------------------------------------------------

    def evaluate_links(self) -> bool:
        """Decide each link whose source is terminal; one whose `if` raises fails its target."""
        changed = False
        for scope in self.open_scopes():
            for step in scope.in_phase():
                for link in step.links:
                    if step.status == "pending" and link.state is None and link.source.is_terminal:
                        link.state = evaluate_link(link, self.by_name, self.trace)
                        changed = True
                        if link.state == "raised":
                            self.fail(step, RAISED)
        return changed

    def decide_joins(self) -> bool:
        """Start, or skip, each pending step whose join is met, or can no longer be."""
        decided = [
            (step, met)
            for scope in self.open_scopes()
            if scope.role != "nodes"
            for step in scope.in_phase()
            if step.status == "pending" and (met := join_is_met(step)) is not None
        ]
        for step, met in decided:
            self.mark_decided(step)
            join = "at_least" if isinstance(step.spec.join, int) else step.spec.join
            if step.links and step.links[0].link is not None:
                self.note(f"join.{join}.{'met' if met else 'unmet'}")
            if met:
                self.enter(step)
            else:
                self.skip(step, "upstream")
        return bool(decided)

    def mark_decided(self, step: StepState) -> None:
        """Freeze the links that are met at this moment."""
        step.decided_ms, step.decided_round = self.now, self.round
        step.frozen = [link for link in step.links if link.state == "met"]

    def enter(self, step: StepState) -> None:
        """Go past the join: activity, then the context, then the condition, then ready."""
        if not step.spec.active:
            self.skip(step, "inactive")
            return
        if not self.take_snapshot(step):
            self.note("context.conflict_at_join")
            self.fail(step, CONFLICT)
            return
        if step.spec.if_ is not None:
            try:
                allowed = evaluate(step.spec.if_, self.by_name, step.base)
            except ConditionRaisedError:
                self.note("if.raises")
                self.fail(step, RAISED)
                return
            self.note(f"if.{str(allowed).lower()}")
            if not allowed:
                self.skip(step, "condition")
                return
        self.make_ready(step)

    def make_ready(self, step: StepState) -> None:
        """A container starts at once; a leaf waits for a permit."""
        step.status, step.ready_ms, step.ready_round = "ready", self.now, self.round
        self.ready_counter += 1
        step.ready_seq = self.ready_counter
        if step.spec.deadline_ms is not None:
            step.deadline_at = self.now + step.spec.deadline_ms
        if step.spec.kind != "leaf":
            self.start_attempt(step)

    def take_snapshot(self, step: StepState) -> bool:
        """What the step sees; False when two writes meet here that cannot both be true."""
        failed = {source for source in step.ancestors if source.status == "failed"}
        if step.spec.trigger != "on_error":
            failed &= {link.source for link in step.frozen if link.names_failure()}
        is_handler = step.spec.trigger != "body"
        meeting = meet(step.ancestors, step.spec.merge or ("last" if is_handler else None), failed)
        if meeting.conflict:
            return False
        if meeting.borrowed:
            self.unclear.append(f"{step.path} sees a merge made by a step that did not succeed")
        if any(source.failed_delta for source in failed):
            self.note(f"context.failed_writes_seen_by_{step.spec.trigger}")
        if any(source.failed_delta and source.spec.kind != "leaf" for source in failed):
            self.note("context.failed_container_seen")
        if meeting.resolved and not is_handler:
            step.resolved = meeting.resolved
            self.note(f"merge.{step.spec.merge}")
        step.base = overlay(step.scope.base, meeting.values)
        return True

    # -- permits and attempts -------------------------------------------------------------------

    def hand_out_permits(self) -> None:
        """Start ready leaves in the order they became ready, as far as the bound goes."""
        queue = sorted((step for step in self.steps if step.status == "ready"), key=lambda s: s.ready_seq)
        bound = self.scenario.settings.max_concurrent
        free = len(queue) if bound is None else bound - sum(step.holds_permit for step in self.steps)
        granted, left = queue[:free], queue[free:]
        for step in left:
            for other in granted:
                same_place = (step.scope, step.ready_round) == (other.scope, other.ready_round)
                if step.ready_ms == other.ready_ms and not same_place:
                    self.unclear.append(f"{step.path} and {other.path} want one permit in one instant")
        if left:
            self.note("bound.reached")
        for step in granted:
            step.holds_permit = True
            self.start_attempt(step)

    def start_attempt(self, step: StepState) -> None:
        """Begin the next attempt, from the same snapshot as the first."""
        step.attempts += 1
        step.status = "running"
        if step.started_ms is None:
            step.started_ms = self.now
            self.starts.append(step.path)
        if step.spec.timeout_ms is not None:
            step.timeout_at = self.now + step.spec.timeout_ms
        if step.spec.kind == "leaf":
            step.attempt_end_at = self.now + step.spec.script(step.attempts).ms
        else:
            self.open_container(step)

    def end_leaf_attempt(self, step: StepState) -> None:
        """The script has run to its end."""
        script = step.spec.script(step.attempts)
        writes = script_writes(dict(script.set), script.delete)
        if script.fail is not None:
            self.end_failed_attempt(step, script.fail, script.retryable, writes)
            return
        if isinstance(step.spec.set_var, str):
            writes[step.spec.set_var] = script.output
            self.note("set_var")
        self.succeed(step, writes)

    def end_failed_attempt(
        self, step: StepState, code: Code | None, retryable: bool | None, writes: Writes
    ) -> None:
        """Try again after a pause, if the step's retry has it so; else the step has failed."""
        retry = step.spec.retry
        step.attempt_end_at = step.timeout_at = None
        if retry is not None and retry.attempts > 1:
            if step.attempts >= retry.attempts:
                self.note("retry.exhausted")
            elif code is not None and code_is_retried(code, retryable, retry):
                self.note("retry.used" if retry.on is None else "retry.used_with_on")
                step.status, step.limit = "waiting", None
                step.retry_at = self.now + back_off_ms(retry, step.attempts)
                return
            else:
                self.note("retry.refused" if retry.on is None else "retry.refused_with_on")
        step.failed_delta = writes
        self.fail(step, code)

    def expire(self, step: StepState, limit: str) -> None:
        """The step's timeout or deadline has passed."""
        if step.spec.kind != "leaf" and step.status == "running":
            step.expired = limit
            step.clear_timers()
            for scope in step.inner:
                self.cancel_scope(scope, "cancelled")
            return
        step.limit = limit
        if limit == "timeout":
            self.end_failed_attempt(step, TIMEOUT_CODE, None, {})
        else:
            self.fail(step, TIMEOUT_CODE)

    # -- ends -----------------------------------------------------------------------------------

    def finish(self, step: StepState, status: str, reason: str | None = None) -> None:
        """Make a step terminal."""
        step.status, step.reason = status, reason
        step.ended_ms, step.ended_round = self.now, self.round
        step.holds_permit = False
        step.clear_timers()

    def succeed(self, step: StepState, writes: Writes) -> None:
        step.delta = writes
        self.finish(step, "succeeded")

    def fail(self, step: StepState, code: Code | None) -> None:
        step.code = code
        self.finish(step, "failed")
        if step.spec.on_error_continue:
            self.note("on_error_continue")

    def doubt_start(self, step: StepState) -> None:
        """Whether a step that is ended in the instant in which it became ready has begun may be doubtful."""
        ended = [other for other in self.steps if other.ended_ms == self.now and other.spec.kind != "leaf"]
        begins = step.status == "ready" or step.ready_ms == self.now
        quick = any(other.started_ms == self.now for other in ended)
        if quick or (begins and (ended or step.spec.kind != "leaf")):
            self.unclear.append(f"{step.path} is ended in the instant in which it starts")

    def skip(self, step: StepState, reason: str) -> None:
        self.note(f"skipped.{reason}")
        self.finish(step, "skipped", reason)

    def cancel(self, step: StepState, reason: str) -> bool:
        """Cancel a step; a running container first lets its own cleanup end."""
        if step.is_terminal or step.ending or step.expired:
            return False
        self.note(f"cancelled.{reason}")
        self.doubt_start(step)
        if step.status == "running" and step.spec.kind != "leaf":
            step.ending = reason
            step.clear_timers()
            for scope in step.inner:
                self.cancel_scope(scope, reason)
        else:
            self.finish(step, "cancelled", reason)
        return True

    def cancel_scope(self, scope: ScopeState, reason: str) -> None:
        """Cancel what is not terminal; always steps and a `finally` run on."""
        if scope.outcome is not None or scope.cancelled or scope.role == "finally":
            return
        scope.cancelled = reason
        if scope.phase == "always":
            self.unclear.append("cancelled during the always phase")
            return
        for step in scope.in_phase():
            self.cancel(step, reason)

    # -- failure of a scope ---------------------------------------------------------------------

    def handling(self, failed: StepState) -> str:
        """Whether a failure is `handled`, `pending` (somebody may yet handle it) or `unhandled`."""
        if failed.spec.on_error_continue:
            return "handled"
        answer = "unhandled"
        for target in failed.scope.steps:
            for link in target.links:
                if link.source is not failed or link.state != "met" or not link.names_failure():
                    continue
                if target.status == "succeeded" and link in target.frozen:
                    return "handled"
                waits = target.status == "pending" or link in target.frozen
                if waits and not target.is_terminal and not target.ending:
                    answer = "pending"
        return answer

    def unhandled(self, scope: ScopeState, phase: str) -> list[StepState]:
        """The failures of a phase that nobody handled."""
        failed = [step for step in scope.in_phase(phase) if step.status == "failed"]
        return [step for step in failed if self.handling(step) == "unhandled"]

    def apply_stop(self) -> bool:
        """A step with `stop: true` that succeeded ends its scope."""
        for scope in self.open_scopes():
            stopping = [step for step in scope.in_phase() if step.spec.stop and step.status == "succeeded"]
            if not stopping or scope.stopped or scope.role == "nodes":
                continue
            scope.stopped = True
            self.note("stop")
            for step in scope.in_phase():
                if step.status in ("pending", "ready"):
                    self.doubt_start(step)
                    self.skip(step, "stopped")
                else:
                    self.cancel(step, "stopped")
            return True
        return False

    def apply_on_failure(self) -> bool:
        """Under `on_failure: stop` an unhandled failure cancels the rest of the body at once."""
        for scope in self.open_scopes():
            if scope.on_failure != "stop" or scope.phase != "body" or scope.cancelled:
                continue
            pending = [step for step in scope.in_phase() if step.status == "failed"]
            if any(self.handling(step) == "pending" for step in pending):
                self.note("on_failure.waits")
            if self.unhandled(scope, "body"):
                cancelled = [self.cancel(step, "stopped_by") for step in scope.in_phase()]
                if any(cancelled):
                    self.note("on_failure.stop")
                    return True
        return False
