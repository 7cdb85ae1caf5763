"""The shared store: a schema in a PostgreSQL database, for runners on as many machines as like.

Who runs a run holds a lease on it, by the database's clock, and an epoch that each transaction checks with
its first statement: a runner that was paused beyond its lease finds, whenever it wakes, that it may write
nothing more. NOTIFY only shortens waiting; whoever misses it finds the same a second later.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
from nodeling_runtime.store.postgres_address import Address, Db
from nodeling_runtime.store.postgres_claims import claim_statement, free
from nodeling_runtime.store.postgres_events import Writing
from nodeling_runtime.store.postgres_hints import Hints
from nodeling_runtime.store.postgres_link import Link
from nodeling_runtime.store.postgres_reading import RUN, STATE, PostgresReading
from nodeling_runtime.store.postgres_schema import migrate
from nodeling_runtime.store.projection import changes

PRUNE_BATCH = 200

_FENCE = (
    "UPDATE run SET last_seq = last_seq + %s WHERE id = %s AND epoch = %s AND owner = %s"
    " RETURNING last_seq, cancel"
)
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_RUNNING = "SELECT count(*) FROM run WHERE workflow = %s AND status = 'running' AND id <> %s"
_ORPHANED_BLOBS = (
    "DELETE FROM blob WHERE NOT EXISTS (SELECT FROM event WHERE event.blob = blob.hash) AND hash = ANY(%s)"
)
_ORPHANED_DEFINITIONS = (
    "DELETE FROM definition WHERE NOT EXISTS (SELECT FROM run WHERE run.definition = definition.hash)"
    " AND hash = ANY(%s)"
)


class _Crowded(Exception):
    """As many runs of this workflow are running as may: another runner was faster."""

    def __init__(self, workflow: str) -> None:
        super().__init__(workflow)
        self.workflow = workflow


class PostgresStore(PostgresReading):
    """Runs in a schema of a PostgreSQL database."""

    def __init__(self, url: str, durability: str = "full") -> None:
        """Connect, and make or migrate the schema.

        Raises:
            StoreError: The store cannot be used, and why.
        """
        address = Address.parse(url)
        self.url = address.shown
        self.files: Path | None = None  # runners on several machines share no folder
        self.heartbeat_seconds: float | None = address.lease_seconds / 3
        migrate(address)
        super().__init__(address, durability)
        self._claims: dict[str, Claim] = {}
        self._claims_guard = threading.Lock()
        self._hints = Hints(address)
        try:
            self._writes = Link(address, durability)
        except BaseException:
            self._reads.close()
            raise

    # -- runs and claims

    def create(self, new: NewRun) -> Created:
        """Keep a new run, claimed at once when it names an owner."""

        def work(db: Db) -> Created:
            found = self._same_key(db, new)
            if found is not None:
                return Created(found, None, existed=True)
            waits = not self._has_room(db, new)
            self._insert(db, new)
            claim = None
            if new.owner is None or waits:
                self._hints.send(db)
            else:
                claim = self._take(db, new.owner, "id = %(id)s", {"id": new.run_id})
            return Created(_row(db, new.run_id), claim)

        created = self._writes.write(work)
        self._hold(created.claim)
        return created

    def create_all(self, news: Sequence[NewRun]) -> list[Created | StoreError]:
        """Keep new runs, one after the other."""
        return base.one_by_one(self.create, news)

    def claim(self, run_id: str, owner: str) -> Claim:
        """Become the one who may write to an open run."""
        return self._claim(run_id, owner, reopens=False)

    def reclaim(self, run_id: str, owner: str) -> Claim:
        """Claim a run that has ended."""
        return self._claim(run_id, owner, reopens=True)

    def claim_next(self, owner: str, workflows: Sequence[str] = ()) -> Claim | None:
        """Claim the oldest run that waits for an owner."""
        crowded: list[str] = []
        while True:
            where, values = free(workflows, crowded)

            def work(db: Db, where: str = where, values: dict[str, Any] = values) -> Claim | RunRow | None:
                return self._take(db, owner, where, values, skips=True)

            try:
                found = self._writes.write(work)
            except _Crowded as error:
                crowded.append(error.workflow)
                continue
            if found is None or isinstance(found, Claim):
                self._hold(found)
                return found

    def release(self, claim: Claim) -> None:
        """Let a run go."""

        def work(db: Db) -> None:
            text = (
                "UPDATE run SET owner = NULL, lease_until = '-infinity'"
                " WHERE id = %s AND epoch = %s AND owner = %s"
            )
            db.execute(text, (claim.run_id, claim.epoch, claim.owner))
            self._hints.send(db)

        with self._claims_guard:
            self._claims.pop(claim.run_id, None)
        self._writes.write(work)

    def release_all(self, claims: Sequence[Claim]) -> None:
        """Let runs go, one after the other."""
        for claim in claims:
            self.release(claim)

    def append(self, batches: Sequence[Batch]) -> list[Appended | Fenced]:
        """Keep facts, all in one transaction, the claims checked first.

        Runs are locked in the order of their ids, so that two who share some never wait for each other.
        """
        order = sorted(range(len(batches)), key=lambda number: batches[number].claim.run_id)

        def work(db: Db) -> list[Appended | Fenced]:
            answers: dict[int, Appended | Fenced] = {n: _fenced(db, batches[n]) for n in order}
            writing = Writing(db)
            with db.pipeline():
                for number, batch in enumerate(batches):
                    answer = answers[number]
                    if isinstance(answer, Appended):
                        first = answer.last_seq - len(batch.facts) + 1
                        writing.facts(batch.claim.run_id, batch.claim.epoch, first, batch.facts)
            writing.check()
            reached("result")
            return [answers[number] for number in range(len(batches))]

        return self._writes.write(work)

    def cancel(self, run_id: str, reason: str, by: str) -> RunRow:
        """Ask an open run to end."""

        def work(db: Db) -> RunRow:
            row = _row(db, run_id, locks=True)
            if row.status not in OPEN or row.cancel is not None:
                return row
            _note(db, row, row.epoch, base.cancelling(row, reason, by, time.time()))
            return _row(db, run_id)

        return self._writes.write(work)

    def await_work(self, seconds: float) -> None:
        """Wait until somebody says that there may be a run to claim."""
        self._hints.wait(seconds)

    # -- small shared state

    def change_state(
        self,
        space: str,
        key: str,
        change: Callable[[bytes | None], bytes | None],
        lifetime: float | None = None,
    ) -> bytes | None:
        """Replace a value by what `change` makes of it."""

        def work(db: Db) -> bytes | None:
            db.execute(_LOCK, (f"nodeling.state.{self.address.schema}.{space}.{key}",))
            row = db.execute(STATE, (space, key)).fetchone()
            new = change(None if row is None else bytes(row[0]))
            if new is None:
                db.execute("DELETE FROM state WHERE space = %s AND key = %s", (space, key))
                return None
            text = (
                "INSERT INTO state (space, key, value, expires)"
                " VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))"
                " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
            )
            db.execute(text, (space, key, new, lifetime))
            return new

        return self._writes.write(work)

    # -- care

    def prune(self, keep: Retention) -> list[str]:
        """Delete runs that have ended, in small transactions; one process at a time does."""
        gone = base.surplus(self.runs(RunFilter(statuses=CLOSED)), keep, time.time())
        for start in range(0, len(gone), PRUNE_BATCH):
            batch = gone[start : start + PRUNE_BATCH]

            def work(db: Db, batch: list[str] = batch) -> None:
                db.execute(_LOCK, (f"nodeling.prune.{self.address.schema}",))
                _forget(db, batch)

            self._writes.write(work)
        return gone

    def delete(self, run_id: str) -> None:
        """Delete one run that has ended."""

        def work(db: Db) -> None:
            row = _row(db, run_id, locks=True)
            if row.status in OPEN:
                raise base.still_open(row)
            _forget(db, [run_id])

        self._writes.write(work)

    def backup(self, target: Path) -> None:
        """The server has tools for that."""
        raise base.no_backup(f"`pg_dump --schema={self.address.schema}` copies one in PostgreSQL")

    def close(self) -> None:
        """Let go of everything. A lease that cannot be given up runs out."""
        with self._claims_guard:
            claims = list(self._claims.values())
            self._claims.clear()
        if claims:
            ids, epochs = [claim.run_id for claim in claims], [claim.epoch for claim in claims]
            text = (
                "UPDATE run SET lease_until = '-infinity'"
                " FROM unnest(%s::text[], %s::bigint[]) AS mine (id, epoch)"
                " WHERE run.id = mine.id AND run.epoch = mine.epoch"
            )
            with contextlib.suppress(StoreError):
                self._writes.write(lambda db: db.execute(text, (ids, epochs)))
        for link in (self._writes, self._reads, self._hints):
            link.close()

    # -- inside

    def _hold(self, claim: Claim | None) -> None:
        if claim is not None:
            with self._claims_guard:
                self._claims[claim.run_id] = claim

    def _same_key(self, db: Db, new: NewRun) -> RunRow | None:
        if new.key is None:
            return None
        db.execute(_LOCK, (f"nodeling.key.{self.address.schema}.{new.workflow}.{new.key}",))
        text = "SELECT id, request_hash FROM run WHERE workflow = %s AND key = %s"
        found = db.execute(text, (new.workflow, new.key)).fetchone()
        if found is None:
            return None
        row = _row(db, found[0])
        if found[1] != base.fingerprint(new):
            raise base.key_taken(row)
        return row

    def _has_room(self, db: Db, new: NewRun) -> bool:
        """Whether the run may begin now; one that is refused is refused here."""
        if new.limit is None:
            return True
        self._lock_limit(db, new.workflow)
        text = f"{RUN} WHERE workflow = %s AND status = ANY(%s) ORDER BY number"
        there = [rows.run_row(row) for row in db.execute(text, (new.workflow, list(OPEN))).fetchall()]
        if len(there) < new.limit.most:
            return True
        if new.limit.when_full == "refuse":
            raise base.full(new.workflow, new.limit.most)
        if new.limit.when_full == "cancel_oldest":
            oldest = next((row for row in there if row.cancel is None), None)
            if oldest is not None:
                row = _row(db, oldest.run_id, locks=True)
                if row.status in OPEN and row.cancel is None:
                    _note(db, row, row.epoch, base.cancelling(row, "cancel_oldest", new.run_id, time.time()))
        return False

    def _lock_limit(self, db: Db, workflow: str) -> None:
        """Whoever begins a run of a limited workflow does so alone."""
        db.execute(_LOCK, (f"nodeling.limit.{self.address.schema}.{workflow}",))

    def _insert(self, db: Db, new: NewRun) -> None:
        event = base.creating(new)
        own = {
            "request": new.request,
            "request_hash": base.fingerprint(new),
            "owner": None,
            "epoch": 0,
            "lease_until": "-infinity",
            "last_seq": event.seq,
        }
        writing = Writing(db)
        with db.pipeline():
            db.execute(
                "INSERT INTO definition (hash, body) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (event.data["definition"], new.definition),
            )
            for change in changes(event):
                writing.apply(change, event, **own)
            writing.event(event, None, None)
        writing.check()

    def _claim(self, run_id: str, owner: str, *, reopens: bool) -> Claim:
        where = "id = %(id)s AND (owner IS NULL OR lease_until <= clock_timestamp())"
        if not reopens:
            where += " AND status = ANY(%(open)s)"
        values = {"id": run_id, "open": list(OPEN)}

        def work(db: Db) -> Claim | RunRow:
            return self._take(db, owner, where, values) or _row(db, run_id)

        found = self._writes.write(work)
        if isinstance(found, Claim):
            self._hold(found)
            return found
        if found.status == "dead" and not reopens:
            raise base.dead(found)
        if found.status in CLOSED and not reopens:
            raise base.ended(found)
        raise base.held(run_id, found.owner)

    def _take(
        self, db: Db, owner: str, where: str, values: dict[str, Any], *, skips: bool = False
    ) -> Claim | Any:
        """Make `owner` the one who writes to the run that is found; its row when it has died too often."""
        text = claim_statement(where, skips=skips)
        lease = self.address.lease_seconds
        found = db.execute(text, {**values, "owner": owner, "lease": lease}).fetchone()
        if found is None:
            return None
        row, most = rows.run_row(found[:-1]), found[-1]
        epoch, now = row.epoch + 1, time.time()
        recovers = row.status == "running" and row.owner is not None
        recoveries = row.recoveries + recovers
        if recoveries > MOST_RECOVERIES:
            _note(db, row, epoch, [base.dying(row, now)])
            db.execute("UPDATE run SET owner = NULL, lease_until = '-infinity' WHERE id = %s", (row.run_id,))
            return _row(db, row.run_id)
        if most is not None and row.status == "queued":
            self._lock_limit(db, row.workflow)
            if db.execute(_RUNNING, (row.workflow, row.run_id)).fetchone()[0] >= most:
                raise _Crowded(row.workflow) if skips else base.full(row.workflow, most)
        if row.status not in CLOSED:
            _note(db, row, epoch, [base.claiming(row, owner, recoveries, now)])
        return Claim(row.run_id, owner, epoch, recovers)


def _row(db: Db, run_id: str, *, locks: bool = False) -> RunRow:
    text = f"{RUN} WHERE id = %s FOR UPDATE" if locks else f"{RUN} WHERE id = %s"
    found = db.execute(text, (run_id,)).fetchone()
    if found is None:
        raise base.not_found(run_id)
    return rows.run_row(found)


def _note(db: Db, row: RunRow, epoch: int, facts: list[Fact]) -> None:
    """Append to a run's history what is not its owner's to say."""
    text = "UPDATE run SET last_seq = last_seq + %s WHERE id = %s RETURNING last_seq"
    (last,) = db.execute(text, (len(facts), row.run_id)).fetchone()
    writing = Writing(db)
    with db.pipeline():
        writing.facts(row.run_id, epoch, last - len(facts) + 1, facts)
    writing.check()


def _fenced(db: Db, batch: Batch) -> Appended | Fenced:
    """Check a batch's claim and make room for its events, in one statement."""
    claim = batch.claim
    values = (len(batch.facts), claim.run_id, claim.epoch, claim.owner)
    found = db.execute(_FENCE, values).fetchone()
    if found is not None:
        return Appended(*found)
    row = db.execute("SELECT owner FROM run WHERE id = %s", (claim.run_id,)).fetchone()
    return Fenced(None if row is None else row[0])


def _forget(db: Db, run_ids: list[str]) -> None:
    """Delete runs that have ended, and what only they referred to."""
    ids = (run_ids, list(CLOSED))
    text = "SELECT DISTINCT blob FROM event JOIN run ON run.id = run WHERE run = ANY(%s) AND blob IS NOT NULL"
    blobs = [hash for (hash,) in db.execute(text, (run_ids,)).fetchall()]
    text = "DELETE FROM run WHERE id = ANY(%s) AND status = ANY(%s) RETURNING definition"
    definitions = list({hash for (hash,) in db.execute(text, ids).fetchall()})
    db.execute(_ORPHANED_BLOBS, (blobs,))
    db.execute(_ORPHANED_DEFINITIONS, (definitions,))
