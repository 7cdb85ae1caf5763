"""The order in which the children of a resumed container answer.

Those that had ended answer from the journal, in the order in which they ended. Those that had not, or were
never started, begin when all of these have answered; so the container's code meets what it met before, and
decides what it decided before. An answer also waits until as many children have been made as there were
when it was first given: else a race would be over before its losers had begun.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from nodeling.errors import NodelingError

PATIENCE_SECONDS = 60.0  # how long nothing may be answered while a live child waits for that


class Gate:
    """One container's children that had ended, in order."""

    def __init__(self, ended: Iterable[tuple[str, int]], *, is_loose: bool = False) -> None:
        """Let these children answer in this order, each when so many have been made.

        In a loose one everybody answers, and begins, as they come: children that know nothing of one
        another, of whom a restart runs a few.
        """
        self._order = deque(ended)
        self._made = 0
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._live: list[asyncio.Future[None]] = []
        self._then: list[Callable[[], None]] = []
        self._is_void = is_loose
        if is_loose:
            self._order.clear()

    @property
    def is_open(self) -> bool:
        """Whether every child that had ended has answered."""
        return not self._order

    @property
    def missing(self) -> list[str]:
        """The children that have not answered."""
        return [] if self._is_void else [trail for trail, _ in self._order]

    async def turn(self, trail: str) -> None:
        """Wait until it is this child's turn to answer."""
        if self._is_void or self._next() == trail:
            return
        future = self._turns[trail] = asyncio.get_running_loop().create_future()
        await future

    async def opened(self) -> None:
        """Wait until all have answered.

        Raises:
            NodelingError: They do not: the container's code did not start them again.
        """
        while self._order and not self._is_void:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._live.append(future)
            left = len(self._order)
            await asyncio.wait([future], timeout=PATIENCE_SECONDS)
            if not future.done() and len(self._order) == left:
                raise strayed(self.missing)

    def when_open(self, then: Callable[[], None]) -> None:
        """Call something when all have answered, before any live child begins; at once when they have."""
        if self.is_open:
            then()
        else:
            self._then.append(then)

    def made(self) -> None:
        """One more child is there."""
        self._made += 1
        self._let_next_answer()

    def answered(self, trail: str) -> None:
        """A child has answered, and been counted."""
        if self._order and self._order[0][0] == trail:
            self._order.popleft()
        else:
            self._order = deque(one for one in self._order if one[0] != trail)
        if self._order:
            self._let_next_answer()
        else:
            self._open()

    def _next(self) -> str | None:
        """Whose turn it is, if everybody is there whom it needs."""
        if not self._order or self._order[0][1] > self._made:
            return None
        return self._order[0][0]

    def _let_next_answer(self) -> None:
        trail = self._next()
        if trail is not None:
            self._release(self._turns.pop(trail, None))

    def give_up(self) -> None:
        """The container is ending: nobody waits for its turn any more."""
        self._is_void = True
        for future in self._turns.values():
            self._release(future)
        self._turns.clear()
        self._release(*self._live)

    def _open(self) -> None:
        then, self._then = self._then, []
        for one in then:
            one()
        self._release(*self._live)
        self._live.clear()

    @staticmethod
    def _release(*futures: asyncio.Future[None] | None) -> None:
        for future in futures:
            if future is not None and not future.done():
                future.set_result(None)


def strayed(missing: list[str]) -> NodelingError:
    """The container's code did not do again what it did before."""
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return NodelingError(
        f"the container did not start again what it had started before: {shown}",
        code="container.nondeterministic",
        hint="a container decides by its inputs and its children, and by `flow.now()` and `flow.random()`",
    )
