"""That the judge is worth asking: its scenarios reach every rule, and its comparison sees every defect.

Each defect below is one rule of the interpreter done wrongly. Among random scenarios it must show as a
difference; a defect that did not would be one that the engine could have as well.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from reference import interpreter
from reference.compare import differences
from reference.context import meet
from reference.graphs import REQUIRED, features, random_case, random_cases, random_scenario
from reference.interpreter import Simulation, interpret
from reference.model import Scenario
from reference.result import OPAQUE, Result
from reference.shorthand import ok, run
from reference.state import ScopeState, StepState

SEED = 20
COUNT = 900
LEAST = 15


@pytest.fixture(scope="module")
def cases() -> list[tuple[Scenario, Result]]:
    return list(random_cases(SEED, COUNT))


def account(result: Result) -> dict[str, Any]:
    """A result as an engine would tell it."""
    keys = ("status", "reason", "attempts", "code", "started_ms", "ended_ms", "seen", "limit", "handled")
    return {
        "run_status": result.run_status,
        "steps": {path: {key: getattr(step, key) for key in keys} for path, step in result.steps.items()},
        "vars": result.vars,
        "output": None if result.output is OPAQUE else result.output,
    }


def test_random_scenarios_exercise_every_rule(cases: list[tuple[Scenario, Result]]) -> None:
    found: Counter[str] = Counter()
    for scenario, result in cases:
        found.update(features(scenario, result))
    assert {name: found[name] for name in REQUIRED if found[name] < LEAST} == {}


def test_a_seed_gives_the_same_scenario_and_the_same_result_again() -> None:
    first, second = (random_case(random.Random("7:3")) for _ in range(2))
    assert (first[0], first[1].steps) == (second[0], second[1].steps)
    assert interpret(first[0]).steps == first[1].steps


def test_scenarios_keep_to_their_size_and_have_unique_names() -> None:
    for seed in range(100):
        names = [step.name for step in random_scenario(random.Random(seed), 6).walk()]
        assert len(names) <= 6
        assert len(set(names)) == len(names)


def test_every_step_of_every_scenario_ends(cases: list[tuple[Scenario, Result]]) -> None:
    for _, result in cases:
        assert {step.status for step in result.steps.values()} <= {
            "succeeded",
            "failed",
            "skipped",
            "cancelled",
        }


def test_links_and_references_of_random_scenarios_go_to_ancestors_in_their_phase(
    cases: list[tuple[Scenario, Result]],
) -> None:
    for scenario, _ in cases:
        for scope in (scenario.steps, *(step.children() for step in scenario.walk())):
            phases = {step.name: step.trigger for step in scope}
            links = [(step, link) for step in scope for link in step.needs or ()]
            assert all(phases[link.step] == step.trigger for step, link in links)


def test_comparing_a_result_with_itself_finds_nothing(cases: list[tuple[Scenario, Result]]) -> None:
    for _, result in cases[:100]:
        told = account(result)
        if result.output is OPAQUE:
            del told["output"]
        assert differences(result, told) == []


class AnyWaitsForAll(Simulation):
    def decide_joins(self) -> bool:
        held = [step for step in self.steps if step.status == "pending" and step.spec.join == "any"]
        held = [step for step in held if any(link.state is None for link in step.links)]
        for step in held:
            step.status = "held"
        changed = super().decide_joins()
        for step in held:
            step.status = "pending"
        return changed


class StopIsForgotten(Simulation):
    def apply_stop(self) -> bool:
        return False


class OnFailureStopIsForgotten(Simulation):
    def apply_on_failure(self) -> bool:
        return False


class FailureLinksAreNotWaitedFor(Simulation):
    def unhandled(self, scope: ScopeState, phase: str) -> list[StepState]:
        failed = [step for step in scope.in_phase(phase) if step.status == "failed"]
        return [step for step in failed if self.handling(step) != "handled"]


class DoneHandles(Simulation):
    def handling(self, failed: StepState) -> str:
        for target in failed.scope.steps:
            if any(link.source is failed for link in target.frozen) and target.status == "succeeded":
                return "handled"
        return super().handling(failed)


class AnyRecoveringHandlerRecovers(Simulation):
    def judge_recovery(self, scope: ScopeState) -> None:
        super().judge_recovery(scope)
        handlers = scope.in_phase("on_error")
        scope.recovered = any(step.spec.recover and step.status == "succeeded" for step in handlers)


class PermitsGoByDeclaration(Simulation):
    def hand_out_permits(self) -> None:
        for step in self.steps:
            step.ready_seq = step.order
        super().hand_out_permits()


class BackOffGivesThePermitBack(Simulation):
    def end_failed_attempt(self, step: StepState, *rest: Any) -> None:
        super().end_failed_attempt(step, *rest)
        step.holds_permit = False


class ConflictsAreLast(Simulation):
    def take_snapshot(self, step: StepState) -> bool:
        if super().take_snapshot(step):
            return True
        step.resolved = step.base = meet(step.ancestors, "last").values
        return True


class FailedWritesReachNobody(Simulation):
    def fail(self, step: StepState, code: int | str | None) -> None:
        step.failed_delta = {}
        super().fail(step, code)


class RaisingConditionsAreFalse(Simulation):
    def fail(self, step: StepState, code: int | str | None) -> None:
        if code == "expr.*" and step.decided_ms is not None:
            self.skip(step, "condition")
        else:
            super().fail(step, code)


class CancelForgetsAlways(Simulation):
    def leave_body(self, scope: ScopeState) -> None:
        super().leave_body(scope)
        if scope.cancelled:
            for step in scope.in_phase("always"):
                self.skip(step, "upstream")


class FailFastFinishesTheRest(Simulation):
    def cancel_scope(self, scope: ScopeState, reason: str) -> None:
        if scope.role == "nodes" and scope.owner is not None and scope.owner.ending is None:
            scope.cancelled = reason
            return
        super().cancel_scope(scope, reason)


class DeadlineStartsWithEachAttempt(Simulation):
    def start_attempt(self, step: StepState) -> None:
        super().start_attempt(step)
        if step.spec.deadline_ms is not None and step.spec.kind == "leaf":
            step.deadline_at = self.now + step.spec.deadline_ms


DEFECTS = [
    AnyWaitsForAll,
    StopIsForgotten,
    OnFailureStopIsForgotten,
    FailureLinksAreNotWaitedFor,
    DoneHandles,
    AnyRecoveringHandlerRecovers,
    PermitsGoByDeclaration,
    BackOffGivesThePermitBack,
    ConflictsAreLast,
    FailedWritesReachNobody,
    RaisingConditionsAreFalse,
    CancelForgetsAlways,
    FailFastFinishesTheRest,
    DeadlineStartsWithEachAttempt,
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: str(defect.__name__))
def test_a_planted_defect_shows_as_a_difference(
    defect: type[Simulation], cases: list[tuple[Scenario, Result]]
) -> None:
    assert any(differences(result, account(defect(scenario).play())) for scenario, result in cases)


def test_a_retry_that_ignores_the_codes_shows_as_a_difference(
    cases: list[tuple[Scenario, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "code_is_retried", lambda code, retryable, retry: True)
    assert any(differences(result, account(interpret(scenario))) for scenario, result in cases)


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("run_status", {"run_status": "cancelled"}),
        ("a.status", {"steps": {"a": {"status": "failed"}}}),
        ("a:", {"steps": {}}),
        ("ghost:", {"steps": {"a": {"status": "succeeded"}, "ghost": {"status": "succeeded"}}}),
        ("a.seen", {"steps": {"a": {"status": "succeeded", "seen": {"k": 1}}}}),
        ("output", {"output": True}),
        ("vars", {"vars": {"k": True}}),
    ],
)
def test_each_part_of_an_account_is_compared(path: str, changes: dict[str, Any]) -> None:
    result = run(ok("a", output=1, sets={"k": 1}))
    told = {**account(result), **changes}
    assert [line.split(" ")[0].startswith(path) for line in differences(result, told)] == [True]
