"""Broken variants of the shared store, each of which its tests have to see; as for the other stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import StoreError
from nodeling_runtime.store import postgres, postgres_claims, postgres_events, postgres_reading
from nodeling_runtime.store.postgres import PostgresStore
from nodeling_runtime.store.postgres_link import Link
from nodeling_runtime.store.pulse import Pulse
from stores import PostgresPlace
from unit.runtime.store import test_contract as contract
from unit.runtime.store import test_postgres as shared
from unit.runtime.store import test_pulse as pulses

Patch = pytest.MonkeyPatch
Check = Callable[[PostgresPlace], None]
BACKWARDS = ("+ make_interval", "- make_interval")
DEFECTS: dict[str, tuple[Callable[[Patch], None], Check]] = {}


def defect(check: Check) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register a defect, and the test that has to see it."""

    def register(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        DEFECTS[plant.__name__] = (plant, check)
        return plant

    return register


def of_contract(test: Callable[..., None], wants: str = "place") -> Check:
    return lambda place: test(place if wants == "place" else place.open())


def of_shared(test: Callable[..., None], *more: Any) -> Check:
    return lambda place: test(lambda durability="off": place.open(), *more)


def of_pulse(test: Callable[..., None]) -> Check:
    def check(_place: PostgresPlace) -> None:
        store, clock = pulses.Heard(), pulses.Clock()
        pulse = Pulse(store, clock)
        try:
            test(store, clock, pulse)
        finally:
            pulse.close()

    return check


overtaken = of_shared(shared.test_who_lets_the_lease_run_out_is_overtaken_and_writes_nothing_more)


@defect(overtaken)
def no_fence(patch: Patch) -> None:
    patch.setattr(
        postgres,
        "_FENCE",
        postgres._FENCE.replace("epoch = %s AND owner = %s", "(epoch = %s OR owner <> %s)"),
    )


@defect(of_contract(contract.test_a_batch_that_is_fenced_does_not_hurt_its_neighbours))
def a_fence_that_looks_at_the_first_batch_only(patch: Patch) -> None:
    real = postgres._fenced
    last: list[Any] = []

    def fenced(db: Any, batch: Any) -> Any:
        last[:] = [real(db, batch)] if len(last) != 1 else last
        return last[0]

    patch.setattr(postgres, "_fenced", fenced)


@defect(overtaken)
def a_claim_that_keeps_the_epoch(patch: Patch) -> None:
    real = postgres_claims.claim_statement
    patch.setattr(
        postgres, "claim_statement", lambda *a, **k: real(*a, **k).replace("run.epoch + 1", "run.epoch")
    )


@defect(overtaken)
def a_lease_that_locks_nobody_out(patch: Patch) -> None:
    real = postgres_claims.claim_statement
    patch.setattr(
        postgres,
        "claim_statement",
        lambda *a, **k: real(*a, **k).replace(*BACKWARDS),
    )


@defect(of_shared(shared.test_a_heartbeat_keeps_a_lease_that_had_nearly_run_out))
def a_heartbeat_that_extends_nothing(patch: Patch) -> None:
    patch.setattr(postgres_reading, "_BEAT", postgres_reading._BEAT.replace(*BACKWARDS))


@defect(overtaken)
def a_heartbeat_that_asks_for_the_run_alone(patch: Patch) -> None:
    patch.setattr(
        postgres_reading,
        "_BEAT",
        postgres_reading._BEAT.replace(" AND run.epoch = mine.epoch AND run.owner = mine.owner", "").replace(
            "RETURNING run.id, run.epoch", "RETURNING run.id, mine.epoch"
        ),
    )


@defect(overtaken)
def a_release_that_gives_away_what_is_not_its_own(patch: Patch) -> None:
    def release(self: PostgresStore, claim: Any) -> None:
        text = "UPDATE run SET owner = NULL WHERE id = %s"
        self._writes.write(lambda db: db.execute(text, (claim.run_id,)))

    patch.setattr(PostgresStore, "release", release)


@defect(of_shared(shared.test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten, True))
def a_commit_that_is_repeated_without_asking(patch: Patch) -> None:
    patch.setattr(Link, "_was_kept", lambda self, number: False)


@defect(of_shared(shared.test_a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten, False))
def a_commit_that_is_taken_for_granted(patch: Patch) -> None:
    patch.setattr(Link, "_was_kept", lambda self, number: True)


@defect(of_contract(contract.test_a_second_result_is_refused_and_takes_its_whole_batch_with_it, "store"))
def a_second_result_is_passed_over(patch: Patch) -> None:
    real = postgres_events._statement
    patch.setattr(
        postgres_events,
        "_statement",
        lambda op, *a: real(op, *a) + (" ON CONFLICT DO NOTHING" if op == "insert" else ""),
    )


@defect(of_contract(contract.test_an_end_without_a_start_is_refused, "store"))
def updates_that_nobody_looks_at(patch: Patch) -> None:
    patch.setattr(postgres_events.Writing, "check", lambda self: None)


@defect(of_pulse(pulses.test_an_owner_who_slept_too_long_is_stale_at_once_and_not_when_a_call_comes_back))
def an_owner_who_never_gives_up(patch: Patch) -> None:
    patch.setattr(Pulse, "is_stale", lambda self, claim: False)


@defect(of_pulse(pulses.test_a_heartbeat_that_failed_makes_nothing_younger))
def a_failed_heartbeat_that_counts(patch: Patch) -> None:
    patch.setattr(Pulse, "_beat", lambda self, watched, seconds: _young(self, watched))


def _young(pulse: Pulse, watched: list[Any]) -> list[Any]:
    for one in watched:
        one.beat = pulse._clock()
    pulse._store.heartbeat([one.claim for one in watched])
    return []


@pytest.mark.parametrize("name", DEFECTS)
def test_the_suite_sees_a_defect_that_is_planted(
    name: str, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, check = DEFECTS[name]
    place = PostgresPlace(tmp_path, postgres)
    try:
        check(place)  # it passes as things are
    finally:
        place.close()
    place = PostgresPlace(tmp_path, postgres)
    try:
        plant(monkeypatch)
        with pytest.raises((AssertionError, pytest.fail.Exception, StoreError)):
            check(place)
    finally:
        place.close()
