"""That a defect of the engine would be seen: each one planted here must show as a difference.

A defect is one rule of the scheduler, of the context or of the clocks done wrongly. One that went
unnoticed would be one that the engine could have as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from nodeling_runtime.engine import attempts, flow, scope_job, step
from nodeling_runtime.engine.context import Frame, View, Write
from nodeling_runtime.engine.scheduler import PENDING, Scheduler
from nodeling_runtime.workflow.plan import CANCELLED, FAILED, SKIPPED, SUCCEEDED, Plan, PlanLink
from reference import adapter
from reference.compare import differences
from reference.graphs import random_case
from reference.interpreter import interpret
from reference.model import Scenario
from reference.result import Result
from reference.shorthand import bad, ok, on

SEED = "planted"
COUNT = 1_200

RARE = (
    Scenario(
        (
            ok("quick", 10),
            bad("slow", 50),
            ok("target", 90, needs=(on("quick"), on("slow", "failure")), join="any"),
        )
    ),
)
"""What chance seldom draws: a handler that started before the failure that its link names."""

Patch = pytest.MonkeyPatch
DEFECTS: list[Callable[[Patch], None]] = []


def defect(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    DEFECTS.append(plant)
    return plant


@pytest.fixture(scope="module")
def cases() -> list[tuple[Scenario, Result]]:
    drawn = [random_case(random.Random(f"{SEED}:{number}"), 12) for number in range(COUNT)]
    return [*drawn, *((scenario, interpret(scenario)) for scenario in RARE)]


def is_seen(cases: list[tuple[Scenario, Result]]) -> bool:
    for scenario, expected in cases:
        try:
            if differences(expected, adapter.engine_account(scenario)):
                return True
        except (AssertionError, KeyError):  # it stopped dead, or fell over its own state
            return True
    return False


def test_without_a_defect_nothing_differs(cases: list[tuple[Scenario, Result]]) -> None:
    assert not is_seen(cases)


def change_plan(patch: Patch, change: Callable[[Plan], Plan]) -> None:
    honest = Scheduler.__init__
    patch.setattr(Scheduler, "__init__", lambda self, plan, judge: honest(self, change(plan), judge))


def change_links(patch: Patch, change: Callable[[PlanLink], PlanLink]) -> None:
    def changed(plan: Plan) -> Plan:
        return replace(plan, links=tuple(tuple(map(change, links)) for links in plan.links))

    change_plan(patch, changed)


@defect
def a_false_condition_counts_as_success(patch: Patch) -> None:
    honest = Scheduler._accepts

    def accepts(self: Scheduler, link: PlanLink) -> bool:
        return honest(self, link) or (link.names_success and self.reason[link.source] == "condition")

    patch.setattr(Scheduler, "_accepts", accepts)


@defect
def an_inactive_step_does_not_satisfy_success(patch: Patch) -> None:
    change_links(patch, lambda link: replace(link, names_success=False))


@defect
def a_join_of_any_waits_for_every_link(patch: Patch) -> None:
    honest = Scheduler._decide

    def decide(self: Scheduler, target: int, number: int) -> None:
        honest(self, target, number)
        if self._undecided[target]:
            self._ripe = [step for step in self._ripe if step != target]

    patch.setattr(Scheduler, "_decide", decide)


@defect
def at_least_is_off_by_one(patch: Patch) -> None:
    def fewer(plan: Plan) -> Plan:
        needed = (
            n - 1 if 1 < n == step.needed else n for n, step in zip(plan.needed, plan.steps, strict=True)
        )
        return replace(plan, needed=tuple(needed))

    change_plan(patch, fewer)


@defect
def stop_leaves_running_steps_alone(patch: Patch) -> None:
    honest = Scheduler._clear

    def clear(self: Scheduler, reason: str, unstarted: int) -> None:
        honest(self, reason, unstarted)
        self.cancels = [entry for entry in self.cancels if entry[1] != "stopped"]

    patch.setattr(Scheduler, "_clear", clear)


@defect
def stop_cancels_what_has_not_started(patch: Patch) -> None:
    honest = Scheduler._clear
    patch.setattr(Scheduler, "_clear", lambda self, reason, unstarted: honest(self, reason, CANCELLED))


@defect
def on_failure_stop_does_not_wait_for_a_failure_link(patch: Patch) -> None:
    patch.setattr(Scheduler, "_is_lost", lambda self, step: not self.handled(step))


@defect
def on_failure_stop_never_stops(patch: Patch) -> None:
    change_plan(patch, lambda plan: replace(plan, stop_on_failure=False))


@defect
def recover_counts_although_a_handler_failed(patch: Patch) -> None:
    def recovers(self: Scheduler) -> bool:
        return any(
            self.plan.steps[i].recovers and self.status[i] == SUCCEEDED for i in self.plan.phases["on_error"]
        )

    patch.setattr(Scheduler, "_recovers", recovers)


@defect
def always_steps_are_skipped_after_a_failure(patch: Patch) -> None:
    honest = Scheduler._enter

    def enter(self: Scheduler, phase: int) -> None:
        if phase == 2 and self.failures:
            self._phase, self._open = 2, 0
            self._pass_over(self.plan.phases["always"], SKIPPED, "upstream")
        else:
            honest(self, phase)

    patch.setattr(Scheduler, "_enter", enter)


@defect
def on_error_steps_run_after_a_cancel(patch: Patch) -> None:
    honest = Scheduler._enter

    def enter(self: Scheduler, phase: int) -> None:
        reason, self.cancelled = self.cancelled, None
        honest(self, phase)
        self.cancelled = reason

    patch.setattr(Scheduler, "_enter", enter)


@defect
def done_handles_a_failure(patch: Patch) -> None:
    change_links(patch, lambda link: replace(link, names_failure=bool(link.accepts & FAILED)))


@defect
def a_link_that_came_too_late_handles_a_failure(patch: Patch) -> None:
    def taken_up(self: Scheduler, step: int, *statuses: int) -> bool:
        return any(
            self.status[target] in statuses and self.plan.links[target][number].names_failure
            for target, number in self.plan.targets[step]
        )

    patch.setattr(Scheduler, "_is_taken_up", taken_up)


@defect
def a_failure_under_continue_satisfies_success(patch: Patch) -> None:
    honest = Scheduler._accepts

    def accepts(self: Scheduler, link: PlanLink) -> bool:
        return honest(self, link) or (link.names_success and self.plan.steps[link.source].continues)

    patch.setattr(Scheduler, "_accepts", accepts)


@defect
def joins_come_before_what_a_failure_calls_off(patch: Patch) -> None:
    def drain(self: Scheduler) -> None:
        while True:
            while self._ended:
                self._decide_links(self._ended.popleft())
            if self._ripe:
                ripe, self._ripe = sorted(self._ripe), []
                for step in ripe:
                    if self.status[step] == PENDING:
                        self._join(step)
            elif self._stop_reached or self._doubtful:
                self._call_off()
            elif self._open or self.outcome is not None:
                return
            else:
                self._leave()

    patch.setattr(Scheduler, "_drain", drain)


@defect
def the_writes_of_failed_steps_leak(patch: Patch) -> None:
    honest = Frame.view

    def view(self: Frame, visible: int, merge: Any, *, failed: Any = (), is_handler: bool = False) -> View:
        return honest(self, visible, merge, failed=list(self._failed), is_handler=is_handler)

    patch.setattr(Frame, "view", view)


@defect
def the_last_of_two_conflicting_writes_wins(patch: Patch) -> None:
    honest = Frame._resolve
    patch.setattr(
        Frame, "_resolve", lambda self, key, writes, merge: honest(self, key, writes, merge or "last")
    )


@defect
def a_deletion_is_forgotten(patch: Patch) -> None:
    honest = Frame.write

    def write(self: Frame, step: int, delta: Mapping[str, Write]) -> None:
        honest(self, step, {key: write for key, write in delta.items() if write.data is not None})

    patch.setattr(Frame, "write", write)


@defect
def a_merged_conflict_is_not_settled(patch: Patch) -> None:
    honest = Frame.view

    def view(self: Frame, visible: int, merge: Any, *, failed: Any = (), is_handler: bool = False) -> View:
        found = honest(self, visible, merge, failed=failed, is_handler=is_handler)
        found.merged.clear()
        return found

    patch.setattr(Frame, "view", view)


@defect
def handlers_settle_conflicts(patch: Patch) -> None:
    honest = Frame.view

    def view(self: Frame, visible: int, merge: Any, *, failed: Any = (), is_handler: bool = False) -> View:
        return honest(self, visible, merge or ("last" if is_handler else None), failed=failed)

    patch.setattr(Frame, "view", view)


@defect
def retry_does_not_heed_the_error(patch: Patch) -> None:
    patch.setattr(attempts, "may_retry", lambda error, retry, effects: True)


@defect
def the_pause_between_attempts_does_not_grow(patch: Patch) -> None:
    patch.setattr(attempts, "delay_ms", lambda retry, attempt, chance, asked=None: retry.delay_ms * chance)


@defect
def a_deadline_begins_anew_with_each_attempt(patch: Patch) -> None:
    honest = step.StepJob._get_set

    def get_set(self: step.StepJob, calling: Any) -> Any:
        if self.guards is not None and self.guards.deadline is not None:
            self.guards.deadline.cancel()
            self.guards.arm_deadline()
        return honest(self, calling)

    patch.setattr(step.StepJob, "_get_set", get_set)


@defect
def a_finally_is_cancelled_with_its_container(patch: Patch) -> None:
    honest = flow.FlowHandle.close

    def close(self: flow.FlowHandle, reason: str, quiet: Callable[[], None]) -> None:
        for child in self._live.values():
            child.cleanup = False
        honest(self, reason, quiet)

    patch.setattr(flow.FlowHandle, "close", close)


@defect
def a_failed_scope_leaves_nothing_to_its_catch(patch: Patch) -> None:
    honest = scope_job.ScopeJob._judge

    def judge(self: scope_job.ScopeJob, outcome: str) -> None:
        honest(self, outcome)
        self.partial = {}

    patch.setattr(scope_job.ScopeJob, "_judge", judge)


@defect
def a_scope_that_lost_a_step_to_a_cancel_succeeds(patch: Patch) -> None:
    honest = Scheduler._judge_scope

    def judge(self: Scheduler) -> Any:
        return "succeeded" if self.cancelled else honest(self)

    patch.setattr(Scheduler, "_judge_scope", judge)


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_seen(
    plant: Callable[[Patch], None], cases: list[tuple[Scenario, Result]], monkeypatch: Patch
) -> None:
    plant(monkeypatch)
    assert is_seen(cases)


def test_the_planted_defects_are_many_and_told_apart() -> None:
    assert len({plant.__name__ for plant in DEFECTS}) == len(DEFECTS) >= 10
