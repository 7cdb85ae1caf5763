"""A store that keeps its runs in this process: what the others must be like, and good for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nodeling.errors import StoreError
from nodeling_runtime.store import base
from nodeling_runtime.store.model import (
    CLOSED,
    MOST_RECOVERIES,
    OPEN,
    Appended,
    AttemptRow,
    Batch,
    Claim,
    Created,
    Event,
    Fact,
    Fenced,
    NewRun,
    ResultRow,
    Retention,
    RunFilter,
    RunRow,
    TimerRow,
)
from nodeling_runtime.store.projection import ProjectionError, Row, Table, Tables


class _Kept:
    """One run."""

    def __init__(self, new: NewRun, number: int) -> None:
        self.number = number
        self.new = new
        self.events: list[Event] = []
        self.tables = Tables()
        self.owner: str | None = None
        self.epoch = 0
        self.is_held = False

    def append(self, epoch: int, facts: Sequence[Fact]) -> None:
        """Keep facts, or none of them."""
        before = len(self.events)
        tables = Tables()
        tables.rows = {name: dict(rows) for name, rows in self.tables.rows.items()}
        try:
            for fact in facts:
                event = Event(
                    self.new.run_id,
                    len(self.events) + 1,
                    epoch,
                    fact.kind,
                    fact.at,
                    fact.path,
                    fact.gen,
                    fact.data,
                    fact.value,
                    fact.delta,
                )
                tables.apply(event)
                self.events.append(event)
        except ProjectionError as error:
            del self.events[before:]
            raise StoreError(str(error), code="store.contradiction") from error
        self.tables = tables

    def row(self) -> RunRow:
        """Its row."""
        (row,) = self.tables.rows["run"].values()
        return RunRow(
            run_id=row["id"],
            **{key: value for key, value in row.items() if key not in ("id", "most")},
            owner=self.owner,
            epoch=self.epoch,
            last_seq=len(self.events),
        )


class MemoryStore:
    """Runs in a dictionary."""

    url = "memory:"
    files: Path | None = None
    heartbeat_seconds: float | None = None

    def __init__(self) -> None:
        self._runs: dict[str, _Kept] = {}
        self._definitions: dict[str, bytes] = {}
        self._state: dict[tuple[str, str], tuple[bytes, float | None]] = {}
        self._count = 0
        self._lock = threading.RLock()

    # -- runs and claims

    def create(self, new: NewRun) -> Created:
        """Keep a new run."""
        with self._lock:
            for kept in self._runs.values():
                if new.key is not None and (kept.new.workflow, kept.new.key) == (new.workflow, new.key):
                    if base.fingerprint(kept.new) != base.fingerprint(new):
                        raise base.key_taken(kept.row())
                    return Created(kept.row(), None, existed=True)
            waits = not self._has_room(new)
            self._count += 1
            kept = _Kept(new, self._count)
            event = base.creating(new)
            kept.tables.apply(event)
            kept.events.append(event)
            self._definitions[event.data["definition"]] = new.definition
            self._runs[new.run_id] = kept
            if new.owner is None or waits:
                return Created(kept.row(), None)
            claim = self._take(kept, new.owner, recovers=False)
            return Created(kept.row(), claim)

    def create_all(self, news: Sequence[NewRun]) -> list[Created | StoreError]:
        """Keep new runs, one after the other."""
        return base.one_by_one(self.create, news)

    def claim(self, run_id: str, owner: str) -> Claim:
        """Become the one who may write to an open run."""
        with self._lock:
            kept = self._kept(run_id)
            if kept.row().status in CLOSED:
                raise base.ended(kept.row())
            if not kept.is_held and kept.new.limit is not None and not self._may_begin(kept, kept.row()):
                raise base.full(kept.row().workflow, kept.new.limit.most)
            return self.reclaim(run_id, owner)

    def reclaim(self, run_id: str, owner: str) -> Claim:
        """Claim a run that has ended."""
        with self._lock:
            kept = self._kept(run_id)
            if kept.is_held:
                raise base.held(run_id, kept.owner)
            claim = self._take(kept, owner, recovers=kept.row().status == "running")
            if claim is None:
                raise base.dead(kept.row())
            return claim

    def claim_next(self, owner: str, workflows: Sequence[str] = ()) -> Claim | None:
        """Claim the oldest run that waits for an owner."""
        with self._lock:
            for kept in list(self._runs.values()):
                row = kept.row()
                if kept.is_held or row.status not in ("queued", "running") or not self._may_begin(kept, row):
                    continue
                if workflows and row.workflow not in workflows:
                    continue
                try:
                    return self.claim(row.run_id, owner)
                except StoreError as error:
                    if error.code != "run.dead":
                        raise
            return None

    def heartbeat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those that have been overtaken."""
        with self._lock:
            return [claim for claim in claims if not self._is_current(claim)]

    def release(self, claim: Claim) -> None:
        """Let a run go."""
        with self._lock:
            if self._is_current(claim):
                kept = self._runs[claim.run_id]
                kept.owner, kept.is_held = None, False

    def release_all(self, claims: Sequence[Claim]) -> None:
        """Let runs go, one after the other."""
        for claim in claims:
            self.release(claim)

    def abandon(self) -> None:
        """All owners have died."""
        with self._lock:
            for kept in self._runs.values():
                kept.is_held = False

    def append(self, batches: Sequence[Batch]) -> list[Appended | Fenced]:
        """Keep facts."""
        with self._lock:
            undo = {
                batch.claim.run_id: (kept.events[:], kept.tables)
                for batch in batches
                if (kept := self._runs.get(batch.claim.run_id)) is not None
            }
            try:
                return [self._append(batch) for batch in batches]
            except StoreError:
                for run_id, (events, tables) in undo.items():
                    self._runs[run_id].events, self._runs[run_id].tables = events, tables
                raise

    def cancel(self, run_id: str, reason: str, by: str) -> RunRow:
        """Ask an open run to end."""
        with self._lock:
            kept = self._kept(run_id)
            row = kept.row()
            if row.status in OPEN and row.cancel is None:
                kept.append(kept.epoch, base.cancelling(row, reason, by, time.time()))
            return kept.row()

    def cancels(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Which of these runs were asked to end."""
        with self._lock:
            rows = [self._runs[claim.run_id].row() for claim in claims if claim.run_id in self._runs]
            return {row.run_id: row.cancel for row in rows if row.cancel is not None}

    def await_work(self, seconds: float) -> None:
        """Nobody says anything here: wait."""
        time.sleep(seconds)

    # -- reading

    def run(self, run_id: str) -> RunRow | None:
        """One run."""
        with self._lock:
            return self._runs[run_id].row() if run_id in self._runs else None

    def find(self, prefix: str) -> list[RunRow]:
        """The runs whose id begins so."""
        return [row for row in self.runs(RunFilter()) if row.run_id.startswith(prefix)][:10]

    def runs(self, wanted: RunFilter) -> list[RunRow]:
        """Runs, newest first."""
        with self._lock:
            rows = [kept.row() for kept in sorted(self._runs.values(), key=lambda kept: -kept.number)]
        found = [
            row
            for row in rows
            if (not wanted.statuses or row.status in wanted.statuses)
            and (wanted.workflow is None or row.workflow == wanted.workflow)
            and (wanted.since is None or row.created >= wanted.since)
            and (wanted.until is None or row.created < wanted.until)
        ]
        return found if wanted.limit is None else found[: wanted.limit]

    def abandoned(self) -> set[str]:
        """The runs that are running and that nobody holds."""
        with self._lock:
            return {
                run_id
                for run_id, kept in self._runs.items()
                if not kept.is_held and kept.row().status == "running"
            }

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Every try of every step."""
        rows = sorted(self.rows("attempt", run_id), key=lambda row: (row["started"], row["path"]))
        return [AttemptRow(**_without_run(row)) for row in rows]

    def results(self, run_id: str) -> list[ResultRow]:
        """How each generation of each step ended."""
        rows = sorted(self.rows("result", run_id), key=lambda row: int(row["seq"]))
        return [ResultRow(**_without_run(row)) for row in rows]

    def timers(self, run_id: str) -> list[TimerRow]:
        """What is waited for."""
        rows = sorted(self.rows("timer", run_id), key=lambda row: float(row["due"]))
        return [TimerRow(**_without_run(row)) for row in rows]

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """A run's history."""
        with self._lock:
            found = self._runs[run_id].events[after:] if run_id in self._runs else []
            return found if limit is None else found[:limit]

    def definition(self, hash: str) -> bytes | None:
        """A pinned workflow with its nodes."""
        return self._definitions.get(hash)

    def request(self, run_id: str) -> bytes | None:
        """What the run was asked to do."""
        with self._lock:
            return self._runs[run_id].new.request if run_id in self._runs else None

    # -- small shared state

    def read_state(self, space: str, key: str) -> bytes | None:
        """A kept value whose time is not over."""
        with self._lock:
            value, expires = self._state.get((space, key), (None, None))
            return None if expires is not None and expires <= time.time() else value

    def change_state(
        self,
        space: str,
        key: str,
        change: Callable[[bytes | None], bytes | None],
        lifetime: float | None = None,
    ) -> bytes | None:
        """Replace a value by what `change` makes of it."""
        with self._lock:
            new = change(self.read_state(space, key))
            if new is None:
                self._state.pop((space, key), None)
            else:
                self._state[space, key] = (new, None if lifetime is None else time.time() + lifetime)
            return new

    # -- care

    def prune(self, keep: Retention) -> list[str]:
        """Delete runs that have ended."""
        with self._lock:
            gone = base.surplus(self.runs(RunFilter(statuses=CLOSED)), keep, time.time())
            for run_id in gone:
                del self._runs[run_id]
            return gone

    def delete(self, run_id: str) -> None:
        """Delete one run that has ended."""
        with self._lock:
            row = self._kept(run_id).row()
            if row.status in OPEN:
                raise base.still_open(row)
            del self._runs[run_id]

    def rows(self, table: Table, run_id: str) -> list[Row]:
        """The projection's rows."""
        with self._lock:
            kept = self._runs.get(run_id)
            return [] if kept is None else [dict(row) for row in kept.tables.rows[table].values()]

    def check(self) -> list[str]:
        """Memory is whole."""
        return []

    def backup(self, target: Path) -> None:
        """Memory is not copied."""
        raise base.no_backup("it is kept in memory only")

    def close(self) -> None:
        """Drop all claims; the runs stay, as in a file."""
        self.abandon()

    # -- inside

    def _kept(self, run_id: str) -> _Kept:
        if run_id not in self._runs:
            raise base.not_found(run_id)
        return self._runs[run_id]

    def _is_current(self, claim: Claim) -> bool:
        kept = self._runs.get(claim.run_id)
        return kept is not None and (kept.owner, kept.epoch) == (claim.owner, claim.epoch)

    def _append(self, batch: Batch) -> Appended | Fenced:
        kept = self._runs.get(batch.claim.run_id)
        if kept is None or not self._is_current(batch.claim):
            return Fenced(None if kept is None else kept.owner)
        kept.append(kept.epoch, batch.facts)
        return Appended(len(kept.events), kept.row().cancel)

    def _take(self, kept: _Kept, owner: str, *, recovers: bool) -> Claim | None:
        row = kept.row()
        recovers = recovers and kept.owner is not None
        recoveries = row.recoveries + recovers
        kept.epoch += 1
        if recoveries > MOST_RECOVERIES:
            kept.append(kept.epoch, [base.dying(row, time.time())])
            kept.owner = None
            return None
        kept.owner, kept.is_held = owner, True
        if row.status not in CLOSED:
            kept.append(kept.epoch, [base.claiming(row, owner, recoveries, time.time())])
        return Claim(row.run_id, owner, kept.epoch, recovers)

    def _open(self, workflow: str) -> list[_Kept]:
        return [k for k in self._runs.values() if k.new.workflow == workflow and k.row().status in OPEN]

    def _has_room(self, new: NewRun) -> bool:
        if new.limit is None:
            return True
        there = self._open(new.workflow)
        if len(there) < new.limit.most:
            return True
        if new.limit.when_full == "refuse":
            raise base.full(new.workflow, new.limit.most)
        if new.limit.when_full == "cancel_oldest":
            oldest = next((kept for kept in there if kept.row().cancel is None), None)
            if oldest is not None:
                self.cancel(oldest.new.run_id, "cancel_oldest", new.run_id)
        return False

    def _may_begin(self, kept: _Kept, row: RunRow) -> bool:
        if row.status != "queued" or kept.new.limit is None:
            return True
        running = sum(1 for other in self._open(row.workflow) if other.row().status == "running")
        return running < kept.new.limit.most


def _without_run(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "run"}
