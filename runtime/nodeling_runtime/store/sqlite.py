"""The embedded store: one SQLite file in the project, shared by as many processes as like.

A process writes through one connection, in immediate transactions, so a writer waits for another one at
the beginning and never fails half-way. Who runs a run holds an operating system's lock on it, and an epoch
that each transaction checks. The write-ahead log is written back by one process at a time, by whoever
finds it long and nobody at it.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nodeling.errors import StoreError
from nodeling_runtime.fault_points import reached
from nodeling_runtime.store import base, rows
from nodeling_runtime.store.model import (
    CLOSED,
    MOST_RECOVERIES,
    OPEN,
    Appended,
    Batch,
    Claim,
    Created,
    Fact,
    Fenced,
    NewRun,
    Retention,
    RunFilter,
    RunRow,
)
from nodeling_runtime.store.projection import changes
from nodeling_runtime.store.run_locks import OPENING, RunLocks
from nodeling_runtime.store.sqlite_events import apply, event_id, insert_event, write_facts
from nodeling_runtime.store.sqlite_file import (
    Transaction,
    connect,
    migrate,
    refuse_network,
    spoken,
)
from nodeling_runtime.store.sqlite_log import LOOK_FACTS, WriteAheadLog
from nodeling_runtime.store.sqlite_reading import RUN, SqliteReading

PRUNE_BATCH = 200
PAGES_AT_ONCE = 1_000
REFUSALS = frozenset({"run.key", "run.limit"})  # of a new run, before anything of it is written

_FENCE = (
    "UPDATE run SET last_seq = last_seq + ? WHERE id = ? AND epoch = ? AND owner = ?"
    " RETURNING last_seq, cancel, number"
)
_WAITING = (
    "SELECT id, workflow FROM run WHERE status = 'running' OR (status = 'queued' AND (most IS NULL OR most >"
    " (SELECT count(*) FROM run AS other WHERE other.workflow = run.workflow AND other.status = 'running')))"
    " ORDER BY number"
)
_OPEN = ", ".join(f"'{status}'" for status in OPEN)
_CLOSED = ", ".join(f"'{status}'" for status in CLOSED)


class SqliteStore(SqliteReading):
    """Runs in a SQLite file."""

    heartbeat_seconds: float | None = None  # the kernel knows who is alive

    def __init__(self, path: Path, durability: str = "full") -> None:
        """Open the file, or make it.

        Raises:
            StoreError: It cannot be used, and why.
        """
        self.url = f"sqlite:///{path}"
        self.files: Path | None = path.with_name("blobs")
        self._guard = threading.RLock()
        self._numbers: dict[str, int] = {}  # of the runs this store has claimed
        refuse_network(path)
        self._locks = _locks_beside(path)
        try:
            self._locks.wait(OPENING)
            try:
                _make_private(path)
                self._db = connect(path, durability, writes=True)
                migrate(self._db, path)
                self._log = WriteAheadLog(path, self._db, self._guard, self._locks)
            finally:
                self._locks.release(OPENING)
            super().__init__(path, durability)
        except BaseException:
            self._locks.close()
            if hasattr(self, "_db"):
                self._db.close()
            raise

    # -- runs and claims

    def create(self, new: NewRun) -> Created:
        """Keep a new run, claimed at once when it names an owner."""
        (created,) = self.create_all([new])
        if isinstance(created, StoreError):
            raise created
        return created

    def create_all(self, news: Sequence[NewRun]) -> list[Created | StoreError]:
        """Keep new runs, all in one transaction; one that is refused has written nothing by then."""
        found: list[Created | StoreError] = []
        try:
            with self._transaction() as db:
                for new in news:
                    try:
                        found.append(self._create(db, new))
                    except StoreError as error:
                        if error.code not in REFUSALS:
                            raise
                        found.append(error)
        except BaseException:
            for created in found:
                if isinstance(created, Created) and created.claim is not None:
                    self._let_go(created.claim)
            raise
        return found

    def claim(self, run_id: str, owner: str) -> Claim:
        """Become the one who may write to an open run."""
        return self._claim(run_id, owner, reopens=False)

    def reclaim(self, run_id: str, owner: str) -> Claim:
        """Claim a run that has ended."""
        return self._claim(run_id, owner, reopens=True)

    def claim_next(self, owner: str, workflows: Sequence[str] = ()) -> Claim | None:
        """Claim the oldest run that waits for an owner."""
        with self._reading() as db:
            waiting = db.execute(_WAITING).fetchall()
        for run_id, workflow in waiting:
            if workflows and workflow not in workflows:
                continue
            try:
                return self.claim(run_id, owner)
            except StoreError as error:
                if error.code not in ("run.held", "run.ended", "run.dead", "run.limit"):
                    raise
        return None

    def release(self, claim: Claim) -> None:
        """Let a run go."""
        self.release_all([claim])

    def release_all(self, claims: Sequence[Claim]) -> None:
        """Let runs go, all in one transaction."""
        text = "UPDATE run SET owner = NULL WHERE id = ? AND epoch = ? AND owner = ?"
        try:
            with self._transaction() as db:
                for claim in claims:
                    db.execute(text, (claim.run_id, claim.epoch, claim.owner))
        finally:
            for claim in claims:
                self._let_go(claim)

    def append(self, batches: Sequence[Batch]) -> list[Appended | Fenced]:
        """Keep facts, all in one transaction; a long log is written back afterwards."""
        with self._transaction() as db:
            answers = [self._append(db, batch) for batch in batches]
            reached("result")
        self._log.wrote(sum(len(batch.facts) for batch in batches))
        return answers

    def cancel(self, run_id: str, reason: str, by: str) -> RunRow:
        """Ask an open run to end."""
        with self._transaction() as db:
            row, _ = self._row(db, run_id)
            if row.status not in OPEN or row.cancel is not None:
                return row
            self._note(db, row, row.epoch, base.cancelling(row, reason, by, time.time()))
            return self._row(db, run_id)[0]

    def abandoned(self) -> set[str]:
        """The runs that are running and whose lock nobody has."""
        with self._reading() as db:
            found = db.execute("SELECT id, number FROM run WHERE status = 'running'").fetchall()
        return {run_id for run_id, number in found if not self._locks.is_held(number)}

    # -- small shared state

    def change_state(
        self,
        space: str,
        key: str,
        change: Callable[[bytes | None], bytes | None],
        lifetime: float | None = None,
    ) -> bytes | None:
        """Replace a value by what `change` makes of it."""
        with self._transaction() as db:
            now = time.time()
            text = "SELECT value FROM state WHERE space = ? AND key = ? AND (expires IS NULL OR expires > ?)"
            row = db.execute(text, (space, key, now)).fetchone()
            new = change(None if row is None else bytes(row[0]))
            if new is None:
                db.execute("DELETE FROM state WHERE space = ? AND key = ?", (space, key))
            else:
                expires = None if lifetime is None else now + lifetime
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", (space, key, new, expires))
            return new

    # -- care

    def prune(self, keep: Retention) -> list[str]:
        """Delete runs that have ended, in small transactions, and give their pages back."""
        gone = base.surplus(self.runs(RunFilter(statuses=CLOSED)), keep, time.time())
        for start in range(0, len(gone), PRUNE_BATCH):
            batch = gone[start : start + PRUNE_BATCH]
            with self._transaction() as db:
                self._forget(db, batch)
            self._forget_files(batch)
        if gone:
            self._shrink()
        return gone

    def _shrink(self) -> None:
        """Give the pages back that nothing needs, some at a time, so that others can write in between."""
        left = math.inf
        while True:
            with self._guard, spoken(self.path):
                (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
                if not 0 < free < left:
                    break
                left = free
                # Not `execute`, which makes one step of it and gives one page back.
                self._db.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
        self._log.wrote(LOOK_FACTS)

    def delete(self, run_id: str) -> None:
        """Delete one run that has ended."""
        with self._transaction() as db:
            row, _ = self._row(db, run_id)
            if row.status in OPEN:
                raise base.still_open(row)
            self._forget(db, [run_id])
        self._forget_files([run_id])

    def backup(self, target: Path) -> None:
        """Copy the file, in one read transaction."""
        if target.exists():
            raise base.no_backup(f"{target} is there already")
        with self._reading() as db:
            db.execute("PRAGMA query_only = OFF")
            try:
                with spoken(target):  # it is the copy that cannot be made
                    db.execute("VACUUM INTO ?", (str(target),))
            finally:
                db.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Let go of everything."""
        with self._guard, self._read_guard:
            self._reader.close()
            self._db.close()
            self._locks.close()

    # -- inside

    def _transaction(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        """An immediate transaction: everything in it is kept, or nothing."""
        return Transaction(self._db, self._guard, self.path)

    def _row(self, db: sqlite3.Connection, run_id: str) -> tuple[RunRow, int]:
        """A run and its number."""
        row = db.execute(f"{RUN} WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise base.not_found(run_id)
        (number,) = db.execute("SELECT number FROM run WHERE id = ?", (run_id,)).fetchone()
        return rows.run_row(row), number

    def _same_key(self, db: sqlite3.Connection, new: NewRun) -> RunRow | None:
        if new.key is None:
            return None
        text = "SELECT id, request_hash FROM run WHERE workflow = ? AND key = ?"
        found = db.execute(text, (new.workflow, new.key)).fetchone()
        if found is None:
            return None
        row, _ = self._row(db, found[0])
        if found[1] != base.fingerprint(new):
            raise base.key_taken(row)
        return row

    def _has_room(self, db: sqlite3.Connection, new: NewRun) -> bool:
        """Whether the run may begin now; one that is refused is refused here."""
        if new.limit is None:
            return True
        text = f"{RUN} WHERE workflow = ? AND status IN ({_OPEN}) ORDER BY number"
        there = [rows.run_row(row) for row in db.execute(text, (new.workflow,))]
        if len(there) < new.limit.most:
            return True
        if new.limit.when_full == "refuse":
            raise base.full(new.workflow, new.limit.most)
        if new.limit.when_full == "cancel_oldest":
            oldest = next((row for row in there if row.cancel is None), None)
            if oldest is not None:
                asked = base.cancelling(oldest, "cancel_oldest", new.run_id, time.time())
                self._note(db, oldest, oldest.epoch, asked)
        return False

    def _refuse_full(self, db: sqlite3.Connection, row: RunRow) -> None:
        """A run that waits for its turn goes on waiting while as many are running as may."""
        if row.status != "queued":
            return
        (most,) = db.execute("SELECT most FROM run WHERE id = ?", (row.run_id,)).fetchone()
        text = "SELECT count(*) FROM run WHERE workflow = ? AND status = 'running'"
        (running,) = db.execute(text, (row.workflow,)).fetchone()
        if most is not None and running >= most:
            raise base.full(row.workflow, most)

    def _create(self, db: sqlite3.Connection, new: NewRun) -> Created:
        found = self._same_key(db, new)
        if found is not None:
            return Created(found, None, existed=True)
        waits = not self._has_room(db, new)
        self._insert(db, new)
        row, number = self._row(db, new.run_id)
        if new.owner is None or waits:
            return Created(row, None)
        if not self._locks.acquire(number):
            raise AssertionError("nobody can hold a run that did not exist")
        try:
            claim = self._take(db, row, number, new.owner, recovers=False)
            row, _ = self._row(db, new.run_id)
        except BaseException:
            self._numbers.pop(new.run_id, None)
            self._locks.release(number)
            raise
        return Created(row, claim)

    def _let_go(self, claim: Claim) -> None:
        """Drop the lock of a run that this store had claimed."""
        number = self._numbers.pop(claim.run_id, None)
        if number is not None:
            self._locks.release(number)

    def _insert(self, db: sqlite3.Connection, new: NewRun) -> None:
        event = base.creating(new)
        definition = (event.data["definition"], new.definition)
        db.execute("INSERT INTO definition VALUES (?, ?) ON CONFLICT DO NOTHING", definition)
        own = {
            "request_hash": base.fingerprint(new),
            "owner": None,
            "epoch": 0,
            "lease_until": 0.0,
            "last_seq": event.seq,
        }
        for change in changes(event):
            apply(db, change, event, own)
        (number,) = db.execute("SELECT number FROM run WHERE id = ?", (new.run_id,)).fetchone()
        insert_event(db, number, event, None, None)
        db.execute("INSERT INTO request VALUES (?, ?)", (number, new.request))

    def _claim(self, run_id: str, owner: str, *, reopens: bool) -> Claim:
        with self._reading() as db:
            row, number = self._row(db, run_id)
        if row.status in CLOSED and not reopens:
            raise base.ended(row)
        if not self._locks.acquire(number):
            raise base.held(run_id, row.owner)
        try:
            with self._transaction() as db:
                row, _ = self._row(db, run_id)
                if row.status in CLOSED and not reopens:
                    raise base.ended(row)
                self._refuse_full(db, row)
                claim = self._take(db, row, number, owner, recovers=row.status == "running")
        except BaseException:
            self._locks.release(number)
            raise
        if claim is None:
            self._locks.release(number)
            raise base.dead(self._row(self._db, run_id)[0])
        return claim

    def _take(
        self, db: sqlite3.Connection, row: RunRow, number: int, owner: str, *, recovers: bool
    ) -> Claim | None:
        """Make `owner` the one who writes. None when the run has died with its owners too often."""
        recovers = recovers and row.owner is not None
        recoveries = row.recoveries + recovers
        now, epoch = time.time(), row.epoch + 1
        if recoveries > MOST_RECOVERIES:
            self._note(db, row, epoch, [base.dying(row, now)])
            db.execute("UPDATE run SET owner = NULL, epoch = ? WHERE id = ?", (epoch, row.run_id))
            return None
        db.execute("UPDATE run SET owner = ?, epoch = ? WHERE id = ?", (owner, epoch, row.run_id))
        if row.status in CLOSED:
            self._numbers[row.run_id] = number
            return Claim(row.run_id, owner, epoch)
        self._note(db, row, epoch, [base.claiming(row, owner, recoveries, now)])
        self._numbers[row.run_id] = number
        return Claim(row.run_id, owner, epoch, recovers)

    def _note(self, db: sqlite3.Connection, row: RunRow, epoch: int, facts: list[Fact]) -> None:
        """Append to a run's history what is not its owner's to say."""
        db.execute("UPDATE run SET last_seq = last_seq + ? WHERE id = ?", (len(facts), row.run_id))
        text = "SELECT last_seq, number FROM run WHERE id = ?"
        last, number = db.execute(text, (row.run_id,)).fetchone()
        write_facts(db, row.run_id, number, epoch, last - len(facts) + 1, facts)

    def _append(self, db: sqlite3.Connection, batch: Batch) -> Appended | Fenced:
        claim, count = batch.claim, len(batch.facts)
        found = db.execute(_FENCE, (count, claim.run_id, claim.epoch, claim.owner)).fetchone()
        if found is None:
            row = db.execute("SELECT owner FROM run WHERE id = ?", (claim.run_id,)).fetchone()
            return Fenced(None if row is None else row[0])
        last, cancel, number = found
        write_facts(db, claim.run_id, number, claim.epoch, last - count + 1, batch.facts)
        return Appended(last, cancel)

    def _forget(self, db: sqlite3.Connection, run_ids: list[str]) -> None:
        """Delete runs, and what only they referred to."""
        for run_id in run_ids:
            found = db.execute("SELECT number FROM run WHERE id = ?", (run_id,)).fetchone()
            if found is not None:
                bounds = (event_id(found[0], 0), event_id(found[0] + 1, 0))
                db.execute("DELETE FROM event WHERE id > ? AND id < ?", bounds)
            db.execute("DELETE FROM run WHERE id = ?", (run_id,))
        db.execute("DELETE FROM blob WHERE hash NOT IN (SELECT blob FROM event WHERE blob IS NOT NULL)")
        db.execute("DELETE FROM definition WHERE hash NOT IN (SELECT definition FROM run)")

    def _forget_files(self, run_ids: list[str]) -> None:
        """Remove the files of runs that are gone."""
        for run_id in run_ids:
            if self.files is not None:
                shutil.rmtree(self.files / run_id, ignore_errors=True)


def _locks_beside(path: Path) -> RunLocks:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return RunLocks(path.with_name(f"{path.name}.lock"))
    except OSError as error:
        raise StoreError(
            f"{path.parent} cannot be written: {error.strerror}",
            code="store.read_only",
            hint="give yourself the right to write it, or name another store; `--store none` keeps nothing",
        ) from error


def _make_private(path: Path) -> None:
    """Make the file, readable by nobody else: what runs give may be private."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
