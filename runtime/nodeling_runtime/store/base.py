"""The contract of a store: where runs are kept, and who may write to them.

A store is plain synchronous code; `writer.Writer` gives it a thread, so that no commit is waited for on
the engine's loop. What every store promises, and one suite of tests asks of each:

- A method returns when what it did is durable, or raises `StoreError` and has done nothing.
- `append` gives each event the next `seq` of its run, and changes the rows of `projection.changes` in the
  same transaction. A second result of one step's generation is refused, whoever brings it.
- A run is written to under a claim alone, and the claim is checked by each transaction, first. A claim
  that has been overtaken keeps nothing: `append` answers `Fenced`.
- Who holds a claim is alive. How a store knows is its own affair: an operating system's lock that dies
  with its process, or a lease by the database's clock that `heartbeat` extends.
- The fourth time that a run's owner has died the run is `dead`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from nodeling.errors import StoreError
from nodeling_runtime.store.model import (
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
from nodeling_runtime.store.projection import Row, Table


class Store(Protocol):
    """Where runs are kept. Every method may be called from any thread."""

    url: str
    files: Path | None  # where files of runs' outputs lie, a folder for each run; None: it keeps none
    heartbeat_seconds: float | None  # how often `heartbeat` must be called; None where claims need none

    # -- runs and claims

    def create(self, new: NewRun) -> Created:
        """Keep a new run, and claim it when it names an owner.

        A run with the same workflow and key is returned instead of a second one.

        Raises:
            StoreError: The key belongs to another request (`run.key`); or there are as many open runs as
                `limit` allows and one more is refused (`run.limit`).
        """

    def create_all(self, news: Sequence[NewRun]) -> list[Created | StoreError]:
        """Do the same for several, in one transaction where there is such a thing; one answer for each.

        Raises:
            StoreError: None of them was kept.
        """

    def claim(self, run_id: str, owner: str) -> Claim:
        """Become the one who may write to an open run.

        Raises:
            StoreError: There is no such run (`run.not_found`), it has ended (`run.ended`), somebody alive
                holds it (`run.held`), its owners have died too often (`run.dead`; it is dead now), or it is
                queued and as many runs of its workflow are running as may (`run.limit`).
        """

    def reclaim(self, run_id: str, owner: str) -> Claim:
        """Claim a run that has ended, to restart a part of it; append `run.restarted` next.

        Raises:
            StoreError: There is no such run, or somebody alive holds it.
        """

    def claim_next(self, owner: str, workflows: Sequence[str] = ()) -> Claim | None:
        """Claim the oldest run that waits for an owner: a queued one, or one whose owner died.

        Of a workflow whose runs are limited no more than that many are running at once.
        """

    def heartbeat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Say that the owner of these claims is alive; those that have been overtaken are returned."""

    def release(self, claim: Claim) -> None:
        """Let a run go, at its end or before it: the next `claim` need not wait, and is no recovery
        of a run that was suspended, has ended or is queued."""

    def release_all(self, claims: Sequence[Claim]) -> None:
        """Do the same for several, in one transaction where there is such a thing.

        Raises:
            StoreError: It cannot be written that they were let go; the locks of this process are.
        """

    def append(self, batches: Sequence[Batch]) -> list[Appended | Fenced]:
        """Keep facts, in order, all batches in one transaction; one answer for each.

        Raises:
            StoreError: Nothing was kept.
        """

    def cancel(self, run_id: str, reason: str, by: str) -> RunRow:
        """Ask an open run to end. Its owner learns of it at its next `append` or by `cancels`.

        One that is queued ends at once. For one that has ended nothing changes.

        Raises:
            StoreError: There is no such run.
        """

    def cancels(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Which of these runs were asked to end, and why."""

    def await_work(self, seconds: float) -> None:
        """Wait, at most so long, until there may be a run for `claim_next`. A hint: ask anyway."""

    # -- reading

    def run(self, run_id: str) -> RunRow | None:
        """One run."""

    def find(self, prefix: str) -> list[RunRow]:
        """The runs whose id begins so, at most ten, newest first."""

    def runs(self, wanted: RunFilter) -> list[RunRow]:
        """Runs, newest first."""

    def abandoned(self) -> set[str]:
        """The ids of the runs that are running by their history and that nobody alive holds."""

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Every try of every step, in the order of their starts."""

    def results(self, run_id: str) -> list[ResultRow]:
        """How each generation of each step ended, in the order of their ends."""

    def timers(self, run_id: str) -> list[TimerRow]:
        """What is waited for."""

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """A run's history from behind `after`, values included."""

    def definition(self, hash: str) -> bytes | None:
        """A pinned workflow with its nodes."""

    def request(self, run_id: str) -> bytes | None:
        """What the run was asked to do."""

    # -- small shared state: circuit breakers, caches, whatever runners must agree on

    def read_state(self, space: str, key: str) -> bytes | None:
        """A kept value; None when there is none or its time is over."""

    def change_state(
        self,
        space: str,
        key: str,
        change: Callable[[bytes | None], bytes | None],
        lifetime: float | None = None,
    ) -> bytes | None:
        """Replace a value by what `change` makes of it, atomically among all who share the store.

        None deletes it. `change` may be called more than once, and must not call the store.
        """

    # -- care

    def prune(self, keep: Retention) -> list[str]:
        """Delete runs that have ended, by age and by number; the ids of those that went."""

    def delete(self, run_id: str) -> None:
        """Delete one run that has ended.

        Raises:
            StoreError: It is open (`run.open`), or there is none.
        """

    def rows(self, table: Table, run_id: str) -> list[Row]:
        """The projection's rows as they are kept, for `verify`."""

    def check(self) -> list[str]:
        """What is wrong with the store itself, in words; empty when it is whole."""

    def backup(self, target: Path) -> None:
        """Copy everything, as it is at one moment, to a file that is not there yet.

        Raises:
            StoreError: It cannot be written, or this kind of store has tools of its own for that.
        """

    def close(self) -> None:
        """Let go of everything. Claims that are still held are dropped, as if the owner had died."""


# -- what every store writes and says in the same words


def one_by_one(create: Callable[[NewRun], Created], news: Iterable[NewRun]) -> list[Created | StoreError]:
    """What becomes of new runs that are kept each by itself."""
    found: list[Created | StoreError] = []
    for new in news:
        try:
            found.append(create(new))
        except StoreError as error:
            found.append(error)
    return found


def hash_of(data: bytes) -> str:
    """The name of something that is kept by its content."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(new: NewRun) -> str:
    """What makes two requests with one key the same."""
    return hash_of(new.request) if new.fingerprint is None else new.fingerprint


def creating(new: NewRun) -> Event:
    """The first event of a run."""
    data = {
        "workflow": new.workflow,
        "version": new.version,
        "definition": hash_of(new.definition),
        "labels": dict(new.labels),
        "key": new.key,
        "most": None if new.limit is None else new.limit.most,
        "options": dict(new.options),
    }
    return Event(new.run_id, 1, 0, "run.created", new.at, "", 0, data)


def claiming(row: RunRow, owner: str, recoveries: int, now: float) -> Fact:
    """Somebody runs it from now on."""
    data = {"owner": owner, "recoveries": recoveries, "started": row.started or now}
    return Fact("run.claimed", now, data=data)


def dying(row: RunRow, now: float) -> Fact:
    """Its owners have died too often."""
    return Fact("run.dead", now, data={"error": dead(row).to_json(), "recoveries": row.recoveries})


def cancelling(row: RunRow, reason: str, by: str, now: float) -> list[Fact]:
    """Somebody asked it to end; one that nobody has begun ends with that."""
    facts = [Fact("run.cancel_requested", now, data={"reason": reason, "by": by})]
    if row.status == "queued":
        facts.append(Fact("run.ended", now, data={"status": "cancelled", "error": None}))
    return facts


def not_found(run_id: str) -> StoreError:
    """There is no such run."""
    return StoreError(
        f"no run is called {run_id!r}", code="run.not_found", hint="`nodectl runs list` shows what there is"
    )


def ended(row: RunRow) -> StoreError:
    """The run is over."""
    if row.status == "dead":
        return dead(row)
    hint = f"`nodectl runs restart {row.run_id}` does again what failed" if row.status == "failed" else None
    return StoreError(f"run {row.run_id} has ended: it {_ENDS[row.status]}", code="run.ended", hint=hint)


def dead(row: RunRow) -> StoreError:
    """The run took its runner with it too often."""
    return StoreError(
        f"run {row.run_id} is dead: its process died {row.recoveries} times while it ran",
        code="run.dead",
        hint='let the node that kills it run out of process: `"isolation": "worker"`',
    )


def held(run_id: str, owner: str | None) -> StoreError:
    """Somebody alive runs it."""
    return StoreError(
        f"run {run_id} is being run by {owner or 'another process'}",
        code="run.held",
        hint="`nodectl runs cancel` ends it wherever it runs",
    )


def key_taken(row: RunRow) -> StoreError:
    """Another request came with the same key."""
    return StoreError(
        f"the key {row.key!r} belongs to run {row.run_id} of {row.workflow!r}, which was given another input",
        code="run.key",
        hint="use a new key for a new request",
    )


def full(workflow: str, most: int) -> StoreError:
    """As many runs as are allowed are open."""
    return StoreError(
        f"{most} runs of {workflow!r} are open, and no more may be",
        code="run.limit",
        hint="wait for one to end, or let `settings.when_full` be `queue`",
    )


def no_backup(reason: str) -> StoreError:
    """The copy cannot be made."""
    return StoreError(f"the store cannot be copied: {reason}", code="store.backup")


def still_open(row: RunRow) -> StoreError:
    """A run that has not ended is not deleted."""
    return StoreError(
        f"run {row.run_id} is {row.status}", code="run.open", hint="end it first: `nodectl runs cancel`"
    )


def surplus(rows: Iterable[RunRow], keep: Retention, now: float) -> list[str]:
    """The runs that retention lets go, of rows sorted newest first."""
    kept: dict[str, int] = {}
    gone: list[str] = []
    for row in rows:
        if row.ended is None:
            continue
        kept[row.workflow] = kept.get(row.workflow, 0) + 1
        old = keep.seconds is not None and row.ended < now - keep.seconds
        many = keep.most_per_workflow is not None and kept[row.workflow] > keep.most_per_workflow
        if old or many:
            gone.append(row.run_id)
    return gone


_ENDS = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}
