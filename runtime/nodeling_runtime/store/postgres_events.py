"""How facts become events and rows in PostgreSQL: inside a transaction that somebody else has begun.

The statements of a transaction go to the server together; what they found is looked at afterwards.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

from nodeling.errors import StoreError
from nodeling_runtime.store.model import INLINE_BYTES, Event, Fact
from nodeling_runtime.store.postgres_address import Db
from nodeling_runtime.store.projection import JSON_COLUMNS, Change, changes
from nodeling_runtime.store.rows import json_bytes, to_json

_EVENT = (
    "INSERT INTO event (run, seq, epoch, kind, at, path, gen, data, value, blob, delta)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_BLOB = "INSERT INTO blob (hash, body) VALUES (%s, %s) ON CONFLICT DO NOTHING"


class Writing:
    """The statements of one transaction, on their way."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._updates: list[tuple[Any, Change, Event]] = []

    def facts(self, run_id: str, epoch: int, first_seq: int, facts: Iterable[Fact]) -> None:
        """Append facts to a run's history and project them."""
        for seq, fact in enumerate(facts, first_seq):
            event = Event(run_id, seq, epoch, fact.kind, fact.at, fact.path, fact.gen, fact.data)
            for change in changes(event):
                self.apply(change, event)
            self.event(event, fact.value, fact.delta)

    def event(self, event: Event, value: bytes | None, delta: bytes | None) -> None:
        """Append one event; a large value is kept once, under its hash."""
        blob = None
        if value is not None and len(value) > INLINE_BYTES:
            blob = hashlib.sha256(value).hexdigest()
            self._db.execute(_BLOB, (blob, value))
            value = None
        data = json_bytes(event.data).decode()
        row = (event.run_id, event.seq, event.epoch, event.kind, event.at, event.path, event.gen)
        self._db.execute(_EVENT, (*row, data, value, blob, delta))

    def apply(self, change: Change, event: Event, **extra: Any) -> None:
        """Carry out one change; `extra` holds columns that are no part of the projection."""
        columns = {**change.values, **extra}
        values = [to_json(v) if name in JSON_COLUMNS else v for name, v in columns.items()]
        keys = list(change.key.values())
        text = _statement(change.op, change.table, tuple(change.key), tuple(columns))
        cursor = self._db.execute(text, [*keys, *values] if change.op == "insert" else [*values, *keys])
        if change.op == "update":
            self._updates.append((cursor, change, event))

    def check(self) -> None:
        """All has been carried out: did every update find its row?

        Raises:
            StoreError: One did not (`store.contradiction`).
        """
        for cursor, change, event in self._updates:
            if cursor.rowcount != 1:
                where = ", ".join(f"{name} {value!r}" for name, value in change.key.items())
                raise StoreError(
                    f"event {event.seq} ({event.kind}): the {change.table} with {where} is not there",
                    code="store.contradiction",
                )


@functools.cache
def _statement(op: str, table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """The SQL of a change. Tables and columns are names of this program's own, never data."""
    where = " AND ".join(f"{name} = %s" for name in key)
    if op == "delete":
        return f"DELETE FROM {table} WHERE {where}"  # noqa: S608  # names from `projection`
    if op == "update":
        sets = ", ".join(f"{name} = %s" for name in columns)
        return f"UPDATE {table} SET {sets} WHERE {where}"  # noqa: S608  # as above
    names = (*key, *columns)
    marks = ", ".join(["%s"] * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608  # as above
