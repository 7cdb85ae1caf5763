"""The future of one call's outcome, whose awaiter can go on in the very callback that read the answer.

A future wakes a task through the loop's queue: one more turn of the loop, with its look at every descriptor,
for each call. Here the callback that reads a worker's pipe steps the waiting task itself, when it is done
reading. Invariant: that happens on the loop and outside any task, as a step from the queue would; every
other way to end the future goes through the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from nodeling_runtime.dispatch.base import Outcome

_Callback = Callable[[asyncio.Future[Outcome]], Any]
_end = asyncio.Future.set_result


class Answer(asyncio.Future[Outcome]):
    """An outcome that is waited for by one task, as nearly all are, or by more."""

    __slots__ = ("_first",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._first: tuple[_Callback, Context | None] | None = None

    def add_done_callback(  # type: ignore[override]  # an Answer is what they are called with
        self, fn: _Callback, /, *, context: Context | None = None
    ) -> None:
        """Keep the first callback out of the loop's reach; further ones are the loop's."""
        if self._first is None and not self.done():
            self._first = (fn, context)
        else:
            super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: _Callback, /) -> int:  # type: ignore[override]
        """Forget a callback."""
        if self._first is not None and self._first[0] == fn:
            self._first = None
            return 1 + super().remove_done_callback(fn)
        return super().remove_done_callback(fn)

    def cancel(self, msg: Any | None = None) -> bool:
        """End without an outcome, through the loop's queue: whoever cancels is in a task of its own."""
        self._give_first_to_loop()
        return super().cancel(msg)

    def set_result(self, result: Outcome, /) -> None:
        """End with an outcome; who waits goes on in the loop's next turn."""
        self._give_first_to_loop()
        super().set_result(result)

    def set_exception(self, exception: type | BaseException, /) -> None:
        """End with an exception; who waits goes on in the loop's next turn."""
        self._give_first_to_loop()
        super().set_exception(exception)

    def wake(self, result: Outcome) -> None:
        """End with an outcome, and let who waits go on now; only from a callback of the loop."""
        first = self._first
        self._first = None
        _end(self, result)
        if first is None:
            return
        fn, context = first
        if context is None:
            fn(self)
        else:
            context.run(fn, self)

    def _give_first_to_loop(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            super().add_done_callback(first[0], context=first[1])
