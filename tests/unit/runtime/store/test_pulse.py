"""The thread that says who is alive, and the clock by which an owner gives up before others take over."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from nodeling.errors import StoreError
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import Appended, Claim, Fenced
from nodeling_runtime.store.pulse import STALE_BEATS, Pulse

PATIENCE = 20.0
BEAT = 1 / 32  # so that sums of it are exact


class Heard(MemoryStore):
    """A store that wants heartbeats, and counts them."""

    heartbeat_seconds: float | None = BEAT

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[tuple[Claim, ...]] = []
        self.overtaken: list[Claim] = []
        self.reasons: dict[str, str] = {}
        self.is_away = False
        self.changed = threading.Condition()

    def heartbeat(self, claims: Sequence[Claim]) -> list[Claim]:
        with self.changed:
            self.beats.append(tuple(claims))
            self.changed.notify_all()
        if self.is_away:
            raise StoreError("away", code="store.unreachable")
        return [claim for claim in claims if claim in self.overtaken]

    def cancels(self, claims: Sequence[Claim]) -> dict[str, str]:
        return self.reasons

    def beaten(self, times: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.beats) >= times, PATIENCE)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


A, B = Claim("a", "me", 1), Claim("b", "me", 3)


def silent(answer: Appended | Fenced) -> None:
    """Nobody listens."""


@pytest.fixture
def store() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(store: Heard, clock: Clock) -> Iterator[Pulse]:
    found = Pulse(store, clock)
    yield found
    found.close()


def test_all_runs_of_a_process_are_kept_alive_by_one_call(store: Heard, clock: Clock, pulse: Pulse) -> None:
    pulse.watch(A, silent)
    pulse.watch(B, silent)
    clock.now += BEAT
    store.beaten(1)
    assert set(store.beats[0]) == {A, B}
    clock.now += BEAT
    store.beaten(2)
    assert not pulse.is_stale(A)


def test_a_heartbeat_is_not_said_before_it_is_due(store: Heard, pulse: Pulse) -> None:
    told = threading.Event()
    store.reasons = {"a": "cancelled"}
    pulse.watch(A, lambda answer: told.set())
    assert told.wait(PATIENCE)  # it has looked, and time stands still
    assert store.beats == []


def test_an_owner_who_slept_too_long_is_stale_at_once_and_not_when_a_call_comes_back(
    store: Heard, clock: Clock, pulse: Pulse
) -> None:
    """FAULTS 61: the age counts time that the process was stopped for."""
    store.is_away = True
    pulse.watch(A, silent)
    clock.now += STALE_BEATS * BEAT * 0.99
    assert not pulse.is_stale(A)
    clock.now += STALE_BEATS * BEAT
    assert pulse.is_stale(A)
    assert not pulse.is_stale(B)  # nobody watches it


def test_a_heartbeat_that_failed_makes_nothing_younger(store: Heard, clock: Clock, pulse: Pulse) -> None:
    store.is_away = True
    pulse.watch(A, silent)
    for number in range(1, 4):
        clock.now += BEAT
        store.beaten(number)
    assert pulse.is_stale(A)


def test_whoever_was_overtaken_is_told_so(store: Heard, clock: Clock, pulse: Pulse) -> None:
    told: list[object] = []
    both = threading.Event()
    store.overtaken = [A]
    pulse.watch(A, lambda answer: (told.append(answer), both.set()))  # type: ignore[func-returns-value]
    pulse.watch(B, told.append)
    clock.now += BEAT
    assert both.wait(PATIENCE)
    pulse.close()
    assert set(map(type, told)) == {Fenced}


def test_whoever_takes_a_claim_over_takes_its_age_too(store: Heard, clock: Clock, pulse: Pulse) -> None:
    store.is_away = True
    pulse.watch(A, silent)
    clock.now += 2 * STALE_BEATS * BEAT
    pulse.watch(A, silent)
    assert pulse.is_stale(A)
    pulse.unwatch(A)
    assert not pulse.is_stale(A)
