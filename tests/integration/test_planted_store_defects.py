"""Broken variants of the store and the journal, each of which the suite has to see.

A test that cannot fail shows nothing. Here one thing at a time is broken on purpose, and the test that is
there for it is run: it must fail.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_runs import keeper_of
from integration import test_durable_faults as faults
from integration import test_durable_runs as runs
from nodeling.errors import StoreError
from nodeling_runtime.engine import durable, gate, job_log, noting, recall, recorded, run_log, scope, step
from nodeling_runtime.engine.journal import Journal
from nodeling_runtime.store import base, sqlite, sqlite_events
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import Appended
from nodeling_runtime.store.run_locks import RunLocks
from nodeling_runtime.store.sqlite import SqliteStore
from stores import SqlitePlace
from unit.runtime.store import test_contract as contract

Patch = pytest.MonkeyPatch
Check = Callable[[Path, Patch], None]
DEFECTS: dict[str, tuple[Callable[[Patch], None], Check]] = {}


def defect(check: Check) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Register a defect, and the test that has to see it."""

    def register(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        DEFECTS[plant.__name__] = (plant, check)
        return plant

    return register


# -- how the tests of other modules are run here


def on_sqlite(test: Callable[..., None], *wants: str) -> Check:
    """A test of the contract, on SQLite."""

    def check(folder: Path, _patch: Patch) -> None:
        place = SqlitePlace(folder)
        try:
            test(*(place if want == "place" else place.open() for want in wants))
        finally:
            place.close()

    return check


def in_memory(test: Callable[..., None], *wants: str) -> Check:
    """A test of runs that are kept, in memory."""

    def check(folder: Path, patch: Patch) -> None:
        keeper = keeper_of(MemoryStore())
        patch.setenv("EFFECTS", str(folder / "effects"))
        given = {
            "keeper": lambda: keeper,
            "done": lambda: folder / "effects",
            "project": lambda: runs.Project(folder),
            "calls": list,
            "monkeypatch": lambda: patch,
        }
        try:
            test(*(given[want]() for want in wants))
        finally:
            keeper.close()

    return check


prefixes = in_memory(runs.test_every_prefix_of_a_history_leads_to_the_same_end, "keeper", "done")
order = in_memory(runs.test_a_start_is_written_before_the_call_and_with_the_result_that_caused_it, "keeper")


# -- the store


@defect(on_sqlite(contract.test_an_overtaken_owner_keeps_nothing, "place"))
def no_fence(patch: Patch) -> None:
    patch.setattr(
        sqlite, "_FENCE", sqlite._FENCE.replace(" AND epoch = ? AND owner = ?", " OR epoch = ? OR owner = ?")
    )


@defect(on_sqlite(contract.test_an_overtaken_owner_keeps_nothing, "place"))
def a_claim_that_keeps_the_epoch(patch: Patch) -> None:
    real = SqliteStore._take

    def take(self: SqliteStore, db: Any, row: Any, number: int, owner: str, *, recovers: bool) -> Any:
        return real(self, db, row, number, row.owner or owner, recovers=recovers)

    patch.setattr(SqliteStore, "_take", take)
    patch.setattr(sqlite, "_FENCE", sqlite._FENCE.replace("epoch = ?", "? > 0"))


@defect(on_sqlite(contract.test_what_somebody_alive_holds_cannot_be_claimed, "place"))
def a_lock_that_locks_nobody_out(patch: Patch) -> None:
    patch.setattr(RunLocks, "acquire", lambda self, number: True)


@defect(on_sqlite(contract.test_a_second_result_is_refused_and_takes_its_whole_batch_with_it, "store"))
def a_second_result_replaces_the_first(patch: Patch) -> None:
    real = sqlite_events._statement
    patch.setattr(
        sqlite_events, "_statement", lambda *a: real(*a).replace("INSERT INTO", "INSERT OR REPLACE INTO")
    )


@defect(on_sqlite(contract.test_a_second_result_is_refused_and_takes_its_whole_batch_with_it, "store"))
def a_transaction_that_keeps_what_came_before_its_failure(patch: Patch) -> None:
    @contextlib.contextmanager
    def transaction(self: SqliteStore) -> Iterator[Any]:
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            finally:
                self._db.execute("COMMIT")

    patch.setattr(SqliteStore, "_transaction", transaction)


@defect(on_sqlite(contract.test_a_retry_waits_on_a_timer_that_the_next_attempt_takes_away, "store"))
def rows_that_do_not_follow_their_events(patch: Patch) -> None:
    real = sqlite_events.changes
    patch.setattr(
        sqlite_events, "changes", lambda event: [one for one in real(event) if one.table != "timer"]
    )


@defect(on_sqlite(contract.test_the_claim_after_too_many_deaths_makes_the_run_dead, "place"))
def recoveries_that_nobody_counts(patch: Patch) -> None:
    real = base.claiming
    patch.setattr(base, "claiming", lambda row, owner, _count, now: real(row, owner, 0, now))


@defect(
    on_sqlite(contract.test_retention_lets_go_of_what_is_old_or_too_much_and_never_of_what_is_open, "store")
)
def retention_that_takes_open_runs(patch: Patch) -> None:
    patch.setattr(sqlite, "CLOSED", (*sqlite.CLOSED, "running"))
    patch.setattr(base, "surplus", lambda rows, keep, now: [row.run_id for row in rows if row.created < now])


@defect(on_sqlite(contract.test_a_key_with_another_request_is_refused_and_nothing_is_kept, "store"))
def a_key_that_looks_at_no_request(patch: Patch) -> None:
    patch.setattr(base, "fingerprint", lambda new: "same")


# -- the journal


@defect(order)
def a_call_that_does_not_wait_for_its_start(patch: Patch) -> None:
    patch.setattr(Journal, "keeping", lambda self: None)


@defect(order)
def a_successor_that_starts_before_the_result_is_noted(patch: Patch) -> None:
    real = job_log.StepLog.write_end

    def late(self: job_log.StepLog) -> None:
        self.journal._loop.call_later(0.05, real, self)

    patch.setattr(job_log.StepLog, "write_end", late)


@defect(in_memory(faults.test_a_disk_that_stays_full_stops_the_run_and_nothing_is_reported_done, "calls"))
def listeners_that_hear_before_anything_is_kept(patch: Patch) -> None:
    patch.setattr(Journal, "when_kept", lambda self, tell: tell())


@defect(in_memory(faults.test_a_disk_that_stays_full_stops_the_run_and_nothing_is_reported_done, "calls"))
def an_answer_before_the_commit(patch: Patch) -> None:
    from nodeling_runtime.store.writer import Writer

    def early(self: Writer, group: Any) -> None:
        for wanted in group:
            wanted.done(Appended(1))
        with contextlib.suppress(StoreError):
            self.store.append([wanted.batch for wanted in group])

    patch.setattr(Writer, "_keep", early)


@defect(in_memory(runs.test_a_recovery_does_not_eat_the_retries, "keeper"))
def a_recovery_that_eats_a_retry(patch: Patch) -> None:
    real = job_log.StepLog._take_up

    def take_up(self: job_log.StepLog) -> None:
        real(self)
        self.lost = 0

    patch.setattr(job_log.StepLog, "_take_up", take_up)


@defect(in_memory(runs.test_an_unsafe_step_that_may_have_run_is_in_doubt_and_nothing_goes_on, "keeper"))
def an_unsafe_step_that_is_run_again(patch: Patch) -> None:
    patch.setattr(recorded.Recorded, "doubtful", lambda self: [])


@defect(in_memory(runs.test_a_decision_is_not_made_anew, "keeper", "project", "monkeypatch"))
def a_condition_that_is_asked_again(patch: Patch) -> None:
    patch.setattr(scope, "decided", lambda journal, place, what, decide: decide())


@defect(in_memory(runs.test_the_cancel_of_another_process_is_honoured_before_anything_starts, "keeper"))
def a_cancel_that_is_forgotten(patch: Patch) -> None:
    patch.setattr(run_log.RunLog, "resume_ending", lambda self, job, cleanup_ms: None)
    patch.setattr(run_log.RunLog, "_told", lambda self, reason: None)


@defect(in_memory(runs.test_the_deadline_of_a_resumed_run_is_the_one_it_had, "keeper"))
def a_deadline_that_begins_anew(patch: Patch) -> None:
    real = recorded.fold

    def forgetful(events: Any) -> recorded.Recorded:
        found = real(events)
        found.created = None
        return found

    patch.setattr(durable, "fold", forgetful)


@defect(in_memory(runs.test_the_key_of_a_step_is_the_same_over_attempts_and_recoveries, "keeper"))
def a_key_for_each_attempt(patch: Patch) -> None:
    real = step.StepJob.key
    patch.setattr(step.StepJob, "key", lambda self: f"{real(self)}{self.record.attempts}")


@defect(in_memory(runs.test_a_secret_is_not_kept, "keeper", "project", "monkeypatch"))
def a_secret_that_is_kept(patch: Patch) -> None:
    patch.setattr(Journal, "_masked", lambda self, data: data)


@defect(prefixes)
def children_that_run_again(patch: Patch) -> None:
    real = recall.Recall.opened

    def opened(self: recall.Recall, child: Any, start: Any) -> None:
        real(self, child, start)
        child.job.answer = child.job.gate = None

    patch.setattr(recall.Recall, "opened", opened)


@defect(prefixes)
def an_answer_before_the_others_are_there(patch: Patch) -> None:
    patch.setattr(gate.Gate, "_next", lambda self: self._order[0][0] if self._order else None)


@defect(prefixes)
def chance_that_is_asked_again(patch: Patch) -> None:
    real = recall.Recall.value

    def value(self: recall.Recall, kind: str, make: Callable[[], Any]) -> Any:
        if kind == "random":
            self.journal.recorded.values.clear()
            return real(self, kind, lambda: 0.9 if self.journal.resumes else 0.1)
        return real(self, kind, make)

    patch.setattr(recall.Recall, "value", value)


@defect(prefixes)
def writes_that_are_lost(patch: Patch) -> None:
    patch.setattr(noting, "delta_data", lambda delta: None)


@defect(prefixes)
def a_result_that_is_lost(patch: Patch) -> None:
    real = noting.note_end

    def forgetful(*args: Any, **given: Any) -> None:
        if args[2] != "each[1]/one":
            real(*args, **given)

    patch.setattr(job_log, "note_end", forgetful)


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_a_planted_defect_is_seen(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    plant, check = DEFECTS[name]
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0.3)
    plant(monkeypatch)
    seen = functools.partial(check, tmp_path, monkeypatch)
    with pytest.raises((AssertionError, StoreError, ValueError, pytest.fail.Exception)):
        seen()


def test_there_are_defects_enough() -> None:
    assert len(DEFECTS) >= 15
