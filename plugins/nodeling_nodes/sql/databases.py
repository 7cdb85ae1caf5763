"""SQLite and PostgreSQL behind one face: a connection that is one transaction, and errors in our words."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, unquote

from nodeling import NodeError, PluginError

KINDS = ("sqlite", "postgresql", "postgres")
LOOK_EVERY = 10_000  # SQLite's own steps between two looks at the clock


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which database, and how."""

    address: str
    password: str | None
    read_only: bool
    timeout: float
    cancelled: Callable[[], bool]


class Database(Protocol):
    """A connection within its one transaction."""

    def execute(self, sql: str, parameters: Any) -> Any:
        """Run one statement and return its cursor."""

    def changed(self, cursor: Any) -> int:
        """How many rows the statement changed; asked once for each."""

    def error(self, error: Exception, where: str) -> NodeError | None:
        """What the database's own error means; None where it is not one."""

    def end(self, commit: bool) -> None:
        """End the transaction and close."""


@contextlib.contextmanager
def connected(wanted: Wanted) -> Iterator[Database]:
    """A connection that commits when the block ends well, and else undoes all of it."""
    database: Database = Sqlite(wanted) if wanted.address.startswith("sqlite") else Postgres(wanted)
    done = False
    try:
        yield database
        done = True
    finally:
        with explained(database, "the end of the transaction"):
            database.end(done)


@contextlib.contextmanager
def explained(database: Database, where: str) -> Iterator[None]:
    """Turns the database's errors into the node's."""
    try:
        yield
    except NodeError:
        raise
    except Exception as error:
        said = database.error(error, where)
        if said is None:
            raise
        raise said from error


