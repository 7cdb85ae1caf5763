"""How facts become events and rows in SQLite: inside a transaction that somebody else has begun."""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from nodeling.errors import StoreError
from nodeling_runtime.store.model import INLINE_BYTES, Event, Fact
from nodeling_runtime.store.projection import JSON_COLUMNS, Change, changes
from nodeling_runtime.store.rows import to_json

_EVENT = (
    "INSERT INTO event (run, seq, epoch, kind, at, path, gen, data, value, blob, delta)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BLOB = "INSERT INTO blob (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING"


def write_facts(
    db: sqlite3.Connection, run_id: str, epoch: int, first_seq: int, facts: Iterable[Fact]
) -> None:
    """Append facts to a run's history and project them.

    Raises:
        StoreError: A fact contradicts what is kept (`store.contradiction`).
    """
    for seq, fact in enumerate(facts, first_seq):
        event = Event(run_id, seq, epoch, fact.kind, fact.at, fact.path, fact.gen, fact.data)
        insert_event(db, event, fact.value, fact.delta)
        for change in changes(event):
            apply(db, change, event)


def insert_event(db: sqlite3.Connection, event: Event, value: bytes | None, delta: bytes | None) -> None:
    """Append one event; a large value is kept once, under its hash."""
    blob = None
    if value is not None and len(value) > INLINE_BYTES:
        blob = hashlib.sha256(value).hexdigest()
        db.execute(_BLOB, (blob, value))
        value = None
    data = orjson.dumps(event.data, default=str)
    row = (event.run_id, event.seq, event.epoch, event.kind, event.at, event.path, event.gen)
    db.execute(_EVENT, (*row, data, value, blob, delta))


def apply(db: sqlite3.Connection, change: Change, event: Event, **extra: Any) -> None:
    """Carry out one change; `extra` holds columns that are no part of the projection.

    Raises:
        StoreError: The row to insert is there, or the one to update is not.
    """
    columns = {**change.values, **extra}
    values = [to_json(v) if name in JSON_COLUMNS else v for name, v in columns.items()]
    keys = list(change.key.values())
    text = _statement(change.op, change.table, tuple(change.key), tuple(columns))
    try:
        cursor = db.execute(text, [*keys, *values] if change.op == "insert" else [*values, *keys])
    except sqlite3.IntegrityError as error:
        raise _contradiction(change, event, "is there already") from error
    if change.op == "update" and cursor.rowcount != 1:
        raise _contradiction(change, event, "is not there")


def _contradiction(change: Change, event: Event, what: str) -> StoreError:
    where = ", ".join(f"{name} {value!r}" for name, value in change.key.items())
    return StoreError(
        f"event {event.seq} ({event.kind}): the {change.table} with {where} {what}",
        code="store.contradiction",
    )


@functools.cache
def _statement(op: str, table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    """The SQL of a change. Tables and columns are names of this program's own, never data."""
    where = " AND ".join(f"{name} = ?" for name in key)
    if op == "delete":
        return f"DELETE FROM {table} WHERE {where}"  # noqa: S608  # names from `projection`
    if op == "update":
        sets = ", ".join(f"{name} = ?" for name in columns)
        return f"UPDATE {table} SET {sets} WHERE {where}"  # noqa: S608  # as above
    names = (*key, *columns)
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608  # as above
