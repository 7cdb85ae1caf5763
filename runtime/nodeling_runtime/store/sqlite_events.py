"""How facts become events and rows in SQLite: inside a transaction that somebody else has begun."""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from nodeling.errors import StoreError
from nodeling_runtime.store.model import INLINE_BYTES, Event, Fact
from nodeling_runtime.store.projection import JSON_COLUMNS, Change, changes
from nodeling_runtime.store.rows import json_bytes, to_json

SEQ_BITS = 32
SEQ_MASK = 2**SEQ_BITS - 1
_EVENT = (
    "INSERT INTO event (id, epoch, kind, at, path, gen, data, value, blob, delta)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIRST, _DATA = Event._fields.index("epoch"), Event._fields.index("data")
_BLOB = "INSERT INTO blob (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING"


def write_facts(
    db: sqlite3.Connection, run_id: str, number: int, epoch: int, first_seq: int, facts: Iterable[Fact]
) -> None:
    """Append facts to a run's history and project them; `number` is the run's.

    Raises:
        StoreError: A fact contradicts what is kept (`store.contradiction`).
    """
    for seq, (kind, at, path, data, value, delta, gen) in enumerate(facts, first_seq):
        event = Event(run_id, seq, epoch, kind, at, path, gen, data)
        insert_event(db, number, event, value, delta)
        for change in changes(event):
            apply(db, change, event)


def event_id(number: int, seq: int) -> int:
    """The id of an event of a run with this number: the runs' events one behind the other."""
    return (number << SEQ_BITS) + seq


def insert_event(
    db: sqlite3.Connection, number: int, event: Event, value: bytes | None, delta: bytes | None
) -> None:
    """Append one event; a large value is kept once, under its hash."""
    blob = None
    if value is not None and len(value) > INLINE_BYTES:
        blob = hashlib.sha256(value).hexdigest()
        db.execute(_BLOB, (blob, value))
        value = None
    key = event_id(number, event.seq)
    db.execute(_EVENT, (key, *event[_FIRST:_DATA], json_bytes(event.data), value, blob, delta))


def apply(
    db: sqlite3.Connection, change: Change, event: Event, extra: Mapping[str, Any] | None = None
) -> None:
    """Carry out one change; `extra` holds columns that are no part of the projection.

    Raises:
        StoreError: The row to insert is there, or the one to update is not.
    """
    op, table, key, values = change
    columns = values if extra is None else {**values, **extra}
    names, given = tuple(columns), list(columns.values())
    for place in _json_places(names):
        given[place] = to_json(given[place])
    text = _statement(op, table, tuple(key), names)
    try:
        cursor = db.execute(text, [*key.values(), *given] if op == "insert" else [*given, *key.values()])
    except sqlite3.IntegrityError as error:
        raise _contradiction(change, event, "is there already") from error
    if op == "update" and cursor.rowcount != 1:
        raise _contradiction(change, event, "is not there")


def _contradiction(change: Change, event: Event, what: str) -> StoreError:
    where = ", ".join(f"{name} {value!r}" for name, value in change.key.items())
    return StoreError(
        f"event {event.seq} ({event.kind}): the {change.table} with {where} {what}",
        code="store.contradiction",
    )


@functools.cache
def _json_places(names: tuple[str, ...]) -> list[int]:
    return [place for place, name in enumerate(names) if name in JSON_COLUMNS]


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