class Sqlite:
    """A file, or a database in memory that lasts as long as the call."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._ends_at = 0.0
        self.path = unquote(wanted.address.partition("://")[2].partition("?")[0])
        if self.path.startswith("/"):
            self.path = self.path[1:]  # three slashes: relative; four: absolute
        mode = "ro" if wanted.read_only else "rwc"
        target = f"file:{quote(self.path)}?mode={mode}" if self.path else ":memory:"
        try:
            self._connection = sqlite3.connect(
                target, timeout=wanted.timeout, uri=bool(self.path), isolation_level=None
            )
        except sqlite3.OperationalError as error:
            where = os.path.abspath(self.path)
            raise NodeError(f"{where} cannot be opened: {error}", code=4004, retryable=False) from error
        self._connection.set_progress_handler(self._over, LOOK_EVERY)
        self._begun = False
        self._changes = 0

    def execute(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Run one statement."""
        self._ends_at = time.monotonic() + self._wanted.timeout
        if not self._begun:
            self._connection.execute("pragma foreign_keys = on")
            self._connection.execute("begin" if self._wanted.read_only else "begin immediate")
            if self._wanted.read_only:
                self._connection.execute("pragma query_only = on")
            self._begun = True
        return self._connection.execute(sql, parameters)

    def changed(self, cursor: sqlite3.Cursor) -> int:
        """How many rows the statement changed."""
        before, self._changes = self._changes, self._connection.total_changes
        return self._changes - before

    def _over(self) -> bool:
        return time.monotonic() > self._ends_at or self._wanted.cancelled()

    def end(self, commit: bool) -> None:
        """End the transaction and close."""
        try:
            if self._connection.in_transaction:
                self._ends_at = time.monotonic() + self._wanted.timeout
                self._connection.execute("commit" if commit else "rollback")
        finally:
            self._connection.close()

    def error(self, error: Exception, where: str) -> NodeError | None:
        """What SQLite said."""
        if not isinstance(error, (sqlite3.Error, sqlite3.Warning, OverflowError)):
            return None
        said, name = str(error), getattr(error, "sqlite_errorname", "")
        limit = f"{self._wanted.timeout * 1_000:.0f} ms, its `timeout_ms`"
        if name.startswith("SQLITE_BUSY") or name.startswith("SQLITE_LOCKED"):
            return _untouched(f"{self.path} was locked for {limit}", 5005)
        if name == "SQLITE_INTERRUPT":
            return NodeError(f"{where} took more than {limit}", code=5000, retryable=True)
        if name.startswith("SQLITE_READONLY"):
            return NodeError(f"{where} would change what is read only", code=4003, retryable=False)
        if isinstance(error, sqlite3.IntegrityError):
            return NodeError(f"{where} breaks a rule of the database: {said}", code=4001, retryable=False)
        if name.startswith(("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return NodeError(f"{self.path}: {said}", code=5000, retryable=False)
        return NodeError(f"{where} is refused: {said}", code=4001, retryable=False)


class Postgres:
    """A PostgreSQL database, with the extra `postgres`."""

    def __init__(self, wanted: Wanted) -> None:
        try:
            import psycopg
        except ModuleNotFoundError as error:
            raise PluginError("PostgreSQL needs psycopg", hint="pip install 'nodeling[postgres]'") from error
        self._psycopg = psycopg
        self._timeout = wanted.timeout
        milliseconds = max(1, round(wanted.timeout * 1_000))
        more: dict[str, Any] = {} if wanted.password is None else {"password": wanted.password}
        try:
            self._connection = psycopg.connect(
                wanted.address,
                connect_timeout=max(2, round(wanted.timeout)),
                options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
                row_factory=psycopg.rows.tuple_row,
                **more,
            )
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            if getattr(error, "sqlstate", None) or "password" in said or "does not exist" in said:
                raise NodeError(f"PostgreSQL refuses: {said}", code=4003, retryable=False) from error
            raise _untouched(f"PostgreSQL cannot be reached: {said}", 5005) from error
        self._connection.read_only = wanted.read_only

    def execute(self, sql: str, parameters: Any) -> Any:
        """Run one statement."""
        text, given = translated(sql, parameters)
        return self._connection.execute(text, given)

    def changed(self, cursor: Any) -> int:
        """How many rows the statement changed."""
        word = str(cursor.statusmessage or "").partition(" ")[0]
        return max(0, cursor.rowcount) if word in ("INSERT", "UPDATE", "DELETE", "MERGE", "COPY") else 0

    def end(self, commit: bool) -> None:
        """End the transaction and close."""
        try:
            if commit:
                self._connection.commit()
            else:
                self._connection.rollback()
        finally:
            self._connection.close()

    def error(self, error: Exception, where: str) -> NodeError | None:
        """What PostgreSQL said."""
        if not isinstance(error, self._psycopg.Error):
            return None
        said, state = " ".join(str(error).split()), getattr(error, "sqlstate", None) or ""
        limit = f"{self._timeout * 1_000:.0f} ms, its `timeout_ms`"
        if state == "57014":
            return NodeError(f"{where} took more than {limit}", code=5000, retryable=True)
        if state == "55P03":
            return _untouched(f"{where} waited for a lock for {limit}", 5005)
        if state in ("40001", "40P01"):
            return _untouched(f"{where} met another transaction: {said}", 5000)
        if state in ("25006", "42501"):
            return NodeError(f"{where} is not permitted: {said}", code=4003, retryable=False)
        if state.startswith("23"):
            return NodeError(f"{where} breaks a rule of the database: {said}", code=4001, retryable=False)
        if isinstance(error, self._psycopg.OperationalError) or state.startswith(("08", "53", "57")):
            return NodeError(f"PostgreSQL broke off: {said}", code=5005, retryable=True)
        return NodeError(f"{where} is refused: {said}", code=4001, retryable=False)


def _untouched(message: str, code: int) -> NodeError:
    """The database is as it was, so trying again is safe."""
    return NodeError(message, code=code, retryable=True, started=False)


# What may hold a `?`, a `:` or a `%` that is no parameter comes first.
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$([A-Za-z_]*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/"
    r"|::|(?<![\w:]):([A-Za-z_]\w*)|(\?)|(%)",
    re.DOTALL,
)


def translated(sql: str, parameters: Any) -> tuple[str, Any]:
    """SQLite's `:name` and `?` as psycopg has them, outside of texts, names and comments."""

    def one(match: re.Match[str]) -> str:
        text = match[0]
        if match[2]:
            return f"%({match[2]})s"
        if match[3]:
            return "%s"
        return text.replace("%", "%%")

    if not parameters:
        return sql, None
    return _TOKEN.sub(one, sql), parameters
