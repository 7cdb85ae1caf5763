"""`parallel` against a sequential interpreter of its policy, whatever its children do and whenever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from parallel_model import GRACE_MS, ChildPlan, ChildState, Interpreter, Policy
from parallel_stage import STAGE

from nodeling import Context
from nodeling_runtime.engine.permits import Permits
from nodeling_runtime.engine.pool import PoolRun
from nodeling_runtime.engine.step import StepJob
from nodeling_runtime.values import Value
from probes import Probe

SIZES = st.integers(1, 4)
KINDS = st.sampled_from(["ends", "ends", "ends", "raises", "late", "never"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Policy, list[ChildPlan]]:
    """A policy and its children. Fail-fast children have timeouts that never fall together."""
    policy = Policy(
        sequential=draw(st.booleans()) and draw(st.booleans()),
        fail_fast=draw(st.booleans()),
        max_concurrent=draw(SIZES),
        run_limit=draw(st.none() | SIZES),
        global_timeout_ms=draw(st.none() | st.sampled_from([201.07, 1_501.07])),
        min_success=draw(st.sampled_from([0, 0, 0, 1, 3])),
        batch_size=draw(st.none() | SIZES),
    )
    timed = draw(st.booleans())
    if not policy.fail_fast and timed:
        policy.timeout_ms = 70.3
    plans = []
    for number in range(draw(st.integers(0, 7))):
        own = policy.fail_fast and timed and draw(st.booleans())
        plans.append(
            ChildPlan(
                continues=draw(st.integers(0, 4)) == 0,
                admitted=draw(st.integers(0, 5)) > 0,
                timeout_ms=70.3 + number / 64 if own else None,
                on_cancel=draw(KINDS),
            )
        )
    return policy, plans


class ParallelMachine(RuleBasedStateMachine):
    """Each rule is told to the engine and to the interpreter; then the two must agree."""

    model: Interpreter
    agreed = False

    @initialize(case=cases())
    def begin(self, case: tuple[Policy, list[ChildPlan]]) -> None:
        policy, plans = case
        self.plans = plans
        self.model = Interpreter(policy, [ChildState(plan) for plan in plans])
        STAGE.play(policy, plans)
        self.model.begin()
        self.agree()

    @precondition(lambda self: self.free())
    @rule(data=st.data(), how=st.sampled_from(["return", "return", "return", "fail", "cancel itself"]))
    def a_child_comes_back(self, data: st.DataObject, how: str) -> None:
        number = data.draw(st.sampled_from(self.free()))
        if how == "cancel itself" and self.plans[number].on_cancel != "ends":
            how = "fail"
        STAGE.let(number, how)
        self.model.finish(number, ok=how == "return")
        self.agree()

    @rule(ms=st.sampled_from([10, 10, 50, 90, 600, 1_200]))
    def time_passes(self, ms: int) -> None:
        STAGE.wait(ms)
        self.model.advance(ms)
        self.agree()

    @precondition(lambda self: not self.model.over and self.model.reason is None)
    @rule(really=st.integers(0, 9))
    def the_run_is_cancelled(self, really: int) -> None:
        if really == 0:
            STAGE.loop.call_soon(STAGE.run.cancel)
            STAGE.settle()
            self.model.cancel("cancelled")
            self.agree()

    def free(self) -> list[int]:
        """Running children that nobody has told to end."""
        return [i for i in sorted(self.model.running) if self.model.children[i].leaves_at is None]

    # -- what must hold after every rule

    def agree(self) -> None:
        model, probe = self.model, STAGE.cast.probe
        self.agreed = False
        assert probe.inside == len(model.running), "the children inside are those that should run"
        assert probe.inside <= model.policy.bound
        assert probe.peak == model.peak
        assert STAGE.cast.seen == [], "a child saw what another one did"
        running = {
            int(e["name"][1:]) for e in STAGE.events if e["event"] == "step.started" and e["name"][0] == "c"
        }
        running -= {
            int(e["name"][1:]) for e in STAGE.events if e["event"] == "step.finished" and e["name"][0] == "c"
        }
        assert running == model.running
        assert STAGE.task.done() == model.over, "the container ends with its last child, and not before"
        if model.over:
            self.same_end()
        self.agreed = True

    def same_end(self) -> None:
        model, outcome = self.model, STAGE.task.result()
        record = outcome.records["work"]
        status, code = model.verdict()
        assert (record.status, record.error and record.error.code) == (status, code)
        self.one_outcome_each()
        self.permits_are_back()
        if status == "cancelled":
            return
        assert record.error is not None or record.output is not None
        report: dict[str, Any] = record.error.details if record.error else record.output.fresh()  # type: ignore[union-attr]
        assert report["results"] == [
            i if child.status == "succeeded" else None for i, child in enumerate(model.children)
        ]
        self.same_errors(report.get("errors", []))
        self.same_counts(report["execution_info"])
        if code == 9005:
            assert report["limit"] == "global_timeout"
        if code == "container.failed":
            first = model.children[model.first_failure or 0]
            assert report["cause_code"] == first.code
            assert record.error is not None
            assert record.error.message.startswith(f"c{model.first_failure} failed")

    def same_errors(self, errors: list[dict[str, Any]]) -> None:
        failed = [(i, child) for i, child in enumerate(self.model.children) if child.status == "failed"]
        assert [(e["node"], e["index"], e["code"]) for e in errors] == [
            (f"c{i}", i, child.code) for i, child in failed
        ]
        for error, (_, child) in zip(errors, failed, strict=True):
            limit = error.get("details", {}).get("limit")
            assert limit == ("timeout" if child.timed_out else None)
            assert "unresponsive" not in error.get("details", {})

    def same_counts(self, info: dict[str, Any]) -> None:
        model = self.model
        assert info["total"] == len(model.children)
        assert info["total"] == info["completed"] + info["failed"] + info["cancelled"] + info["skipped"]
        assert info["completed"] == model.count("succeeded")
        assert info["failed"] == model.count("failed")
        assert info["cancelled"] == model.count("cancelled")
        assert info["skipped"] == model.count("skipped")
        assert info["timed_out"] == sum(c.timed_out and c.status == "failed" for c in model.children)
        assert info["concurrent_peak"] == model.peak == STAGE.cast.probe.peak
        assert info["leaked"] == model.leaked == STAGE.run.leaked
        assert info["strategy"] == ("sequential" if model.policy.sequential else "parallel")
        assert [(c["name"], c["status"]) for c in info["children"]] == [
            (f"c{i}", child.status) for i, child in enumerate(model.children)
        ]
        for told, child in zip(info["children"], model.children, strict=True):
            assert (told["started_ms"] is None) == (child.started is None)
            if child.started is not None:
                assert told["started_ms"] == pytest.approx(child.started, abs=0.01)

    def one_outcome_each(self) -> None:
        ends = [e["name"] for e in STAGE.events if e["event"] == "step.finished" and e["name"][0] == "c"]
        everyone = [f"c{i}" for i in range(len(self.plans))]
        assert len(ends) == len(set(ends))
        if self.model.reason != "cancelled":  # then later groups are never heard of
            assert sorted(ends) == everyone

    def permits_are_back(self) -> None:
        permits = STAGE.run._leaf_permits
        if permits is not None:
            assert permits._free == self.model.policy.run_limit

    def teardown(self) -> None:
        try:
            if self.agreed:
                for _ in range(40):
                    if self.model.over:
                        break
                    free = self.free()
                    if free:
                        self.a_child_comes_back_now(free[0])
                    else:
                        self.time_passes_now(600)
                assert self.model.over
                self.agree()
        finally:
            STAGE.close()

    def a_child_comes_back_now(self, number: int) -> None:
        STAGE.let(number, "return")
        self.model.finish(number, ok=True)
        self.agree()

    def time_passes_now(self, ms: float) -> None:
        STAGE.wait(ms)
        self.model.advance(ms)
        self.agree()


QUICK = settings(
    deadline=None,
    max_examples=700,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
    derandomize=False,
)
HUNT = settings(QUICK, max_examples=600, phases=[Phase.generate], report_multiple_bugs=False, database=None)


def test_parallel_does_what_the_sequential_interpreter_of_its_policy_says() -> None:
    run_state_machine_as_test(ParallelMachine, settings=QUICK)


# -- planted defects: each must be seen


def _lost_permit(patch: pytest.MonkeyPatch) -> None:
    conclude = StepJob._conclude

    def forget(self: StepJob, status: str, *rest: Any) -> None:
        if status == "cancelled" and self.guards is not None:
            self.guards.holds.clear()
        conclude(self, status, *rest)

    patch.setattr(StepJob, "_conclude", forget)


def _computed_peak(patch: pytest.MonkeyPatch) -> None:
    count = PoolRun._count

    def compute(self: PoolRun, child: Any) -> None:
        count(self, child)
        self._peak = min(self._limit, len(self._runs))

    patch.setattr(PoolRun, "_count", compute)


def _fail_fast_by_index(patch: pytest.MonkeyPatch) -> None:
    cancel = PoolRun.cancel

    def wait_for_those_before(self: PoolRun, reason: str = "cancelled") -> None:
        failed = [run for run in self._runs if run.status == "failed" and not run.handled]
        if reason == "fail_fast" and any(run.status == "running" for run in self._runs[: failed[0].index]):
            return
        cancel(self, reason)

    patch.setattr(PoolRun, "cancel", wait_for_those_before)


def _shared_context(patch: pytest.MonkeyPatch) -> None:
    write, read = Context.set, Context.get
    shared: dict[tuple[str, str], Any] = {}

    def write_for_all(self: Context, key: str, value: Any) -> None:
        shared[self.run_id, key] = value
        write(self, key, value)

    def read_of_all(self: Context, key: str, default: Any = None) -> Any:
        return shared.get((self.run_id, key), read(self, key, default))

    patch.setattr(Context, "set", write_for_all)
    patch.setattr(Context, "get", read_of_all)


def _shared_input(patch: pytest.MonkeyPatch) -> None:
    fresh = Value.fresh
    boxes: dict[str, Any] = {}

    def one_box(self: Value) -> Any:
        found = fresh(self)
        if isinstance(found, dict) and "box" in found:
            found["box"] = boxes.setdefault(STAGE.run.id, found["box"])
        return found

    patch.setattr(Value, "fresh", one_box)


def _timeout_that_does_not_kill(patch: pytest.MonkeyPatch) -> None:
    def conclude_only(self: StepJob, limit: str, ms: float) -> None:
        if self.done or self.ending is not None or self.team is None:
            return
        self._expired = (limit, ms)
        self.generation += 1
        self.task = None
        self.team.workers -= 1
        self._conclude_error(self._timed_out())
        self.team.settled(self)
        self.team.wake()

    patch.setattr(StepJob, "expire", conclude_only)


def _permit_granted_to_a_cancelled_waiter(patch: pytest.MonkeyPatch) -> None:
    async def acquire(self: Permits) -> None:
        if not self.try_acquire():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await asyncio.shield(future)  # a cancelled waiter stays in the queue

    patch.setattr(Permits, "acquire", acquire)


@pytest.mark.parametrize(
    "plant",
    [
        _lost_permit,
        _computed_peak,
        _fail_fast_by_index,
        _shared_context,
        _shared_input,
        _timeout_that_does_not_kill,
        _permit_granted_to_a_cancelled_waiter,
    ],
)
def test_a_planted_defect_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(ParallelMachine, settings=HUNT)


def test_the_probe_itself_counts_entries_and_their_peak() -> None:
    probe = Probe()
    with probe, probe:
        assert probe.inside == 2
    with probe:
        assert (probe.inside, probe.peak, probe.entries) == (1, 2, 3)


# -- cancelled at every turn of the loop


@pytest.mark.parametrize("how", ["ends", "raises", "late", "never"])
@pytest.mark.parametrize("run_limit", [None, 1])
def test_a_run_cancelled_at_any_turn_of_the_loop_ends_in_order(how: str, run_limit: int | None) -> None:
    policy = Policy(max_concurrent=2, run_limit=run_limit, batch_size=3)
    plans = [ChildPlan(on_cancel=how), ChildPlan(admitted=False), *[ChildPlan(on_cancel=how)] * 3]
    ends = []
    while not ends or ends[-1] == "cancelled":
        assert len(ends) < 60, "the run never came to its end by itself"
        try:
            ends.append(end_when_cancelled(policy, plans, len(ends)))
        finally:
            STAGE.close()
    assert len(ends) > 10


def end_when_cancelled(policy: Policy, plans: list[ChildPlan], turn: int) -> str:
    """Let the loop turn so often, then cancel; how the run ended."""
    STAGE.prepare(policy, plans)
    for _ in range(turn):
        for number in sorted(STAGE.cast.gates):
            if not STAGE.cast.gates[number].done():
                STAGE.cast.gates[number].set_result(number)
        STAGE.turn()
    STAGE.loop.call_soon(STAGE.run.cancel)
    STAGE.wait(GRACE_MS + 10)
    assert STAGE.task.done()
    ends = [e["step"] for e in STAGE.events if e["event"] == "step.finished"]
    began = [e["step"] for e in STAGE.events if e["event"] == "step.started"]
    assert len(ends) == len(set(ends)), "one end each"
    assert set(began) <= set(ends), "whatever began has ended"
    assert STAGE.events[-1]["event"] == "run.finished"
    assert STAGE.cast.probe.inside == 0
    permits = STAGE.run._leaf_permits
    assert permits is None or permits._free == policy.run_limit
    return STAGE.task.result().status
