"""What is read of a SQLite store, through a connection of its own that never waits for the writing one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nodeling_runtime.store import rows
from nodeling_runtime.store.model import AttemptRow, Claim, Event, ResultRow, RunFilter, RunRow, TimerRow
from nodeling_runtime.store.projection import COLUMNS, JSON_COLUMNS, Row, Table
from nodeling_runtime.store.sqlite_events import SEQ_MASK, event_id
from nodeling_runtime.store.sqlite_file import connect, spoken

RUN = f"SELECT {', '.join(rows.RUN)} FROM run"  # noqa: S608  # names of columns
_EVENTS = (
    "SELECT ?, event.id & ?, epoch, kind, at, path, gen, data, coalesce(event.value, blob.body), delta"
    " FROM event LEFT JOIN blob ON blob.hash = event.blob"
    " WHERE event.id > ? AND event.id < ? ORDER BY event.id LIMIT ?"
)


class SqliteReading:
    """The reading half of `SqliteStore`."""

    def __init__(self, path: Path, durability: str) -> None:
        self.path = path
        self._read_guard = threading.Lock()
        self._reader = connect(path, durability, writes=False)

    def run(self, run_id: str) -> RunRow | None:
        """One run."""
        with self._reading() as db:
            row = db.execute(f"{RUN} WHERE id = ?", (run_id,)).fetchone()
        return None if row is None else rows.run_row(row)

    def find(self, prefix: str) -> list[RunRow]:
        """The runs whose id begins so."""
        with self._reading() as db:
            text = f"{RUN} WHERE substr(id, 1, ?) = ? ORDER BY number DESC LIMIT 10"
            return [rows.run_row(row) for row in db.execute(text, (len(prefix), prefix))]

    def runs(self, wanted: RunFilter) -> list[RunRow]:
        """Runs, newest first."""
        wheres: list[str] = []
        values: list[Any] = []
        if wanted.statuses:
            wheres.append(f"status IN ({', '.join('?' * len(wanted.statuses))})")
            values.extend(wanted.statuses)
        for text, value in (
            ("workflow = ?", wanted.workflow),
            ("created >= ?", wanted.since),
            ("created < ?", wanted.until),
        ):
            if value is not None:
                wheres.append(text)
                values.append(value)
        where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
        values.append(-1 if wanted.limit is None else wanted.limit)
        with self._reading() as db:
            found = db.execute(f"{RUN}{where} ORDER BY number DESC LIMIT ?", values)
            return [rows.run_row(row) for row in found]

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """Every try of every step."""
        return [rows.attempt_row(r) for r in self._of_run("attempt", rows.ATTEMPT, run_id, "started, path")]

    def results(self, run_id: str) -> list[ResultRow]:
        """How each generation of each step ended."""
        return [rows.result_row(r) for r in self._of_run("result", rows.RESULT, run_id, "seq")]

    def timers(self, run_id: str) -> list[TimerRow]:
        """What is waited for."""
        return [rows.timer_row(r) for r in self._of_run("timer", rows.TIMER, run_id, "due")]

    def events(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """A run's history."""
        with self._reading() as db:
            known = db.execute("SELECT number FROM run WHERE id = ?", (run_id,)).fetchone()
            if known is None:
                return []
            bounds = (event_id(known[0], after), event_id(known[0] + 1, 0))
            found = db.execute(_EVENTS, (run_id, SEQ_MASK, *bounds, -1 if limit is None else limit))
            return [rows.event_row(row) for row in found]

    def definition(self, hash: str) -> bytes | None:
        """A pinned workflow with its nodes."""
        return self._one("SELECT body FROM definition WHERE hash = ?", hash)

    def request(self, run_id: str) -> bytes | None:
        """What the run was asked to do."""
        text = "SELECT body FROM request WHERE number = (SELECT number FROM run WHERE id = ?)"
        return self._one(text, run_id)

    def read_state(self, space: str, key: str) -> bytes | None:
        """A kept value whose time is not over."""
        text = "SELECT value FROM state WHERE space = ? AND key = ? AND (expires IS NULL OR expires > ?)"
        return self._one(text, space, key, time.time())

    def heartbeat(self, claims: Sequence[Claim]) -> list[Claim]:
        """Nothing need be said: those that have been overtaken are returned."""
        with self._reading() as db:
            text = "SELECT 1 FROM run WHERE id = ? AND epoch = ? AND owner = ?"
            return [c for c in claims if not db.execute(text, (c.run_id, c.epoch, c.owner)).fetchone()]

    def cancels(self, claims: Sequence[Claim]) -> dict[str, str]:
        """Which of these runs were asked to end."""
        with self._reading() as db:
            text = "SELECT id, cancel FROM run WHERE id = ? AND cancel IS NOT NULL"
            return dict(row for claim in claims for row in db.execute(text, (claim.run_id,)))

    def await_work(self, seconds: float) -> None:
        """Nobody says anything through a file: wait."""
        time.sleep(seconds)

    def rows(self, table: Table, run_id: str) -> list[Row]:
        """The projection's rows as they are kept."""
        names = COLUMNS[table]
        key = "id" if table == "run" else "run"
        with self._reading() as db:
            text = f"SELECT {', '.join(names)} FROM {table} WHERE {key} = ?"  # noqa: S608  # names of columns
            found = [dict(zip(names, row, strict=True)) for row in db.execute(text, (run_id,))]
        return [{n: rows.from_json(v) if n in JSON_COLUMNS else v for n, v in row.items()} for row in found]

    def check(self) -> list[str]:
        """What is wrong with the file."""
        with self._reading() as db:
            said = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
            for table, number, parent, _ in db.execute("PRAGMA foreign_key_check"):
                said.append(f"row {number} of {table} points to no row of {parent}")
        return said

    # -- inside

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_guard, spoken(self.path):
            yield self._reader

    def _of_run(self, table: str, names: Sequence[str], run_id: str, order: str) -> list[Any]:
        text = f"SELECT {', '.join(names)} FROM {table} WHERE run = ? ORDER BY {order}"  # noqa: S608  # names
        with self._reading() as db:
            return db.execute(text, (run_id,)).fetchall()

    def _one(self, text: str, *values: Any) -> bytes | None:
        with self._reading() as db:
            row = db.execute(text, values).fetchone()
        return None if row is None else bytes(row[0])
