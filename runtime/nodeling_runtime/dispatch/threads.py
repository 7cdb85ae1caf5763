"""Daemon threads for plain functions: as many as are busy at once, reused, abandoned when stuck.

The standard executor will not do: its size breaks the bounds that containers promise, and it joins
its threads at exit, so one function that never returns would keep the whole process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from nodeling.errors import NodelingError

MOST_LEAKED = 64  # abandoned threads in a process before new synchronous calls are refused
IDLE_SECONDS = 10.0  # an idle thread ends after so long

Job = tuple[Callable[[], Any], contextvars.Context, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


_LOCK = threading.Lock()
_ABANDONED: set[_Worker] = set()  # of the whole process: what counts is how many threads it carries along


class _Worker:
    """One thread and the queue it reads."""

    __slots__ = ("busy", "jobs", "name", "pool")

    def __init__(self, pool: ThreadPool, name: str) -> None:
        self.pool = pool
        self.name = name
        self.busy = True
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        threading.Thread(target=self.loop, name=name, daemon=True).start()

    def loop(self) -> None:
        while (job := self.next()) is not None:
            function, context, loop, future = job
            try:
                outcome, failure = context.run(function), None
            except BaseException as error:  # SystemExit of a node is the node's failure
                outcome, failure = None, error
            del job, function, context
            self.pool.finished(self, loop, future, outcome, failure)
            del outcome, failure, future

    def next(self) -> Job | None:
        """The next job; none when the thread shall end, which it does by itself after idling."""
        while True:
            try:
                return self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                if self.pool.retire(self):
                    return None


class ThreadPool:
    """Runs functions for one event loop."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._count = 0
        self._closed = False

    @property
    def leaked(self) -> int:
        """Threads of this pool that were given up and still run."""
        with _LOCK:
            return sum(1 for worker in _ABANDONED if worker.pool is self)

    def submit(
        self, function: Callable[[], Any], *, limited: bool = True
    ) -> tuple[asyncio.Future[Any], _Worker]:
        """Start a function on a thread that is free now, or on a new one.

        Raises:
            NodelingError: Too many threads of this process are stuck already, and the call is `limited`.
        """
        if limited and len(_ABANDONED) > MOST_LEAKED:
            raise NodelingError(
                f"{len(_ABANDONED)} threads of this process are stuck in nodes that never returned",
                code="inprocess.leaked",
                hint="run such nodes out of process, where they can be killed",
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with _LOCK:
            worker = self._idle.pop() if self._idle else None
            if worker is not None:
                worker.busy = True
        if worker is None:
            self._count += 1
            worker = _Worker(self, f"nodeling-{self._count}")
        worker.jobs.put((function, contextvars.copy_context(), loop, future))
        return future, worker

    def abandon(self, worker: _Worker) -> None:
        """Give a thread up: what it returns, if it ever does, is dropped."""
        with _LOCK:
            if worker.busy:  # it may have come back this very moment
                _ABANDONED.add(worker)

    def retire(self, worker: _Worker) -> bool:
        """Called on an idle worker's thread: whether it may end, for no job is on its way to it."""
        with _LOCK:
            if worker.busy:
                return False
            if worker in self._idle:
                self._idle.remove(worker)
            return True

    def finished(
        self,
        worker: _Worker,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        outcome: Any,
        failure: BaseException | None,
    ) -> None:
        """Called on the worker's thread."""

        def deliver() -> None:
            if not future.done():
                if failure is None:
                    future.set_result(outcome)
                else:
                    future.set_exception(_carrier(failure))

        with _LOCK:
            worker.busy = False
            if worker in _ABANDONED or self._closed:
                _ABANDONED.discard(worker)
                worker.jobs.put(None)
            else:
                self._idle.append(worker)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the call was given up, nobody waits
            loop.call_soon_threadsafe(deliver)

    def close(self) -> None:
        """Let every idle thread end; busy ones end when they come back."""
        with _LOCK:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.jobs.put(None)


class RaisedOutsideError(Exception):
    """Carries what a future refuses to hold: StopIteration, SystemExit, KeyboardInterrupt."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(repr(original))
        self.original = original


def _carrier(failure: BaseException) -> Exception:
    if isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        return failure
    return RaisedOutsideError(failure)
