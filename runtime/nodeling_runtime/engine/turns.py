"""When a loop turns: jobs that never wait must not keep timers, cancellation and other workers waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

# Longer than the 5 ms after which a waiting thread asks for the interpreter: a pause lets go of it so briefly
# that the thread may not wake up in time, and then waits anew.
TURN_SECONDS = 0.01

_OF_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """A loop's clock, without the loop around it where it is the machine's."""
    machine = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
    return time.monotonic if machine else loop.time


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """The turns of a loop, which all its workers share: else each would hold it for a time of its own."""
    found = _OF_LOOPS.get(loop)
    if found is None:
        found = _OF_LOOPS[loop] = Turns(clock_of(loop)())
    return found


class Turns:
    """When one loop began to turn for the last time, as far as is known."""

    __slots__ = ("_is_awaited", "last")

    def __init__(self, last: float) -> None:
        self.last = last
        self._is_awaited = False

    async def pause(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the loop turn. What is ready goes on in that turn, and has one time for all of it."""
        if not self._is_awaited:
            self._is_awaited = True
            loop.call_soon(self._turn, clock_of(loop))
        await asyncio.sleep(0)

    def _turn(self, clock: Callable[[], float]) -> None:
        self.last = clock()
        self._is_awaited = False
