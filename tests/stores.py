"""Every kind of store, for the suites that ask the same of each: how to open one, and how its owner dies."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from nodeling_runtime.store.base import Store
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.postgres import PostgresStore
from nodeling_runtime.store.postgres_address import Address
from nodeling_runtime.store.postgres_link import once
from nodeling_runtime.store.sqlite import SqliteStore


class Place(ABC):
    """Where the runs of one test are kept, seen from any number of processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def open(self) -> Store:
        """The store as one more process opens it."""

    @abstractmethod
    def die(self, store: Store) -> None:
        """That process is gone, and everybody can know it."""

    def close(self) -> None:  # noqa: B027  # most places have nothing to let go of
        """The test is over."""


class MemoryPlace(Place):
    """One object stands for all: it has no other processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._store = MemoryStore()

    def open(self) -> Store:
        return self._store

    def die(self, store: Store) -> None:
        self._store.abandon()


class SqlitePlace(Place):
    """One file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._open: list[SqliteStore] = []

    def open(self) -> Store:
        store = SqliteStore(self.folder / "runs.db", "off")
        self._open.append(store)
        return store

    def die(self, store: Store) -> None:
        store.close()

    def close(self) -> None:
        for store in self._open:
            store.close()


class PostgresPlace(Place):
    """One schema of a server that all tests share; it goes with the test."""

    def __init__(self, folder: Path, server: str) -> None:
        super().__init__(folder)
        self.url = f"{server}?schema=t_{uuid.uuid4().hex}"
        self._open: list[PostgresStore] = []

    def open(self) -> Store:
        store = PostgresStore(self.url, "off")
        self._open.append(store)
        return store

    def die(self, store: Store) -> None:
        store.close()

    def close(self) -> None:
        for store in self._open:
            store.close()
        drop_schema(self.url)


def drop_schema(url: str) -> None:
    """Take a store's schema away."""
    from psycopg import sql

    address = Address.parse(url)
    text = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(address.schema))
    once(address, "off", lambda db: db.execute(text))


KINDS = ("memory", "postgres", "sqlite")


def place_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> Place:
    """A new place of a kind; the server is started for the first that needs it."""
    if kind == "postgres":
        return PostgresPlace(folder, request.getfixturevalue("postgres"))
    return MemoryPlace(folder) if kind == "memory" else SqlitePlace(folder)
