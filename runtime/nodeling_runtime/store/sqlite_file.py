"""A database file of SQLite: opened the one right way, brought to the schema of this program, told apart
from what is none, and every error of it said in words."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nodeling.errors import StoreError
from nodeling_runtime.fault_points import reached
from nodeling_runtime.store.migration import Migration, migrations

BUSY_SECONDS = 30.0
OLDEST_SQLITE = (3, 35, 0)  # RETURNING
SYNCHRONOUS = {"full": "FULL", "fast": "NORMAL", "off": "OFF"}
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "ceph", "lustre"})


def connect(path: Path, durability: str, *, writes: bool) -> sqlite3.Connection:
    """Open a connection with the settings that every connection must have."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old for a store of runs",
            code="store.unavailable",
            hint=f"it takes {'.'.join(map(str, OLDEST_SQLITE))} or newer",
        )
    with spoken(path):
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            if writes:
                if not db.execute("PRAGMA page_count").fetchone()[0]:
                    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
                db.execute("PRAGMA foreign_keys = ON")
            else:
                db.execute("PRAGMA query_only = ON")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            db.execute("PRAGMA mmap_size = 0")
        except BaseException:
            db.close()
            raise
    return db


def refuse_network(path: Path) -> None:
    """Refuse a file system on which locks and shared memory do not do what a store needs.

    Raises:
        StoreError: The file would lie on one.
    """
    kind = _file_system(path)
    if kind in NETWORK:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite can lose what it wrote",
            code="store.network",
            hint="put the project on a local disk, or name a store elsewhere: --store sqlite:///path/runs.db",
        )


def _file_system(path: Path) -> str:
    """The type of the file system that holds a path, as far as this system tells."""
    table = Path("/proc/self/mountinfo")
    if not table.exists():
        return ""
    here, best, kind = str(path.resolve()), "", ""
    for line in table.read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        inside = here == point or here.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split(" ")[0]
    return kind


def migrate(db: sqlite3.Connection, path: Path, steps: list[Migration] | None = None) -> None:
    """Bring a file to this program's schema: all the steps that it lacks, in one transaction.

    A file that holds something already is copied first, to `<name>.v<version>.bak`.

    Raises:
        StoreError: It is no store of runs, or a newer program's.
    """
    steps = migrations("sqlite") if steps is None else steps
    newest = steps[-1].version
    with spoken(path):
        version = schema_version(db, path, newest)
        if version == newest:
            return
        if version:
            _back_up(db, path, version)
        db.execute("BEGIN IMMEDIATE")
        try:
            version = schema_version(db, path, newest)  # another process may have been faster
            for step in steps:
                if step.version > version:
                    _apply(db, step)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise


def schema_version(db: sqlite3.Connection, path: Path, newest: int) -> int:
    """The file's schema; 0 when it is empty.

    Raises:
        StoreError: It is no store of runs, or a newer program's.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    if not {"meta", "run", "event"} <= tables:
        raise StoreError(f"{path} is a database of something else", code="store.foreign")
    kept = dict(db.execute("SELECT key, value FROM meta"))
    version = int(kept["schema_version"])
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer nodeling: its schema is {version}, this one knows {newest}",
            code="store.newer",
            hint="install the newer version; nothing was changed",
            details={"schema": version, "min_reader": int(kept["min_reader"])},
        )
    return version


def _apply(db: sqlite3.Connection, step: Migration) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    for statement in step.statements:
        db.execute(statement)
        reached("migration")
    for key, value in (("schema_version", step.version), ("min_reader", step.min_reader)):
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, str(value)))
    said = f"applied_{step.version}"
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (said, str(time.time())))


def _back_up(db: sqlite3.Connection, path: Path, version: int) -> None:
    """A copy of the file as it is; one that is there already was made by a migration that did not end."""
    copy = path.with_name(f"{path.name}.v{version}.bak")
    copy.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(copy),))


class Transaction:
    """An immediate transaction of a connection, alone among this process's threads.

    A class and no generator: one is made for each commit of a run.

    Raises:
        StoreError: Something went wrong in the database; then nothing was kept.
    """

    __slots__ = ("_db", "_guard", "_path")

    def __init__(self, db: sqlite3.Connection, guard: threading.RLock, path: Path) -> None:
        self._db, self._guard, self._path = db, guard, path

    def __enter__(self) -> sqlite3.Connection:
        self._guard.acquire()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._guard.release()
            self._say(error)
            raise
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._db.execute("COMMIT")
        except BaseException as failed:
            self._undo()
            self._say(failed)
            raise
        else:
            if error is not None:
                self._undo()
                self._say(error)
        finally:
            self._guard.release()

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _say(self, error: BaseException) -> None:
        if isinstance(error, sqlite3.Error):
            raise _worded(error, self._path) from error


@contextlib.contextmanager
def spoken(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        StoreError: Something went wrong in the database.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _worded(error, path) from error


def _worded(error: sqlite3.Error, path: Path) -> StoreError:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    for start, (code, message, hint) in _WORDS.items():
        if name.startswith(start):
            return StoreError(message.format(path=path), code=code, hint=hint, details={"sqlite": name})
    return StoreError(f"{path}: {error}", code="store.unavailable", details={"sqlite": name})


_CHECK = "`nodectl store check` says what is wrong; nothing was changed or deleted"
_WORDS: dict[str, tuple[str, str, str | None]] = {
    "SQLITE_FULL": ("store.full", "the disk that holds {path} is full", "make room"),
    "SQLITE_IOERR": ("store.io", "{path} cannot be read or written: the disk reports an error", _CHECK),
    "SQLITE_BUSY": (
        "store.locked",
        f"{{path}} was locked by another process for {BUSY_SECONDS:.0f} s",
        "look for a program that keeps it open in a transaction",
    ),
    "SQLITE_NOTADB": ("store.corrupt", "{path} is no database", _CHECK),
    "SQLITE_CORRUPT": ("store.corrupt", "{path} is damaged", _CHECK),
    "SQLITE_READONLY": ("store.read_only", "{path} cannot be written", "give yourself the right to write it"),
    "SQLITE_CANTOPEN": ("store.unavailable", "{path} cannot be opened", "make its folder, or name another"),
    "SQLITE_CONSTRAINT": (
        "store.contradiction",
        "{path}: what is to be kept contradicts what is there",
        None,
    ),
}
