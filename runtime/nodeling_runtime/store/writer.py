"""The thread that commits: whatever any number of runs note while it is busy becomes one transaction.

The engine's loop says that it has noted something and goes on; the thread fetches what there is when it
comes to it, and says when that is kept. A store that cannot write for the moment (its disk is full, another
process locks it) is tried again for a while, during which everything is held in memory and nobody is told
that anything was kept.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from nodeling._dataclass import dataclass
from nodeling.errors import StoreError
from nodeling_runtime.store.base import Store
from nodeling_runtime.store.model import Appended, Batch, Fenced
from nodeling_runtime.store.pulse import Pulse

HOLD_SECONDS = 60.0  # how long results are held for a store that cannot write
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
PASSING = frozenset({"store.full", "store.locked", "store.io", "store.unreachable"})

Answer = Appended | Fenced | StoreError


class Source(ABC):
    """Somebody who notes facts, and has them fetched. Both methods are called in the writer's thread."""

    @abstractmethod
    def taken(self) -> Batch | None:
        """What was noted since the last time; None when nothing was."""

    @abstractmethod
    def answered(self, count: int, answer: Answer) -> None:
        """What became of so many facts."""


@dataclass(slots=True)
class _Wanted:
    """A batch and who wants to know of it."""

    batch: Batch
    done: Callable[[Answer], None]


class Writer:
    """One thread over one store."""

    def __init__(self, store: Store, hold_seconds: float = HOLD_SECONDS) -> None:
        self.store = store
        self.pulse = Pulse(store)
        self.on_trouble: Callable[[StoreError], None] | None = None  # told when a commit has to be repeated
        self._hold_seconds = hold_seconds
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def append(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        """Keep a batch; `done` is called in this thread, in the order of the batches."""
        self._put(_Wanted(batch, done))

    def fetch(self, source: Source) -> None:
        """Keep what a source has noted by the time that it is asked."""
        self._put(source)

    def call(self, function: Callable[[], object]) -> None:
        """Call something here, behind what was appended before."""
        self._put(function)

    def close(self) -> None:
        """Keep what was appended, then end. A store that cannot write is waited for no longer."""
        self._closing.set()
        self.pulse.close()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _put(self, item: _Item) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nodeling-store", daemon=True)
            self._thread.start()
        self._queue.put(item)

    def _work(self) -> None:
        waiting = self._queue
        while True:
            item = waiting.get()
            group: list[_Wanted | Source] = []
            while isinstance(item, _Wanted | Source):
                group.append(item)
                if waiting.empty():
                    break
                item = waiting.get()
            else:
                if group:
                    self._keep(_fetched(group))
                if item is None:
                    return
                item()
                continue
            self._keep(_fetched(group))

    def _keep(self, group: list[_Wanted]) -> None:
        if not group:
            return
        try:
            answers: list[Answer] = [*self._patiently([wanted.batch for wanted in group])]
        except StoreError as error:
            if error.code == "store.contradiction" and len(group) > 1:
                for wanted in group:  # only one of them is to blame
                    self._keep([wanted])
                return
            answers = [error] * len(group)
        for wanted, answer in zip(group, answers, strict=True):
            wanted.done(answer)

    def _patiently(self, batches: list[Batch]) -> list[Appended | Fenced]:
        until, pause = time.monotonic() + self._hold_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return self.store.append(batches)
            except StoreError as error:
                if error.code not in PASSING or time.monotonic() >= until or self._closing.is_set():
                    raise
                with contextlib.suppress(
                    Exception
                ):  # whoever listens may not end the only thread that writes
                    if self.on_trouble is not None:
                        self.on_trouble(error)
            self._closing.wait(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


def _fetched(group: list[_Wanted | Source]) -> list[_Wanted]:
    found = []
    for one in group:
        if isinstance(one, _Wanted):
            found.append(one)
            continue
        batch = one.taken()
        if batch is not None:
            found.append(_Wanted(batch, partial(one.answered, len(batch.facts))))
    return found


_Item = _Wanted | Source | Callable[[], object] | None
