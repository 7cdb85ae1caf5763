"""What the store's thread is asked from the loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from nodeling.errors import StoreError

T = TypeVar("T")


async def asked(ask: Callable[[Callable[[T | StoreError], None]], None]) -> T:
    """The answer of another thread.

    Args:
        ask: Is given what is to be called there with the answer.

    Raises:
        StoreError: That is the answer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(answer: T | StoreError) -> None:
        if future.done():
            return
        if isinstance(answer, StoreError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def tell(answer: T | StoreError) -> None:
        try:
            loop.call_soon_threadsafe(settle, answer)
        except RuntimeError:
            return  # the loop is closed: the run was given up

    ask(tell)
    return await future
