"""What the store's thread is asked from the loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from nodeling_runtime.store.writer import Writer

T = TypeVar("T")


async def asked(ask: Callable[[Callable[[T | Exception], None]], None]) -> T:
    """The answer of another thread; an exception is raised here.

    Args:
        ask: Is given what is to be called there with the answer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(answer: T | Exception) -> None:
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def tell(answer: T | Exception) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:
            return  # the loop is closed: the run was given up

    ask(tell)
    return await future


async def called(writer: Writer, function: Callable[[], T]) -> T:
    """What a function gives that is called in the store's thread, behind what was asked there before."""

    def put(tell: Callable[[T | Exception], None]) -> None:
        def work() -> None:
            try:
                tell(function())
            except Exception as error:
                tell(error)

        writer.call(work, tell)

    return await asked(put)
