"""The scheduler alone: moments, phases, and how much it does for large graphs."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from nodeling_runtime.engine.scheduler import PENDING, Scheduler
from nodeling_runtime.expressions.template import compile_template
from nodeling_runtime.workflow.model import Link
from nodeling_runtime.workflow.plan import CANCELLED, FAILED, SKIPPED, SUCCEEDED, Plan
from reference.plans import Counting, link, plan, started

LARGE = 10_000


def run_to_the_end(graph: Plan) -> tuple[Scheduler, Counting, int]:
    """Let every step succeed as soon as it starts; how deep the stack grew beside it."""
    judge = Counting()
    scheduler = Scheduler(graph, judge)
    depth = 0
    honest = judge.admit

    def admit(step: int, satisfied: list[int]) -> bool:
        nonlocal depth
        frame, here = sys._getframe(), 0
        while frame.f_back is not None:
            frame, here = frame.f_back, here + 1
        depth = max(depth, here)
        return honest(step, satisfied)

    judge.admit = admit  # type: ignore[method-assign]
    scheduler.begin()
    while scheduler.starts:
        scheduler.finish(scheduler.starts.pop(), SUCCEEDED)
    return scheduler, judge, depth


def chain(length: int) -> Plan:
    return plan(*((f"s{i}", {"needs": [f"s{i - 1}"] if i else []}) for i in range(length)))


def fan(width: int) -> Plan:
    middle = [(f"s{i}", {"needs": ["first"]}) for i in range(width)]
    return plan(("first", {"needs": []}), *middle, ("last", {"needs": [f"s{i}" for i in range(width)]}))


@pytest.mark.parametrize("shape", [chain, fan])
def test_a_large_graph_costs_one_question_a_step_and_no_recursion(shape: Any) -> None:
    scheduler, judge, depth = run_to_the_end(shape(LARGE))
    _, _, small = run_to_the_end(shape(10))
    assert scheduler.outcome == "succeeded"
    assert judge.asked == len(scheduler.plan.steps)
    assert depth == small


def test_each_link_of_a_large_graph_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: Counter[str] = Counter()
    honest = Scheduler._accepts

    def accepts(self: Scheduler, one: Any) -> bool:
        looks["link"] += 1
        return honest(self, one)

    monkeypatch.setattr(Scheduler, "_accepts", accepts)
    run_to_the_end(fan(1_000))
    assert looks["link"] == 2_000


def test_failures_with_handlers_are_looked_at_only_when_something_about_them_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: Counter[str] = Counter()
    honest = Scheduler._is_lost

    def is_lost(self: Scheduler, step: int) -> bool:
        looks["failure"] += 1
        return honest(self, step)

    monkeypatch.setattr(Scheduler, "_is_lost", is_lost)
    count = 500
    broken = [(f"s{i}", {"needs": []}) for i in range(count)]
    mended = [(f"m{i}", {"needs": [link(f"s{i}", "failure")]}) for i in range(count)]
    scheduler = Scheduler(plan(*broken, *mended, stop_on_failure=True), Counting())
    scheduler.begin()
    for step in list(scheduler.starts):
        scheduler.starts.remove(step)
        scheduler.finish(step, FAILED)
    while scheduler.starts:
        scheduler.finish(scheduler.starts.pop(), SUCCEEDED)
    assert scheduler.outcome == "succeeded"
    assert looks["failure"] <= 2 * count


def test_a_cancelled_wide_scope_ends_every_step_in_one_pass() -> None:
    judge = Counting()
    scheduler = Scheduler(fan(LARGE), judge)
    scheduler.begin()
    scheduler.finish(scheduler.starts.pop(), SUCCEEDED)
    scheduler.cancel("cancelled")
    assert scheduler.outcome == "cancelled"
    assert len(judge.told) == LARGE + 1
    assert {(status, reason) for _, status, reason in judge.told} == {(CANCELLED, "cancelled")}


def test_what_one_end_starts_and_calls_off_in_the_same_moment_is_never_started() -> None:
    scheduler = Scheduler(
        plan(("a", {"needs": []}), ("b", {"needs": [link("a", "done")]}), stop_on_failure=True), Counting()
    )
    scheduler.begin()
    assert started(scheduler) == ["a"]
    scheduler.finish(0, FAILED)
    assert started(scheduler) == []
    assert (scheduler.status[1], scheduler.reason[1]) == (CANCELLED, "stopped_by")
    assert scheduler.outcome == "failed"


def test_a_failure_link_that_is_satisfied_holds_on_failure_stop_back_until_its_target_fails() -> None:
    graph = plan(
        ("a", {"needs": []}),
        ("other", {"needs": []}),
        ("mend", {"needs": [link("a", "failure")]}),
        stop_on_failure=True,
    )
    scheduler = Scheduler(graph, Counting())
    scheduler.begin()
    scheduler.starts.clear()
    scheduler.finish(0, FAILED)
    assert started(scheduler) == ["mend"]
    assert scheduler.cancels == []
    scheduler.finish(2, FAILED)
    assert scheduler.cancels == [(1, "stopped_by", CANCELLED)]


def test_stop_skips_what_has_not_started_and_cancels_what_runs() -> None:
    graph = plan(("a", {"needs": [], "stops": True}), ("runs", {"needs": []}), ("waits", {"needs": ["runs"]}))
    scheduler = Scheduler(graph, Counting())
    scheduler.begin()
    scheduler.starts.clear()
    scheduler.finish(0, SUCCEEDED)
    assert scheduler.cancels == [(1, "stopped", SKIPPED)]
    assert (scheduler.status[2], scheduler.reason[2]) == (SKIPPED, "stopped")
    scheduler.finish(1, CANCELLED, "stopped")
    assert scheduler.outcome == "succeeded"


def test_always_steps_survive_a_cancel_and_not_a_hurry() -> None:
    graph = plan(("a", {}), ("clean", {"trigger": "always"}), ("also", {"trigger": "always"}), ordered=True)
    scheduler = Scheduler(graph, Counting())
    scheduler.begin()
    scheduler.starts.clear()
    scheduler.cancel("cancelled")
    scheduler.cancel("cancelled")
    scheduler.finish(0, CANCELLED, "cancelled")
    assert started(scheduler) == ["clean"]
    scheduler.hurry("cancelled")
    assert scheduler.cancels[-1] == (1, "cancelled", CANCELLED)
    scheduler.finish(1, CANCELLED, "cancelled")
    assert scheduler.outcome == "cancelled"
    assert scheduler.status[2] == CANCELLED


def test_a_hurry_before_the_always_phase_passes_it_over() -> None:
    graph = plan(("a", {}), ("clean", {"trigger": "always"}), ordered=True)
    scheduler = Scheduler(graph, Counting())
    scheduler.begin()
    scheduler.starts.clear()
    scheduler.cancel("run_timeout")
    scheduler.hurry("run_timeout")
    scheduler.finish(0, CANCELLED, "run_timeout")
    assert started(scheduler) == []
    assert (scheduler.status[1], scheduler.reason[1]) == (CANCELLED, "run_timeout")
    assert scheduler.outcome == "cancelled"


def test_a_step_cannot_end_twice() -> None:
    scheduler = Scheduler(plan(("a", {}), ("b", {}), ordered=True), Counting())
    scheduler.begin()
    scheduler.finish(0, SUCCEEDED)
    with pytest.raises(AssertionError, match="'a' ended twice"):
        scheduler.finish(0, SUCCEEDED)


# -- standing still


def suspending(*steps: tuple[str, dict[str, Any]]) -> tuple[Scheduler, Counting]:
    judge = Counting()
    scheduler = Scheduler(plan(*steps), judge)
    scheduler.suspends = True
    scheduler.begin()
    return scheduler, judge


LOAD = (
    ("a", {"needs": []}),
    ("b", {"needs": []}),
    ("after", {"needs": [link("a", "done")]}),
    ("mail", {"trigger": "on_error"}),
    ("last", {"trigger": "always"}),
)


def states(scheduler: Scheduler) -> dict[str, int]:
    return {step.name: scheduler.status[step.index] for step in scheduler.plan.steps}


def test_a_held_failure_decides_no_links_and_the_body_rests_when_nothing_runs() -> None:
    scheduler, judge = suspending(*LOAD)
    assert started(scheduler) == ["a", "b"]
    scheduler.finish(0, FAILED)
    assert (started(scheduler), scheduler.at_rest) == ([], False)
    scheduler.finish(1, SUCCEEDED)
    assert (started(scheduler), judge.phases, scheduler.at_rest) == (["mail"], ["body", "on_error"], False)
    scheduler.finish(3, SUCCEEDED)
    assert (scheduler.at_rest, scheduler.outcome, scheduler.lost()) == (True, None, [0])
    assert states(scheduler) == {
        "a": FAILED,
        "b": SUCCEEDED,
        "after": PENDING,
        "mail": SUCCEEDED,
        "last": PENDING,
    }


def test_a_scope_at_rest_that_is_cancelled_ends_what_waits_and_runs_its_always_steps() -> None:
    scheduler, judge = suspending(*LOAD)
    started(scheduler)
    scheduler.finish(0, FAILED)
    scheduler.finish(1, SUCCEEDED)
    started(scheduler)
    scheduler.finish(3, SUCCEEDED)
    scheduler.cancel("cancelled")
    assert (started(scheduler), judge.told) == (["last"], [(2, CANCELLED, "cancelled")])
    scheduler.finish(4, SUCCEEDED)
    assert (scheduler.outcome, scheduler.at_rest, states(scheduler)["mail"]) == (
        "cancelled",
        False,
        SUCCEEDED,
    )


def test_a_cancel_while_the_handlers_of_a_resting_body_run_ends_those_too() -> None:
    scheduler, _ = suspending(*LOAD, ("tell", {"trigger": "on_error"}))
    started(scheduler)
    scheduler.finish(0, FAILED)
    scheduler.finish(1, SUCCEEDED)
    assert started(scheduler) == ["mail"]
    scheduler.cancel("cancelled")
    assert scheduler.cancels == [(3, "cancelled", CANCELLED)]
    assert started(scheduler) == []
    scheduler.finish(3, CANCELLED, "cancelled")
    assert started(scheduler) == ["last"]
    scheduler.finish(4, SUCCEEDED)
    assert scheduler.outcome == "cancelled"
    assert [scheduler.status[5], scheduler.reason[5]] == [SKIPPED, "upstream"]


def test_a_failure_that_a_node_meant_to_be_final_is_not_waited_for() -> None:
    scheduler, _ = suspending(*LOAD)
    started(scheduler)
    scheduler.finish(0, FAILED, final=True)
    scheduler.finish(1, SUCCEEDED)
    assert started(scheduler) == ["after"]
    scheduler.finish(2, SUCCEEDED)
    assert started(scheduler) == ["mail"]
    scheduler.finish(3, SUCCEEDED)
    assert started(scheduler) == ["last"]
    scheduler.finish(4, SUCCEEDED)
    assert scheduler.outcome == "failed"


def test_a_step_that_stops_its_scope_leaves_nothing_to_wait_for() -> None:
    scheduler, _ = suspending(
        ("a", {"needs": []}), ("b", {"needs": [], "stops": True}), ("c", {"needs": ["a"]})
    )
    started(scheduler)
    scheduler.finish(0, FAILED)
    scheduler.finish(1, SUCCEEDED)
    assert (scheduler.outcome, scheduler.reason[2]) == ("failed", "stopped")


def test_a_failure_that_its_handler_passes_on_is_waited_for_at_the_end_of_the_body() -> None:
    class No(Counting):
        def link(self, step: int, number: int) -> bool:
            return False

    graph = plan(
        ("a", {"needs": []}),
        ("mend", {"needs": [Link("a", frozenset(["failure"]), compile_template("${true}"), "")]}),
    )
    scheduler = Scheduler(graph, No())
    scheduler.suspends = True
    scheduler.begin()
    started(scheduler)
    scheduler.finish(0, FAILED)
    assert (scheduler.at_rest, scheduler.lost(), scheduler.is_held(0)) == (True, [0], False)
