"""Every kind of store, for the suites that ask the same of each: how to open one, and how its owner dies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from nodeling_runtime.store.base import Store
from nodeling_runtime.store.memory import MemoryStore
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


PLACES: dict[str, Callable[[Path], Place]] = {"memory": MemoryPlace, "sqlite": SqlitePlace}
