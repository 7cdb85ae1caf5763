"""The breaker as a pure machine, against a naive model that keeps the whole story."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.circuit import State, admitted, counts, ended
from nodeling_runtime.workflow.model import Circuit

CIRCUIT = Circuit(failures=3, window_ms=10_000, cooldown_ms=5_000)


def failing(state: State, *moments: float) -> State:
    for at in moments:
        state = ended(state, CIRCUIT, at, "a call", True)
    return state


def test_failures_within_the_window_open_it() -> None:
    assert failing(State(), 0.0, 1.0).phase(CIRCUIT, 1.0) == "closed"
    assert failing(State(), 0.0, 1.0, 2.0).phase(CIRCUIT, 2.0) == "open"


def test_failures_further_apart_do_not() -> None:
    assert failing(State(), 0.0, 1.0, 10.5).phase(CIRCUIT, 10.5) == "closed"


def test_while_it_is_open_no_call_passes() -> None:
    state = failing(State(), 0.0, 0.0, 0.0)
    assert admitted(state, CIRCUIT, 4.9, "x") is None


def test_after_the_cooldown_one_call_passes_and_no_other() -> None:
    state = admitted(failing(State(), 0.0, 0.0, 0.0), CIRCUIT, 5.0, "probe")
    assert state is not None
    assert admitted(state, CIRCUIT, 5.1, "another") is None


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_opens_it_again() -> None:
    state = admitted(failing(State(), 0.0, 0.0, 0.0), CIRCUIT, 5.0, "probe")
    assert state is not None
    assert ended(state, CIRCUIT, 6.0, "probe", False) == State()
    again = ended(state, CIRCUIT, 6.0, "probe", True)
    assert (again.phase(CIRCUIT, 10.9), again.phase(CIRCUIT, 11.0)) == ("open", "half-open")


def test_a_probe_that_is_never_heard_of_makes_room_for_another() -> None:
    state = admitted(failing(State(), 0.0, 0.0, 0.0), CIRCUIT, 5.0, "lost")
    assert state is not None
    assert admitted(state, CIRCUIT, 10.0, "second") is not None


def test_a_probe_whose_end_says_nothing_leaves_the_next_to_be_tried_at_once() -> None:
    state = admitted(failing(State(), 0.0, 0.0, 0.0), CIRCUIT, 5.0, "cancelled")
    assert state is not None
    assert admitted(ended(state, CIRCUIT, 5.1, "cancelled", None), CIRCUIT, 5.2, "next") is not None


def test_a_call_that_began_before_it_opened_changes_nothing() -> None:
    state = failing(State(), 0.0, 0.0, 0.0)
    assert ended(state, CIRCUIT, 1.0, "late", False) == state
    assert ended(state, CIRCUIT, 1.0, "late", True) == state


def test_what_its_caller_did_wrong_does_not_count() -> None:
    assert [counts(CallError(code, "")) for code in (4000, 5000, 9003, 9005)] == [True] * 4
    assert [counts(CallError(code, "")) for code in (4001, 4002, "context.conflict")] == [False] * 3


@dataclass
class Naive:
    """Every failure ever, and the moment it opened; asked by looking at all of it."""

    failures: list[float] = field(default_factory=list)
    opened: float | None = None
    probe: tuple[int, float] | None = None

    def begin(self, call: int, now: float) -> bool:
        if self.opened is None:
            return True
        if now - self.opened < 5 or (self.probe is not None and now - self.probe[1] < 5):
            return False
        self.probe = (call, now)
        return True

    def end(self, call: int, now: float, failed: bool) -> None:
        if self.opened is not None:
            if self.probe is not None and self.probe[0] == call:
                self.opened, self.probe, self.failures = (now if failed else None), None, []
        elif failed:
            self.failures.append(now)
            if sum(1 for at in self.failures if at > now - 10) >= 3:
                self.opened, self.probe = now, None


MOVES = st.tuples(st.integers(0, 4), st.sampled_from(["begin", "ok", "fail"]), st.integers(0, 3))


@given(st.lists(MOVES, max_size=60))
def test_it_does_what_the_naive_model_does(story: list[tuple[int, str, int]]) -> None:
    state, model, now = State(), Naive(), 0.0
    calls: dict[int, int] = {}
    for number, (slot, what, step) in enumerate(story):
        now += step
        if what == "begin" and slot not in calls:
            after = admitted(state, CIRCUIT, now, str(number))
            assert (after is not None) == model.begin(number, now)
            if after is not None:
                state, calls[slot] = after, number
        elif what != "begin" and slot in calls:
            call = calls.pop(slot)
            state = ended(state, CIRCUIT, now, str(call), what == "fail")
            model.end(call, now, what == "fail")
        assert (state.opened is None) == (model.opened is None)
