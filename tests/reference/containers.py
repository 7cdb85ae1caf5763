"""How scopes go through their phases, and how containers live on their scopes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

from reference.context import meet, overlay
from reference.model import Execution, Step
from reference.rules import CONFLICT, TIMEOUT_CODE, Code
from reference.state import ScopeState, StepState, Writes, open_scope


class ContainerRules(ABC):
    """The part of a simulation that is about scopes and containers."""

    steps: list[StepState]
    by_name: dict[str, StepState]
    scopes: list[ScopeState]
    unclear: list[str]
    now: int
    trace: Counter[str]

    @abstractmethod
    def note(self, feature: str) -> None: ...
    @abstractmethod
    def open_scopes(self) -> list[ScopeState]: ...
    @abstractmethod
    def mark_decided(self, step: StepState) -> None: ...
    @abstractmethod
    def enter(self, step: StepState) -> None: ...
    @abstractmethod
    def finish(self, step: StepState, status: str, reason: str | None = None) -> None: ...
    @abstractmethod
    def succeed(self, step: StepState, writes: Writes) -> None: ...
    @abstractmethod
    def fail(self, step: StepState, code: Code | None) -> None: ...
    @abstractmethod
    def skip(self, step: StepState, reason: str) -> None: ...
    @abstractmethod
    def end_failed_attempt(
        self, step: StepState, code: Code | None, retryable: bool | None, writes: Writes
    ) -> None: ...
    @abstractmethod
    def cancel_scope(self, scope: ScopeState, reason: str) -> None: ...
    @abstractmethod
    def unhandled(self, scope: ScopeState, phase: str) -> list[StepState]: ...

    # -- scopes ---------------------------------------------------------------------------------

    def open(self, scope: ScopeState, specs: Sequence[Step]) -> None:
        """Begin a scope with its steps."""
        prefix = f"{scope.owner.path}/" if scope.owner else ""
        open_scope(scope, specs, prefix, len(self.steps))
        self.steps.extend(scope.steps)
        self.by_name.update((step.spec.name, step) for step in scope.steps)
        self.scopes.append(scope)

    def advance_scopes(self) -> bool:
        """Go to the next phase, or to the end, wherever a phase is terminal."""
        ripe = [
            scope
            for scope in self.open_scopes()
            if scope.role != "nodes" and all(step.is_terminal for step in scope.in_phase())
        ]
        for scope in ripe:
            if scope.phase == "body":
                self.leave_body(scope)
            elif scope.phase == "on_error":
                scope.phase = "always"
                self.judge_recovery(scope)
            else:
                self.end_scope(scope)
        return bool(ripe)

    def leave_body(self, scope: ScopeState) -> None:
        """To the on_error steps if the body failed and was not cancelled, else past them."""
        handlers = scope.in_phase("on_error")
        if self.unhandled(scope, "body") and not scope.cancelled and handlers:
            scope.phase = "on_error"
            self.note("phase.on_error")
            return
        for step in handlers:
            self.note("phase.on_error_passed_over" if scope.cancelled else "phase.on_error_not_needed")
            self.skip(step, "upstream")
        scope.phase = "always"
        if scope.in_phase():
            self.note("phase.always_after_cancel" if scope.cancelled else "phase.always")

    def judge_recovery(self, scope: ScopeState) -> None:
        """A recovering handler counts only when every handler that ran succeeded."""
        ran = [step for step in scope.in_phase("on_error") if step.started_ms is not None or _broke(step)]
        recovering = [step for step in ran if step.spec.recover and step.status == "succeeded"]
        everyone = all(step.status == "succeeded" for step in ran)
        scope.recovered = bool(recovering) and everyone and not scope.cancelled
        if any(step.spec.recover for step in scope.in_phase("on_error")):
            self.note("recover.succeeded" if scope.recovered else "recover.failed")
        if scope.in_phase("always"):
            self.note("phase.always")

    def end_scope(self, scope: ScopeState) -> None:
        """Judge the scope, and join what its steps wrote."""
        body_failed = bool(self.unhandled(scope, "body")) and not scope.recovered
        handler_failed = not scope.recovered and bool(self.unhandled(scope, "on_error"))
        cleanup_failed = bool(self.unhandled(scope, "always"))
        owner_merge = scope.owner.spec.merge if scope.owner else None
        meeting = meet(scope.steps, owner_merge)
        if scope.owner is not None:
            self.note("nested_scope")
        if meeting.borrowed:
            self.unclear.append("a scope ends with a merge made by a step that did not succeed")
        if scope.cancelled and cleanup_failed:
            self.unclear.append("an always step failed after a cancel")
        if scope.cancelled:
            scope.outcome = "cancelled"
        elif body_failed or handler_failed or cleanup_failed:
            scope.outcome = "failed"
        elif meeting.conflict:
            self.note("conflict_at_scope_end")
            scope.outcome, scope.code = "failed", CONFLICT
            self.doubt_conflict(scope, meeting.conflict[1])
        else:
            scope.outcome = "succeeded"
            if meeting.resolved:
                self.note(f"merge_at_scope_end.{owner_merge}")
        succeeded = scope.outcome == "succeeded"
        scope.delta = meeting.values if succeeded else meet(scope.steps, "last").values

    def doubt_conflict(self, scope: ScopeState, writers: Sequence[str]) -> None:
        """Whether a conflict still stands at the end is doubtful when somebody met it before."""
        for step in scope.steps:
            met_both = sum(other.path in writers for other in step.ancestors) > 1
            passed_join = step.spec.trigger != "body" and step.started_ms is not None
            if met_both and (passed_join or step.code == CONFLICT):
                self.unclear.append(f"{step.path} met a conflict that stands at the end of its scope")

    # -- containers -----------------------------------------------------------------------------

    def open_container(self, step: StepState) -> None:
        """Open the first scope of a container's attempt; the steps of a former attempt are forgotten."""
        self.steps = [other for other in self.steps if not other.path.startswith(f"{step.path}/")]
        role = {"sequence": "steps", "parallel": "nodes", "try": "try"}[step.spec.kind]
        step.inner = []
        self.open_inner(step, role, step.spec.body, step.base)

    def open_inner(self, step: StepState, role: str, specs: Sequence[Step], base: Writes) -> None:
        """Open one list of a container's children."""
        on_failure = step.spec.on_failure if role == "steps" else "continue"
        scope = ScopeState(step, role, on_failure, base)  # type: ignore[arg-type]
        step.inner.append(scope)
        self.open(scope, specs)

    def judge_containers(self) -> bool:
        """Let each running container do its next thing."""
        judges = {"sequence": self.judge_sequence, "parallel": self.judge_parallel, "try": self.judge_try}
        return any(
            judges[step.spec.kind](step)
            for step in list(self.steps)
            if step.status == "running" and step.spec.kind != "leaf"
        )

    def judge_sequence(self, step: StepState) -> bool:
        """A sequence ends as its one scope does."""
        scope = step.inner[0]
        if scope.outcome is None:
            return False
        return self.conclude(step, scope.outcome == "succeeded", scope.code, scope.delta)

    def conclude(self, step: StepState, succeeded: bool, code: Code | None, writes: Writes) -> bool:
        """End a container's attempt."""
        if step.ending is not None:
            self.finish(step, "cancelled", step.ending)
        elif step.expired == "timeout":
            step.limit, step.expired = "timeout", None
            self.end_failed_attempt(step, TIMEOUT_CODE, None, {})
        elif step.expired is not None:
            step.limit = step.expired
            self.fail(step, TIMEOUT_CODE)
        elif succeeded:
            self.succeed(step, writes)
        else:
            self.end_failed_attempt(step, code, None, writes)
        return True

    def judge_parallel(self, step: StepState) -> bool:
        """Fail fast before anything else, then fill the slots, then end."""
        scope, execution = step.inner[0], step.spec.execution or Execution()
        failed = [child for child in scope.steps if child.status == "failed"]
        failed = [child for child in failed if not child.spec.on_error_continue]
        fail_fast = execution.error_handling == "fail-fast"
        if failed and fail_fast and not scope.cancelled:
            self.note("parallel.fail_fast")
            if any(child.status == "ready" and child.ready_ms == self.now for child in scope.steps):
                self.unclear.append(f"{step.path} fails in the instant in which children start")
            self.cancel_scope(scope, "cancelled")
            return True
        waiting = [child for child in scope.steps if child.status == "pending"]
        busy = [child for child in scope.steps if child.status != "pending" and not child.is_terminal]
        if waiting:
            if len(busy) >= execution.max_concurrent:
                self.note("parallel.bound_reached")
                return False
            self.mark_decided(waiting[0])
            self.enter(waiting[0])
            return True
        return not busy and self.end_parallel(step, bool(failed) and fail_fast)

    def end_parallel(self, step: StepState, failed_fast: bool) -> bool:
        """Every child is terminal: count them, and merge what the successful ones wrote."""
        scope, execution = step.inner[0], step.spec.execution or Execution()
        succeeded = [child for child in scope.steps if child.status == "succeeded"]
        meeting = meet(scope.steps, step.spec.merge)
        code: Code | None = None
        if failed_fast:
            self.note("parallel.failed")
        elif len(succeeded) < execution.min_success:
            self.note("parallel.min_success_unmet")
            code = "container.min_success"
        elif meeting.conflict and not (step.ending or step.expired):
            self.note("parallel.conflict")
            code = CONFLICT
        elif not (step.ending or step.expired):
            self.note("parallel.partial" if len(succeeded) < len(scope.steps) else "parallel.succeeded")
        good = not failed_fast and code is None
        if good and meeting.resolved:
            self.note(f"parallel.merge.{step.spec.merge}")
        scope.outcome = "cancelled" if step.ending or step.expired else "succeeded" if good else "failed"
        return self.conclude(step, good, code, meeting.values if good else {})

    def judge_try(self, step: StepState) -> bool:
        """The try list, then the catch list if that failed, then the finally list whatever happened."""
        scopes = {scope.role: scope for scope in step.inner}
        if any(scope.outcome is None for scope in step.inner):
            return False
        so_far: Writes = {}
        for scope in step.inner:
            so_far.update(scope.delta)
        broken_off = bool(step.ending or step.expired)
        wants_catch = scopes["try"].outcome == "failed" and bool(step.spec.catch)
        if wants_catch and "catch" not in scopes and "finally" not in scopes and not broken_off:
            self.note("try.catch")
            self.open_inner(step, "catch", step.spec.catch, overlay(step.base, so_far))
            return True
        if step.spec.finally_ and "finally" not in scopes:
            self.note("try.finally_after_cancel" if broken_off else "try.finally")
            self.open_inner(step, "finally", step.spec.finally_, overlay(step.base, so_far))
            return True
        if wants_catch and "catch" in scopes:
            good = scopes["catch"].outcome == "succeeded"
            self.note("try.caught" if good else "try.catch_failed")
        else:
            good = scopes["try"].outcome == "succeeded"
        if "finally" in scopes and scopes["finally"].outcome == "failed":
            self.note("try.finally_failed")
            good = False
        return self.conclude(step, good, None, so_far)


def _broke(step: StepState) -> bool:
    """Whether a handler failed before it could start, which counts as having run."""
    return step.status == "failed"
