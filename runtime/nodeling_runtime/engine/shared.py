"""Small state that runs share: the store's, or without a store what this process keeps.

What is asked for is asked in the store's thread, behind what the run has written before: a step that
fails and one that comes after it see each other's marks in that order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from nodeling.errors import StoreError
from nodeling_runtime.engine.asked import called

if TYPE_CHECKING:
    from nodeling_runtime.store.writer import Writer

MOST_KEPT = 10_000  # entries without a store; the oldest go first

Change = Callable[[bytes | None], bytes | None]


class Shared(Protocol):
    """State by space and key."""

    async def read(self, space: str, key: str) -> bytes | None:
        """A kept value; None when there is none, or its time is over."""

    async def change(self, space: str, key: str, change: Change) -> bytes | None:
        """Replace a value by what `change` makes of it, atomically among all who share it."""

    def tell(self, space: str, key: str, change: Change, lifetime: float | None = None) -> None:
        """The same, waited for by nobody."""


class ProcessState:
    """What the runs of this process share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[bytes, float | None]] = {}

    async def read(self, space: str, key: str) -> bytes | None:
        """A kept value."""
        return self._read(space, key)

    async def change(self, space: str, key: str, change: Change) -> bytes | None:
        """Replace a value."""
        return self._change(space, key, change, None)

    def tell(self, space: str, key: str, change: Change, lifetime: float | None = None) -> None:
        """Replace a value."""
        self._change(space, key, change, lifetime)

    def _read(self, space: str, key: str) -> bytes | None:
        value, until = self._kept.get((space, key), (None, None))
        return None if until is not None and until <= time.time() else value

    def _change(self, space: str, key: str, change: Change, lifetime: float | None) -> bytes | None:
        with self._lock:
            new = change(self._read(space, key))
            self._kept.pop((space, key), None)
            if new is not None:
                self._kept[space, key] = (new, None if lifetime is None else time.time() + lifetime)
                if len(self._kept) > MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
            return new


class StoreState:
    """What all who use a store share."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def read(self, space: str, key: str) -> bytes | None:
        """A kept value.

        Raises:
            StoreError: It cannot be read.
        """
        return await called(self._writer, lambda: self._writer.store.read_state(space, key))

    async def change(self, space: str, key: str, change: Change) -> bytes | None:
        """Replace a value.

        Raises:
            StoreError: It cannot be written.
        """
        return await called(self._writer, lambda: self._writer.store.change_state(space, key, change))

    def tell(self, space: str, key: str, change: Change, lifetime: float | None = None) -> None:
        """Replace a value. Where that cannot be, the run's own writes say so."""

        def work() -> None:
            try:
                self._writer.store.change_state(space, key, change, lifetime)
            except StoreError:
                return  # a mark that is lost makes one call more, or one hit less

        self._writer.call(work)


IN_PROCESS = ProcessState()
