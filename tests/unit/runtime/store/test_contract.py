"""What every store promises, asked of each: the one suite."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import StoreError
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import (
    INLINE_BYTES,
    MOST_RECOVERIES,
    Appended,
    Batch,
    Claim,
    Fact,
    Fenced,
    NewRun,
    Retention,
    RunFilter,
    RunLimit,
)
from nodeling_runtime.store.verify import verify, verify_run
from stores import KINDS, Place, place_of


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    found = place_of(request.param, tmp_path, request)
    yield found
    found.close()


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


def new(run_id: str = "r1", **given: Any) -> NewRun:
    settings: dict[str, Any] = {
        "workflow": "work",
        "version": "1",
        "definition": b'{"steps":[]}',
        "request": b'{"body":1}',
        "at": 100.0,
        "owner": "me",
    }
    return NewRun(run_id, **{**settings, **given})


def begun(store: Store, run_id: str = "r1", **given: Any) -> Claim:
    claim = store.create(new(run_id, **given)).claim
    assert claim is not None
    return claim


def test_several_new_runs_are_kept_together_and_one_that_is_refused_hurts_no_other(store: Store) -> None:
    begun(store, "first", key="k")
    wanted = [new("a"), new("b", key="k", request=b'{"body":2}'), new("c", key="k"), new("d", owner=None)]
    a, refused, known, queued = store.create_all(wanted)
    assert not isinstance(a, StoreError)
    assert a.claim is not None
    assert isinstance(refused, StoreError)
    assert refused.code == "run.key"
    assert not isinstance(known, StoreError)
    assert known.existed
    assert known.run.run_id == "first"
    assert not isinstance(queued, StoreError)
    assert (queued.run.status, queued.claim) == ("queued", None)
    assert [row.run_id for row in store.runs(RunFilter())] == ["d", "a", "first"]


def test_a_run_that_nobody_runs_any_more_is_told_apart_from_one_that_goes_on(place: Place) -> None:
    mine, theirs = place.open(), place.open()
    begun(theirs, "theirs")
    claim = begun(mine, "ended")
    mine.create(new("queued", owner=None))
    over = Fact("run.ended", 2.0, data={"status": "succeeded", "error": None})
    mine.append([Batch(claim, (over,))])
    assert mine.abandoned() == set()
    place.die(theirs)
    assert mine.abandoned() == {"theirs"}


def test_several_runs_are_let_go_together(store: Store) -> None:
    claims = [begun(store, run_id) for run_id in ("a", "b")]
    store.release_all(claims)
    for claim in claims:
        assert not store.claim(claim.run_id, "you").is_recovery


def started(path: str, attempt: int = 1, at: float = 101.0) -> Fact:
    return Fact("step.started", at, path, {"attempt": attempt, "name": path, "node": "n", "container": False})


def ended(path: str, value: bytes | None = b"1", attempt: int | None = 1, **given: Any) -> Fact:
    data = {
        "name": path,
        "node": "n",
        "status": "succeeded",
        "reason": None,
        "attempts": attempt or 0,
        "attempt": attempt,
        "started": 101.0,
        "error": None,
        **given,
    }
    return Fact("step.ended", 102.0, path, data, value)


def keep(store: Store, claim: Claim, *facts: Fact) -> Appended:
    (answer,) = store.append([Batch(claim, facts)])
    assert isinstance(answer, Appended)
    return answer


def close_run(store: Store, claim: Claim, status: str = "succeeded", at: float = 110.0) -> None:
    keep(store, claim, Fact("run.ended", at, data={"status": status, "error": None}, value=b"7"))
    store.release(claim)


# -- runs


def test_a_created_run_can_be_read_at_once(store: Store) -> None:
    created = store.create(new(labels={"tags": ["a"]}, key="k", owner=None))
    assert created.claim is None
    assert not created.existed
    row = store.run("r1")
    assert row == created.run
    assert row is not None
    assert (row.status, row.workflow, row.created, row.key, row.labels) == (
        "queued",
        "work",
        100.0,
        "k",
        {"tags": ["a"]},
    )
    assert store.definition(row.definition) == b'{"steps":[]}'
    assert row.definition == hashlib.sha256(b'{"steps":[]}').hexdigest()
    assert store.request("r1") == b'{"body":1}'


def test_what_is_not_there_is_none_or_empty(store: Store) -> None:
    assert store.run("nobody") is None
    assert store.request("nobody") is None
    assert store.definition("0" * 64) is None
    assert store.events("nobody") == store.results("nobody") == store.attempts("nobody") == []
    with pytest.raises(StoreError) as error:
        store.claim("nobody", "me")
    assert error.value.code == "run.not_found"


def test_a_run_that_names_its_owner_is_claimed_in_the_same_breath(store: Store) -> None:
    claim = begun(store)
    row = store.run("r1")
    assert row is not None
    assert (row.status, row.owner, row.epoch, row.recoveries) == ("running", "me", 1, 0)
    assert row.started is not None
    assert (claim.epoch, claim.is_recovery) == (1, False)


def test_lists_are_newest_first_and_filtered(store: Store) -> None:
    for number in range(4):
        begun(store, f"r{number}", at=100.0 + number, workflow="even" if number % 2 == 0 else "odd")
    close_run(store, store_claim(store, "r1"))
    assert [row.run_id for row in store.runs(RunFilter())] == ["r3", "r2", "r1", "r0"]
    assert [row.run_id for row in store.runs(RunFilter(limit=2))] == ["r3", "r2"]
    assert [row.run_id for row in store.runs(RunFilter(workflow="even"))] == ["r2", "r0"]
    assert [row.run_id for row in store.runs(RunFilter(statuses=("succeeded",)))] == ["r1"]
    assert [row.run_id for row in store.runs(RunFilter(since=101.0, until=103.0))] == ["r2", "r1"]
    assert [row.run_id for row in store.find("r")] == ["r3", "r2", "r1", "r0"]
    assert [row.run_id for row in store.find("r2")] == ["r2"]
    assert store.find("%") == []


def store_claim(store: Store, run_id: str) -> Claim:
    row = store.run(run_id)
    assert row is not None
    assert row.owner is not None
    return Claim(run_id, row.owner, row.epoch)


# -- keys


def test_the_same_key_and_request_are_the_same_run(store: Store) -> None:
    begun(store, "r1", key="k")
    again = store.create(new("r2", key="k"))
    assert again.existed
    assert again.claim is None
    assert again.run.run_id == "r1"
    assert store.run("r2") is None


def test_a_key_with_another_request_is_refused_and_nothing_is_kept(store: Store) -> None:
    begun(store, "r1", key="k")
    with pytest.raises(StoreError) as error:
        store.create(new("r2", key="k", request=b'{"body":2}'))
    assert error.value.code == "run.key"
    assert "r1" in error.value.message
    assert store.run("r2") is None


def test_keys_belong_to_their_workflow(store: Store) -> None:
    begun(store, "r1", key="k")
    assert not store.create(new("r2", key="k", workflow="other")).existed
    assert not store.create(new("r3")).existed
    assert not store.create(new("r4")).existed  # no key is no key


# -- history


def test_events_are_numbered_without_a_gap_and_hold_what_was_given(store: Store) -> None:
    claim = begun(store)
    answer = keep(store, claim, started("a"), ended("a", b'{"x":[1]}'))
    keep(store, claim, Fact("decision", 103.0, "b", {"if": True}, delta=b'{"k":{"who":"a"}}', gen=2))
    events = store.events("r1")
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert [event.kind for event in events] == [
        "run.created",
        "run.claimed",
        "step.started",
        "step.ended",
        "decision",
    ]
    assert answer.last_seq == 4
    assert events[3].value == b'{"x":[1]}'
    assert events[3].at == 102.0
    assert (events[4].data, events[4].delta, events[4].gen) == ({"if": True}, b'{"k":{"who":"a"}}', 2)
    assert [event.seq for event in store.events("r1", after=2, limit=2)] == [3, 4]


def test_a_step_leaves_an_attempt_and_one_result(store: Store) -> None:
    claim = begun(store)
    keep(store, claim, started("a"))
    (attempt,) = store.attempts("r1")
    assert (attempt.path, attempt.attempt, attempt.state, attempt.ended) == ("a", 1, "running", None)
    keep(store, claim, ended("a"))
    (attempt,) = store.attempts("r1")
    assert (attempt.state, attempt.ended) == ("succeeded", 102.0)
    (result,) = store.results("r1")
    assert (result.path, result.status, result.attempts, result.seq) == ("a", "succeeded", 1, 4)


def test_a_retry_waits_on_a_timer_that_the_next_attempt_takes_away(store: Store) -> None:
    claim = begun(store)
    error = {"code": 5000, "message": "not yet"}
    retry = Fact("step.retry", 102.0, "a", {"attempt": 1, "error": error, "delay_ms": 8_000, "due": 110.0})
    keep(store, claim, started("a"), retry)
    (timer,) = store.timers("r1")
    assert (timer.path, timer.kind, timer.due) == ("a", "retry", 110.0)
    keep(store, claim, started("a", 2, at=110.5))
    assert store.timers("r1") == []
    first, second = store.attempts("r1")
    assert (first.state, first.error, second.state) == ("failed", error, "running")
    keep(store, claim, ended("a", attempt=2))
    assert verify_run(store, "r1") == []


def test_a_step_that_never_ran_has_a_result_and_no_attempt(store: Store) -> None:
    claim = begun(store)
    keep(store, claim, ended("a", None, None, status="skipped", reason="condition", started=None))
    assert store.attempts("r1") == []
    (result,) = store.results("r1")
    assert (result.status, result.reason, result.started) == ("skipped", "condition", None)


def test_a_second_result_is_refused_and_takes_its_whole_batch_with_it(store: Store) -> None:
    claim = begun(store)
    keep(store, claim, started("a"), ended("a", b"1"))
    with pytest.raises(StoreError) as error:
        store.append([Batch(claim, (started("b"), ended("a", b"2", None)))])
    assert error.value.code == "store.contradiction"
    assert [attempt.path for attempt in store.attempts("r1")] == ["a"]
    assert store.events("r1")[-1].value == b"1"
    assert keep(store, claim, started("b")).last_seq == 5
    assert verify_run(store, "r1") == []


def test_another_generation_has_a_result_of_its_own(store: Store) -> None:
    claim = begun(store)
    keep(store, claim, started("a"), ended("a"))
    again = Fact("step.started", 103.0, "a", {"attempt": 1}, gen=1)
    done = ended("a", b"2")
    keep(store, claim, again, Fact(done.kind, done.at, "a", done.data, b"2", gen=1))
    assert [(result.gen, result.seq) for result in store.results("r1")] == [(0, 4), (1, 6)]
    assert verify_run(store, "r1") == []


def test_an_end_without_a_start_is_refused(store: Store) -> None:
    claim = begun(store)
    with pytest.raises(StoreError) as error:
        store.append([Batch(claim, (ended("a"),))])
    assert error.value.code == "store.contradiction"
    assert store.results("r1") == []


def test_values_of_every_size_come_back_byte_for_byte(store: Store) -> None:
    claim = begun(store)
    large = b'"' + b"x" * INLINE_BYTES * 2 + b'"'
    keep(store, claim, *(fact for path in "ab" for fact in (started(path), ended(path, large))))
    keep(store, claim, started("c"), ended("c", None), started("d"), ended("d", b'"\xc3\xa9"'))
    values = {event.path: event.value for event in store.events("r1") if event.kind == "step.ended"}
    assert values == {"a": large, "b": large, "c": None, "d": b'"\xc3\xa9"'}


def test_batches_of_several_runs_are_kept_together(store: Store) -> None:
    claims = [begun(store, f"r{number}") for number in range(3)]
    answers = store.append([Batch(claim, (started("a"),)) for claim in claims])
    assert answers == [Appended(3), Appended(3), Appended(3)]


def test_the_end_of_a_run_is_its_row(store: Store) -> None:
    claim = begun(store)
    close_run(store, claim, "failed")
    row = store.run("r1")
    assert row is not None
    assert (row.status, row.ended, row.owner) == ("failed", 110.0, None)
    assert store.events("r1")[-1].value == b"7"


# -- claims


def test_what_somebody_alive_holds_cannot_be_claimed(place: Place) -> None:
    mine, yours = place.open(), place.open()
    begun(mine)
    with pytest.raises(StoreError) as error:
        yours.claim("r1", "you")
    assert error.value.code == "run.held"
    assert "me" in error.value.message


def test_the_run_of_an_owner_who_died_is_recovered_under_a_new_epoch(place: Place) -> None:
    mine = place.open()
    old = begun(mine)
    place.die(mine)
    yours = place.open()
    claim = yours.claim("r1", "you")
    assert (claim.owner, claim.epoch, claim.is_recovery) == ("you", old.epoch + 1, True)
    row = yours.run("r1")
    assert row is not None
    assert (row.status, row.recoveries) == ("running", 1)


def test_an_overtaken_owner_keeps_nothing(place: Place) -> None:
    mine = place.open()
    old = begun(mine)
    place.die(mine)
    yours = place.open()
    claim = yours.claim("r1", "you")
    before = yours.events("r1")
    assert yours.append([Batch(old, (started("a"),))]) == [Fenced("you")]
    assert yours.events("r1") == before
    assert yours.attempts("r1") == []
    assert yours.heartbeat([old, claim]) == [old]
    keep(yours, claim, started("a"))


def test_a_batch_that_is_fenced_does_not_hurt_its_neighbours(place: Place) -> None:
    mine = place.open()
    old, other = begun(mine, "r1"), begun(mine, "r2")
    place.die(mine)
    yours = place.open()
    yours.claim("r1", "you")
    claim = yours.claim("r2", "you")
    answers = yours.append([Batch(old, (started("a"),)), Batch(claim, (started("a"),))])
    assert isinstance(answers[0], Fenced)
    assert isinstance(answers[1], Appended)
    assert other.epoch < claim.epoch


def test_a_run_that_was_let_go_is_no_recovery(store: Store) -> None:
    store.release(begun(store))
    claim = store.claim("r1", "you")
    assert not claim.is_recovery
    row = store.run("r1")
    assert row is not None
    assert row.recoveries == 0


def test_the_claim_after_too_many_deaths_makes_the_run_dead(place: Place) -> None:
    store = place.open()
    begun(store)
    for number in range(MOST_RECOVERIES):
        place.die(store)
        store = place.open()
        assert store.claim("r1", f"owner {number}").is_recovery
    place.die(store)
    store = place.open()
    for _ in range(2):
        with pytest.raises(StoreError) as error:
            store.claim("r1", "you")
        assert error.value.code == "run.dead"
        assert "out of process" in (error.value.hint or "")
    row = store.run("r1")
    assert row is not None
    assert (row.status, row.recoveries, row.owner) == ("dead", MOST_RECOVERIES, None)
    assert row.error is not None
    assert row.error["code"] == "run.dead"
    assert verify_run(store, "r1") == []
    assert store.claim_next("you") is None


def test_a_run_that_has_ended_is_claimed_only_to_be_restarted(store: Store) -> None:
    close_run(store, begun(store))
    with pytest.raises(StoreError) as error:
        store.claim("r1", "you")
    assert error.value.code == "run.ended"
    claim = store.reclaim("r1", "you")
    assert not claim.is_recovery
    keep(store, claim, Fact("run.restarted", 120.0, data={"by": "you", "cone": ["a"], "gen": 1}))
    row = store.run("r1")
    assert row is not None
    assert (row.status, row.ended, row.error) == ("running", None, None)
    assert verify_run(store, "r1") == []


def test_the_oldest_run_that_waits_is_next(place: Place) -> None:
    store = place.open()
    begun(store, "r1")  # somebody alive has it
    store.create(new("r2", owner=None))
    store.create(new("r3", owner=None, workflow="other"))
    third = store.claim_next("w", ["other"])
    second = store.claim_next("w")
    assert third is not None
    assert second is not None
    assert (third.run_id, second.run_id) == ("r3", "r2")
    assert store.claim_next("w") is None
    place.die(store)
    orphan = place.open().claim_next("w2")
    assert orphan is not None
    assert (orphan.run_id, orphan.is_recovery) == ("r1", True)


def test_of_many_who_ask_at_once_one_gets_the_run(place: Place) -> None:
    place.open().create(new(owner=None))
    stores = [place.open() for _ in range(4)]
    gate = threading.Barrier(len(stores))
    won: list[Claim] = []
    lost: list[Any] = []

    def ask(store: Store, number: int) -> None:
        gate.wait()
        try:
            won.append(store.claim("r1", f"owner {number}"))
        except StoreError as error:
            lost.append(error.code)

    threads = [threading.Thread(target=ask, args=(store, n)) for n, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == ["run.held"] * 3


# -- cancelling


def test_the_owner_hears_of_a_cancel_with_its_next_batch(place: Place) -> None:
    mine, yours = place.open(), place.open()
    claim = begun(mine)
    assert keep(mine, claim, started("a")).cancel is None
    assert mine.cancels([claim]) == {}
    row = yours.cancel("r1", "cancelled", "somebody")
    assert (row.status, row.cancel) == ("running", "cancelled")
    assert mine.cancels([claim]) == {"r1": "cancelled"}
    assert keep(mine, claim, ended("a")).cancel == "cancelled"
    assert yours.cancel("r1", "again", "somebody").cancel == "cancelled"
    assert verify_run(yours, "r1") == []


def test_a_queued_run_that_is_cancelled_has_ended(store: Store) -> None:
    store.create(new(owner=None))
    row = store.cancel("r1", "cancelled", "me")
    assert (row.status, row.ended is not None) == ("cancelled", True)
    assert store.claim_next("you") is None


def test_a_run_that_has_ended_is_not_cancelled(store: Store) -> None:
    close_run(store, begun(store))
    assert store.cancel("r1", "cancelled", "me").status == "succeeded"
    with pytest.raises(StoreError) as error:
        store.cancel("nobody", "cancelled", "me")
    assert error.value.code == "run.not_found"


# -- limits


def test_one_more_than_the_limit_waits_until_one_has_ended(store: Store) -> None:
    limit = RunLimit(1)
    claim = begun(store, "r1", limit=limit)
    second = store.create(new("r2", limit=limit))
    assert second.claim is None
    assert second.run.status == "queued"
    assert store.claim_next("w") is None
    with pytest.raises(StoreError) as error:
        store.claim("r2", "w")
    assert error.value.code == "run.limit"
    close_run(store, claim)
    found = store.claim_next("w")
    assert found is not None
    assert found.run_id == "r2"


def test_one_more_than_the_limit_is_refused_where_that_is_wanted(store: Store) -> None:
    limit = RunLimit(1, "refuse")
    begun(store, "r1", limit=limit)
    with pytest.raises(StoreError) as error:
        store.create(new("r2", limit=limit))
    assert error.value.code == "run.limit"
    assert store.run("r2") is None
    assert store.create(new("r3", limit=limit, workflow="other")).claim is not None


def test_one_more_than_the_limit_ends_the_oldest_where_that_is_wanted(store: Store) -> None:
    limit = RunLimit(1, "cancel_oldest")
    claim = begun(store, "r1", limit=limit)
    second = store.create(new("r2", limit=limit))
    assert second.run.status == "queued"
    assert store.cancels([claim]) == {"r1": "cancel_oldest"}


# -- shared state


def test_state_is_changed_atomically_by_all_who_share_the_store(place: Place) -> None:
    stores = [place.open() for _ in range(4)]

    def count(store: Store) -> None:
        for _ in range(25):
            store.change_state("counts", "a", lambda old: str(int(old or b"0") + 1).encode())

    threads = [threading.Thread(target=count, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].read_state("counts", "a") == b"100"


def test_state_is_deleted_and_runs_out(store: Store) -> None:
    assert store.change_state("s", "k", lambda _old: b"1") == b"1"
    assert store.read_state("other", "k") is None
    assert store.change_state("s", "k", lambda _old: None) is None
    assert store.read_state("s", "k") is None
    store.change_state("s", "k", lambda _old: b"2", lifetime=-1.0)
    assert store.read_state("s", "k") is None
    seen: list[bytes | None] = []
    store.change_state("s", "k", lambda old: seen.append(old) or b"3")  # type: ignore[func-returns-value]
    assert seen == [None]


# -- care


def test_retention_lets_go_of_what_is_old_or_too_much_and_never_of_what_is_open(store: Store) -> None:
    for number in range(5):
        claim = begun(store, f"r{number}", key=f"k{number}")
        keep(store, claim, started("a"), ended("a", b"x" * (INLINE_BYTES + number)))
        close_run(store, claim, at=1_000.0)
    begun(store, "open", at=1.0)
    assert store.prune(Retention(None, 10)) == []
    assert sorted(store.prune(Retention(None, 3))) == ["r0", "r1"]
    assert sorted(store.prune(Retention(60.0, None))) == ["r2", "r3", "r4"]
    assert [row.run_id for row in store.runs(RunFilter())] == ["open"]
    assert store.events("r2") == store.results("r2") == []
    assert store.definition(hashlib.sha256(b'{"steps":[]}').hexdigest()) is not None
    assert store.check() == []
    assert not store.create(new("again", key="k2")).existed


def test_a_run_is_deleted_once_it_has_ended(store: Store) -> None:
    claim = begun(store)
    with pytest.raises(StoreError) as error:
        store.delete("r1")
    assert error.value.code == "run.open"
    close_run(store, claim)
    store.delete("r1")
    assert store.run("r1") is None
    with pytest.raises(StoreError):
        store.delete("r1")


def test_a_whole_store_is_whole_and_its_rows_are_what_its_events_say(store: Store) -> None:
    claim = begun(store)
    keep(store, claim, started("a"), ended("a"))
    close_run(store, claim)
    begun(store, "r2")
    assert store.check() == []
    assert verify(store) == []


def test_what_was_kept_is_there_for_whoever_opens_the_store_next(place: Place) -> None:
    store = place.open()
    claim = begun(store)
    keep(store, claim, started("a"), ended("a", b'{"kept":true}'))
    place.die(store)
    again = place.open()
    assert again.events("r1")[-1].value == b'{"kept":true}'
    assert again.results("r1")[0].status == "succeeded"
