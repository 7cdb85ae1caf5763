"""A PostgreSQL store's tables: made, and brought to the schema of this program, by one process at a time."""

from __future__ import annotations

import time

from nodeling.errors import StoreError
from nodeling_runtime.fault_points import reached
from nodeling_runtime.store.migration import Migration, migrations
from nodeling_runtime.store.postgres_address import Address, Db
from nodeling_runtime.store.postgres_link import once

OLDEST_SERVER = 130_000  # pg_current_xact_id
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_VERSION = "SELECT key, value FROM meta WHERE key IN ('schema_version', 'min_reader')"


def migrate(address: Address, steps: list[Migration] | None = None) -> None:
    """Bring the schema to this program's: all the steps that it lacks, in one transaction.

    Raises:
        StoreError: It is no store of runs, a newer program's, or the server is too old.
    """
    chosen = migrations("postgres") if steps is None else steps
    once(address, "full", lambda db: _migrate(db, address, chosen))


def _migrate(db: Db, address: Address, steps: list[Migration]) -> None:
    from psycopg import sql

    if db.info.server_version < OLDEST_SERVER:
        raise StoreError(
            f"{address.shown} is PostgreSQL {db.info.server_version // 10_000}",
            code="store.unavailable",
            hint=f"it takes {OLDEST_SERVER // 10_000} or newer",
        )
    newest = steps[-1].version
    if schema_version(db, address, newest) == newest:
        return
    with db.transaction():
        db.execute(_LOCK, (f"nodeling.migrate.{address.schema}",))
        db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(address.schema)))
        version = schema_version(db, address, newest)  # another process may have been faster
        for step in steps:
            if step.version > version:
                _apply(db, step)


def schema_version(db: Db, address: Address, newest: int) -> int:
    """The schema's version; 0 when it is empty, or not there.

    Raises:
        StoreError: It is no store of runs, or a newer program's.
    """
    text = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    tables = {name for (name,) in db.execute(text, (address.schema,)).fetchall()}
    if not tables:
        return 0
    if not {"meta", "run", "event"} <= tables:
        raise StoreError(
            f"the schema {address.schema!r} of {address.shown} holds something else",
            code="store.foreign",
            hint="name another: ?schema=NAME",
        )
    kept = dict(db.execute(_VERSION).fetchall())
    version = int(kept["schema_version"])
    if version > newest:
        raise StoreError(
            f"{address.shown} was written by a newer nodeling: its schema is {version}, not {newest}",
            code="store.newer",
            hint="install the newer version; nothing was changed",
            details={"schema": version, "min_reader": int(kept["min_reader"])},
        )
    return version


def _apply(db: Db, step: Migration) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value text NOT NULL)")
    for statement in step.statements:
        db.execute(statement)
        reached("migration")
    rows = {
        "schema_version": step.version,
        "min_reader": step.min_reader,
        f"applied_{step.version}": time.time(),
    }
    for key, value in rows.items():
        db.execute(
            "INSERT INTO meta (key, value) VALUES (%s, %s)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, str(value)),
        )
