"""An event loop whose clock jumps: hours of timers pass in milliseconds, and nothing races.

Whenever nothing is ready the clock is set to the next timer. When there is no timer either, whoever
still waits would wait for ever: that is a deadlock, and it is raised. Threads are not waited for, so
code under this loop must not hand work to one.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(AssertionError):
    """Something waits, nothing is ready and no timer is set."""


class _JumpingSelector(selectors.BaseSelector):
    """Instead of sleeping it moves the loop's clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError(f"nothing is scheduled any more at {self.now:.3f} s, and somebody waits")
        self.now += timeout
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time, which begins at zero."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._jumping.now

    def rewind(self) -> None:
        """Begin at zero again; nothing may be scheduled."""
        self._jumping.now = 0.0


def run_on(loop: VirtualLoop, coroutine_factory: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on this loop to its end, and let nothing of it live on.

    Raises:
        DeadlockError: It waits for something that nobody will do.
    """
    task: asyncio.Task[T] = loop.create_task(coroutine_factory())
    try:
        return loop.run_until_complete(task)
    finally:
        left = asyncio.all_tasks(loop)
        for other in left:
            other.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def run_virtual(coroutine_factory: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time on a loop of its own.

    Raises:
        DeadlockError: It waits for something that nobody will do.
    """
    loop = VirtualLoop()
    try:
        return run_on(loop, coroutine_factory)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
