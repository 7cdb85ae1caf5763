"""The write-ahead log of a SQLite file: written back into it by one process at a time, when it is long.

The file of the log keeps its length then, and the log begins again at its start: to overwrite costs a disk
half of what it costs to grow.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from pathlib import Path

from nodeling_runtime.fault_points import reached
from nodeling_runtime.store.run_locks import CHECKPOINT, RunLocks
from nodeling_runtime.store.sqlite_file import BUSY_SECONDS, spoken

LONGEST_LOG = 4 * 2**20  # bytes from which on it is written back
LONGEST_FILE = 4  # times as many, and its file is cut, too
LOOK_FACTS = 8  # as many are written before its length is looked at again
FRAME_BYTES = 4_096 + 24  # a page in it
PATIENCE_MS = 100  # how long writing it back waits for readers before it is put off


class WriteAheadLog:
    """The log, as one store of one process sees it."""

    def __init__(self, path: Path, db: sqlite3.Connection, guard: threading.RLock, locks: RunLocks) -> None:
        self._path = path
        self._file = path.with_name(f"{path.name}-wal")
        self._db = db
        self._guard = guard
        self._locks = locks
        self._longest = LONGEST_LOG
        self._unseen = LOOK_FACTS  # facts since its length was looked at
        self._written = 0  # facts since it was written back
        self._fill: float = math.inf  # as many make it so long that it is again, as far as is known

    def wrote(self, facts: int) -> None:
        """So many facts were appended: write a long log back, unless another process is at it."""
        self._unseen += facts
        if self._unseen < LOOK_FACTS:
            return
        self._written += self._unseen
        self._unseen = 0
        try:
            size = os.stat(self._file).st_size
        except FileNotFoundError:
            return
        is_long = size > self._longest or self._written >= self._fill
        if not is_long or not self._locks.acquire(CHECKPOINT):
            return
        try:
            self._write_back(size)
        finally:
            self._locks.release(CHECKPOINT)

    def _write_back(self, size: int) -> None:
        """Where a reader is in the way the log grows a little more before it is tried again; a file that has
        become too long by that is cut."""
        cuts = size > LONGEST_LOG * LONGEST_FILE
        with self._guard, spoken(self._path):
            self._db.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
            reached("checkpoint")
            how = "TRUNCATE" if cuts else "RESTART"
            (busy, frames, _) = self._db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1_000:.0f}")
        self._longest = size + LONGEST_LOG if busy else LONGEST_LOG if cuts else size
        if frames > 0:
            self._fill = self._written * LONGEST_LOG // (frames * FRAME_BYTES)
        self._written = 0
