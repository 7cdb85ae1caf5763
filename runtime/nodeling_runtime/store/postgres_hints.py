"""Word from one runner to another that there may be something to do: nothing is lost with it but time."""

from __future__ import annotations

import threading
from typing import Any

from nodeling.errors import StoreError
from nodeling_runtime.store.postgres_address import Address, Db, connect


class Hints:
    """A channel for each schema, and a connection that listens, once somebody waits."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._channel = f"nodeling_{address.schema}"
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._db: Any = None

    def send(self, db: Db) -> None:
        """Tell all who wait, when the transaction is kept."""
        db.execute("SELECT pg_notify(%s, '')", (self._channel,))

    def wait(self, seconds: float) -> None:
        """Wait for a word, at most so long. Without a connection that is the whole time."""
        import psycopg

        with self._guard:
            try:
                if self._db is None or self._db.closed:
                    self._db = self._listening()
                for _ in self._db.notifies(timeout=seconds, stop_after=1):
                    return
            except (StoreError, psycopg.Error):
                self._drop()
                self._closing.wait(seconds)

    def close(self) -> None:
        """Wait no more."""
        self._closing.set()
        with self._guard:
            self._drop()

    def _listening(self) -> Any:
        from psycopg import sql

        db = connect(self._address, "fast")
        db.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()
