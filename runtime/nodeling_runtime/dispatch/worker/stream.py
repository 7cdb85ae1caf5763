"""The chunks of one call: kept for its output, handed to whoever follows along, granted one after the other.

Invariant: a slow consumer holds up nobody but its own call. A node that heeds credit waits for it; one that
does not is always drained, and ended when more is waiting than may be kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from nodeling_runtime.blob_values import BlobValue
from nodeling_runtime.values import Value

Consumer = Callable[[Value], Awaitable[None]]


class Stream:
    """One call's chunks.

    Args:
        window: How many chunks a node may be ahead of its consumer.
        consumer: Who is given each chunk, and is waited for.
        grant: Told how many more chunks may come.
    """

    __slots__ = (
        "_consumed",
        "_consumer",
        "_grant",
        "_granted",
        "_pump",
        "_waiting",
        "_window",
        "error",
        "size",
        "values",
    )

    def __init__(self, window: int, consumer: Consumer | None, grant: Callable[[int], None]) -> None:
        self.values: list[Value] = []
        self.size = 0  # bytes kept in memory
        self._consumed = 0
        self.error: Exception | None = None  # what the consumer raised
        self._consumer = consumer
        self._grant = grant
        self._window = window
        self._granted = window
        self._waiting: deque[Value] = deque()
        self._pump: asyncio.Task[None] | None = None

    def add(self, value: Value) -> None:
        """One more chunk."""
        self.values.append(value)
        self.size += len(value.skeleton) if isinstance(value, BlobValue) else value.size
        if self._consumer is None:
            self._took_one()
            return
        self._waiting.append(value)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run(self._consumer))

    def _took_one(self) -> None:
        self._consumed += 1
        due = self._consumed + self._window - self._granted
        if due >= max(1, self._window // 2):
            self._granted += due
            self._grant(due)

    async def _run(self, consumer: Consumer) -> None:
        try:
            while self._waiting:
                await consumer(self._waiting.popleft())
                self._took_one()
        except Exception as error:  # a consumer's fault ends its call, not the worker
            self.error = error
            self._waiting.clear()

    def then(self, act: Callable[[], None]) -> None:
        """Act when everything has been consumed; at once when that is so."""
        if self._pump is None or self._pump.done():
            act()
        else:
            self._pump.add_done_callback(lambda _: act())

    def close(self) -> None:
        """Nobody waits for the chunks any more."""
        self._waiting.clear()
        if self._pump is not None:
            self._pump.cancel()

    def assembled(self) -> Value:
        """The list of all chunks."""
        parts = [one.skeleton if isinstance(one, BlobValue) else one.data for one in self.values]
        blobs = {name: blob for one in self.values for name, blob in one.blobs.items()}
        data = b"[" + b",".join(parts) + b"]"
        return BlobValue(data, blobs) if blobs else Value.from_checked(data)
