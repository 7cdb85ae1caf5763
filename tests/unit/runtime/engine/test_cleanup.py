"""What still runs when a run is ended: `always` steps and `finally` lists, and what ends those too."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import nodeling
from nodeling_runtime.engine.run import Run, RunOutcome
from reference.adapter import Ran
from reference.model import Scenario, Step
from reference.shorthand import bad, ok
from virtual_time import run_virtual

Ends = dict[str, tuple[str, int]]


def play(*steps: Step, then: Callable[[Run], Any] | None = None, **settings: Any) -> tuple[RunOutcome, Ends]:
    """Run these steps in virtual time; how each ended, and when in milliseconds."""
    ran = Ran(Scenario(steps))
    ran.workflow = replace(ran.workflow, settings=replace(ran.workflow.settings, **settings))

    async def both() -> RunOutcome:
        task = asyncio.ensure_future(ran.play())
        await asyncio.sleep(0)
        if then is not None:
            then(ran.run)
        return await task

    outcome = run_virtual(both)
    ends = {
        path: (record.status, round((record.ended_at or 0) * 1_000)) for path, record in ran.ended.items()
    }
    return outcome, ends


def cancel_at(*moments: int) -> Callable[[Run], None]:
    def plan(run: Run) -> None:
        for moment in moments:
            asyncio.get_running_loop().call_later(moment / 1_000, run.cancel)

    return plan


def guarded(finally_ms: int = 500) -> Step:
    return Step(
        "guarded", "try", body=(ok("work", 1_000),), finally_=(ok("tidy", finally_ms, sets={"tidied": True}),)
    )


def tidied(clean_ms: int = 500) -> Step:
    return Step("list", "sequence", body=(ok("work", 1_000), ok("clean", clean_ms, trigger="always")))


@pytest.mark.parametrize(("step", "last"), [(guarded(), "guarded/tidy"), (tidied(), "list/clean")])
def test_a_cancel_ends_the_work_and_lets_the_cleanup_run_to_its_end(step: Step, last: str) -> None:
    outcome, ends = play(step, then=cancel_at(100))
    assert outcome.status == "cancelled"
    assert ends[f"{step.name}/work"] == ("cancelled", 100)
    assert ends[last] == ("succeeded", 600)
    assert ends[step.name] == ("cancelled", 600)


@pytest.mark.parametrize(("step", "last"), [(guarded(), "guarded/tidy"), (tidied(), "list/clean")])
def test_a_second_cancel_ends_the_cleanup_too(step: Step, last: str) -> None:
    outcome, ends = play(step, then=cancel_at(100, 200))
    assert outcome.status == "cancelled"
    assert ends[last] == ("cancelled", 200)
    assert ends[step.name] == ("cancelled", 200)


@pytest.mark.parametrize(
    ("step", "last"), [(guarded(90_000), "guarded/tidy"), (tidied(90_000), "list/clean")]
)
def test_cleanup_has_the_time_that_the_settings_give_it(step: Step, last: str) -> None:
    _, ends = play(step, then=cancel_at(100), cleanup_timeout_ms=2_000.0)
    assert ends[last] == ("cancelled", 2_100)


def test_cleanup_inside_cleanup_is_ended_by_a_second_cancel() -> None:
    inner = Step("inner", "sequence", body=(ok("first", 5_000), ok("second", trigger="always")))
    outer = Step("outer", "try", body=(ok("work", 1_000),), finally_=(inner,))
    _, ends = play(outer, then=cancel_at(100, 300))
    assert ends["outer/inner/first"] == ("cancelled", 300)
    assert ends["outer/inner/second"] == ("cancelled", 300)
    assert ends["outer"] == ("cancelled", 300)


def test_a_run_timeout_that_passes_while_a_cancelled_run_cleans_up_changes_nothing() -> None:
    outcome, ends = play(guarded(), then=cancel_at(100), timeout_ms=300.0)
    assert (outcome.status, outcome.error) == ("cancelled", None)
    assert ends["guarded/tidy"] == ("succeeded", 600)


def test_a_timeout_of_the_container_waits_for_its_finally() -> None:
    outcome, ends = play(replace(guarded(), timeout_ms=200))
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["limit"]) == (9005, "timeout")
    assert ends["guarded/work"] == ("cancelled", 200)
    assert ends["guarded/tidy"] == ("succeeded", 700)
    assert ends["guarded"] == ("failed", 700)


def test_a_cleanup_longer_than_the_grace_is_waited_for() -> None:
    _, ends = play(guarded(10_000), then=cancel_at(100))
    assert ends["guarded/tidy"] == ("succeeded", 10_100)
    assert ends["guarded"] == ("cancelled", 10_100)


def test_a_cancel_during_catch_passes_it_over_and_runs_finally() -> None:
    step = Step("t", "try", body=(bad("work", 100),), catch=(ok("mend", 1_000),), finally_=(ok("tidy", 50),))
    _, ends = play(step, then=cancel_at(500))
    assert ends["t/mend"] == ("cancelled", 500)
    assert ends["t/tidy"] == ("succeeded", 550)


def test_finally_sees_what_the_steps_before_the_failure_wrote() -> None:
    step = Step(
        "t", "try", body=(ok("a", 10, sets={"k": 1}), bad("b", 10, sets={"k": 2})), finally_=(ok("tidy", 50),)
    )
    ran = Ran(Scenario((step,)))
    run_virtual(ran.play)
    assert {key: value for key, value in ran.seen["tidy"].items() if key == "k"} == {"k": 1}


def test_a_fault_of_the_engine_itself_ends_the_run_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, job: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("nodeling_runtime.engine.scope.ScopeRun._keep", broken)
    wf = nodeling.Workflow("planted")
    wf.step("only", nodeling.node(_one))
    result = wf.run(timeout="20s")
    assert result.status == "failed"
    assert result.error is not None
    assert "planted" in result.error["message"]


def _one() -> int:
    return 1


@pytest.mark.parametrize("seed", range(40))
def test_who_cancels_every_task_of_a_loop_leaves_none(seed: int) -> None:
    """A signal handler may do so: workers and containers are cancelled beside the run, in any order."""

    @nodeling.node
    async def forever(n: int) -> int:
        await asyncio.get_running_loop().create_future()
        return n

    chance = random.Random(seed)
    children = [{"name": f"c{n}", "node": "forever", "inputs": {"n": n}} for n in range(chance.randint(2, 6))]
    workflow = nodeling.Workflow("w")
    workflow.definitions["forever"] = forever
    execution = {"max_concurrent": chance.randint(1, 6)}
    workflow.document["steps"] = [
        {"name": "work", "node": "parallel", "execution": execution, "nodes": children}
    ]

    async def scene() -> set[asyncio.Task[object]]:
        run = asyncio.ensure_future(workflow.arun())
        for _ in range(chance.randint(3, 60)):
            await asyncio.sleep(0)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        chance.shuffle(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        return {task for task in (*tasks, run) if not task.done()}

    assert asyncio.run(scene()) == set()
