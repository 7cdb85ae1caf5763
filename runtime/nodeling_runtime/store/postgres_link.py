"""A connection that outlives the server's restarts: what was lost with it is done again, and never twice.

A transaction whose COMMIT was sent and not answered may have been kept. The server is asked which, by the
transaction's own number, before anything is repeated.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from nodeling.errors import StoreError
from nodeling_runtime.store.postgres_address import Address, Db, connect, is_lost, worded

PATIENCE_SECONDS = 15.0  # for a server that restarts; less than a claim lasts without a heartbeat
DOUBT_SECONDS = 60.0  # for one that has to say whether a transaction was kept
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
MOST_CONFLICTS = 20
CONFLICTS = frozenset({"40001", "40P01", "23503"})  # 23503: what a row points to was deleted meanwhile

T = TypeVar("T")


class Link:
    """One connection, used by one thread at a time."""

    def __init__(self, address: Address, durability: str) -> None:
        """Connect.

        Raises:
            StoreError: The server cannot be reached.
        """
        self.address = address
        self._durability = durability
        self._guard = threading.RLock()
        self._closing = threading.Event()
        self._db: Db | None = connect(address, durability)

    def read(self, work: Callable[[Db], T]) -> T:
        """Do something that is one statement, or changes nothing, as often as it takes.

        Raises:
            StoreError: The server stays away, or refuses.
        """
        pauses = _Pauses(PATIENCE_SECONDS)
        with self._guard:
            while True:
                try:
                    return work(self._connected())
                except Exception as error:
                    self._after(error, pauses)

    def write(self, work: Callable[[Db], T]) -> T:
        """Do something in a transaction that is kept once.

        Raises:
            StoreError: Nothing was kept; with `store.in_doubt` nobody knows.
        """
        pauses, conflicts = _Pauses(PATIENCE_SECONDS), 0
        with self._guard:
            while True:
                number: str | None = None
                try:
                    db = self._connected()
                    db.execute("BEGIN")
                    try:
                        answer = work(db)
                        found = db.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
                    except BaseException:
                        with contextlib.suppress(Exception):  # it may be gone: the first error counts
                            db.execute("ROLLBACK")
                        raise
                    number = found[0]
                    db.execute("COMMIT")
                    return answer
                except Exception as error:
                    if number is not None and is_lost(error):
                        self._drop()
                        if self._was_kept(number):
                            return answer
                        continue
                    if getattr(error, "sqlstate", None) in CONFLICTS and conflicts < MOST_CONFLICTS:
                        conflicts += 1
                        self._closing.wait(random.uniform(0.0, 0.01 * conflicts))  # noqa: S311  # no secret
                        continue
                    self._after(error, pauses)

    def close(self) -> None:
        """Let go of the connection, whatever is waited for."""
        self._closing.set()
        with self._guard:
            self._drop()

    # -- inside

    def _connected(self) -> Db:
        if self._db is not None and (self._db.closed or self._db.broken):
            self._drop()
        if self._db is None:
            if self._closing.is_set():
                raise StoreError("the store was closed", code="store.closed")
            self._db = connect(self.address, self._durability)
        return self._db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _after(self, error: Exception, pauses: _Pauses) -> None:
        """Wait before the same is tried again.

        Raises:
            StoreError: It is not.
        """
        import psycopg

        if isinstance(error, psycopg.Error):
            lost, found = is_lost(error), worded(error, self.address)
        elif isinstance(error, StoreError):
            lost, found = error.code == "store.unreachable", error
        else:
            raise error
        if not lost or self._closing.is_set() or not pauses.wait(self._closing):
            raise found from error
        self._drop()

    def _was_kept(self, number: str) -> bool:
        """Whether a transaction was kept, of which the answer was lost.

        Raises:
            StoreError: The server does not say.
        """
        pauses = _Pauses(DOUBT_SECONDS)
        while True:
            try:
                text = "SELECT pg_xact_status(%s::xid8)"
                status = self._connected().execute(text, (number,)).fetchone()[0]
                if status in ("committed", "aborted"):
                    return bool(status == "committed")
            except Exception as error:
                if getattr(error, "sqlstate", None) == "22023":  # of the future: this server never had it
                    return False
                if not (is_lost(error) or getattr(error, "code", None) == "store.unreachable"):
                    raise
                self._drop()
            if not pauses.wait(self._closing):
                raise StoreError(
                    f"{self.address.shown} does not say whether it kept what was written last",
                    code="store.in_doubt",
                    hint="`nodectl runs resume` goes on from what it kept",
                )


class _Pauses:
    """Longer and longer, at random, until a time is over."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._longest = FIRST_PAUSE_SECONDS

    def wait(self, closing: threading.Event) -> bool:
        """Wait a little; False when the time is over."""
        if time.monotonic() >= self._until:
            return False
        closing.wait(random.uniform(self._longest / 2, self._longest))  # noqa: S311  # no secret
        self._longest = min(LONGEST_PAUSE_SECONDS, self._longest * 2)
        return not closing.is_set()


def once(address: Address, durability: str, work: Callable[[Any], T]) -> T:
    """Do something on a connection of its own.

    Raises:
        StoreError: The server cannot be reached, or refuses.
    """
    import psycopg

    db = connect(address, durability)
    try:
        return work(db)
    except psycopg.Error as error:
        raise worded(error, address) from error
    finally:
        db.close()
