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
from nodeling_runtime.store.model import Appended, Batch, Claim, Created, Fenced, NewRun
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


@dataclass(slots=True)
class _Asked:
    """A run that is asked for, and who wants to know what becomes of it."""

    new: NewRun
    done: Callable[[Created | StoreError], None]


@dataclass(slots=True)
class _LetGo:
    """A claim that is given up, and who wants to know that it is."""

    claim: Claim
    done: Callable[[None | StoreError], None]


@dataclass(slots=True)
class _Call:
    """Something else to do, and who wants to know that it is not done."""

    function: Callable[[], object]
    lost: Callable[[StoreError], None] | None = None


class Writer:
    """One thread over one store."""

    def __init__(self, store: Store, hold_seconds: float = HOLD_SECONDS) -> None:
        self.store = store
        self.pulse = Pulse(store)
        self.on_trouble: Callable[[StoreError], None] | None = None  # told, once, when a commit is repeated
        self._hold_seconds = hold_seconds
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._guard = threading.Lock()  # over who still comes in
        self._is_closed = False

    def append(self, batch: Batch, done: Callable[[Answer], None]) -> None:
        """Keep a batch; `done` is called in this thread, in the order of the batches."""
        self._put(_Wanted(batch, done))

    def fetch(self, source: Source) -> None:
        """Keep what a source has noted by the time that it is asked."""
        self._put(source)

    def create(self, new: NewRun, done: Callable[[Created | StoreError], None]) -> None:
        """Keep a new run; `done` is called in this thread."""
        self._put(_Asked(new, done))

    def release(self, claim: Claim, done: Callable[[None | StoreError], None]) -> None:
        """Let a run go, behind what was noted of it; `done` is called in this thread."""
        self._put(_LetGo(claim, done))

    def call(self, function: Callable[[], object], lost: Callable[[StoreError], None] | None = None) -> None:
        """Call something here, behind what was appended before; `lost` hears of it when it is not called."""
        self._put(_Call(function, lost))

    def close(self) -> None:
        """Keep what was appended, then end. A store that cannot write is waited for no longer."""
        self._closing.set()
        self.pulse.close()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        with self._guard:
            self._is_closed = True
        while not self._queue.empty():
            _refuse(self._queue.get())

    def _put(self, item: _Item) -> None:
        with self._guard:
            if self._is_closed:
                _refuse(item)
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nodeling-store", daemon=True)
                self._thread.start()
            self._queue.put(item)

    def _work(self) -> None:
        waiting = self._queue
        while True:
            item = waiting.get()
            group: list[_Wanted | Source | _Asked | _LetGo] = []
            while isinstance(item, _Wanted | Source | _Asked | _LetGo):
                group.append(item)
                item = _NOTHING if waiting.empty() else waiting.get()
            if group:
                self._do(group)
            if item is None:
                return
            self._run(item)

    def _run(self, item: _Call) -> None:
        try:
            item.function()
        except Exception as error:  # as with all else: it ends no thread
            if item.lost is not None:
                item.lost(_worded(error))

    def _do(self, group: list[_Wanted | Source | _Asked | _LetGo]) -> None:
        """Three transactions at most, whatever there is: what a run ended with is kept before it is let go,
        and what is let go may make room for what is asked for."""
        facts, gone, asked = [], [], []
        for one in group:
            if isinstance(one, _LetGo):
                gone.append(one)
            elif isinstance(one, _Asked):
                asked.append(one)
            else:
                facts.append(one)
        if facts:
            self._keep(_fetched(facts))
        if gone:
            self._let_go(gone)
        if asked:
            self._create(asked)

    def _keep(self, group: list[_Wanted]) -> None:
        if not group:
            return
        try:
            answers: list[Answer] = [*self._patiently([wanted.batch for wanted in group])]
        except Exception as error:  # what is no fault of the store's may not end this thread either
            if len(group) > 1 and not _is_of_all(error):
                for wanted in group:  # only one of them is to blame
                    self._keep([wanted])
                return
            answers = [_worded(error)] * len(group)
        for wanted, answer in zip(group, answers, strict=True):
            wanted.done(answer)

    def _let_go(self, group: list[_LetGo]) -> None:
        answer = None
        try:
            self.store.release_all([one.claim for one in group])
        except Exception as error:
            answer = _worded(error)
        for one in group:
            one.done(answer)

    def _create(self, group: list[_Asked]) -> None:
        try:
            answers = self.store.create_all([one.new for one in group])
        except Exception as error:
            if len(group) > 1 and not _is_of_all(error):
                for one in group:
                    self._create([one])
                return
            answers = [_worded(error)] * len(group)
        for one, answer in zip(group, answers, strict=True):
            one.done(answer)

    def _patiently(self, batches: list[Batch]) -> list[Appended | Fenced]:
        until, pause, told = time.monotonic() + self._hold_seconds, FIRST_PAUSE_SECONDS, ""
        while True:
            try:
                return self.store.append(batches)
            except StoreError as error:
                if error.code not in PASSING or time.monotonic() >= until or self._closing.is_set():
                    raise
                if self.on_trouble is not None and error.code != told:
                    told = str(error.code)
                    with contextlib.suppress(Exception):  # who listens may not end the thread that writes
                        self.on_trouble(error)
            self._closing.wait(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)


def _fetched(group: list[_Wanted | Source]) -> list[_Wanted]:
    found = []
    for one in group:
        if isinstance(one, _Wanted):
            found.append(one)
            continue
        try:
            batch = one.taken()
        except Exception as error:
            one.answered(0, _worded(error))
            continue
        if batch is not None:
            found.append(_Wanted(batch, partial(one.answered, len(batch.facts))))
    return found


def _is_of_all(error: Exception) -> bool:
    """Whether the store is at fault, and nothing that it was given."""
    return isinstance(error, StoreError) and error.code != "store.contradiction"


def _worded(error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(f"{type(error).__name__}: {error}", code="internal")


def _refuse(item: _Item) -> None:
    """Tell who comes after the end."""
    error = StoreError("the store was closed", code="store.closed")
    if isinstance(item, Source):
        item.answered(0, error)
    elif isinstance(item, _Call):
        if item.lost is not None:
            item.lost(error)
    elif item is not None:
        item.done(error)


_NOTHING = _Call(lambda: None)  # nothing more waits for now
_Item = _Wanted | Source | _Asked | _LetGo | _Call | None
