"""The worker for async functions: a loop in the main thread, and a thread that only reads.

Reading stands apart so that a handler that blocks the loop delays neither a ping nor the news of a
cancel; what it does with that news is up to its next `await`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from nodeling.protocol_node import Cancel, Invoke, Shutdown
from nodeling.worker_channel import EXIT_GRACE_SECONDS

if TYPE_CHECKING:
    from nodeling.protocol_node import NodeEvent
    from nodeling.worker import Worker
    from nodeling.worker_call import Call

__all__ = ["serve_async"]


def serve_async(worker: Worker) -> int:
    """Serve until the host is gone or says that it is enough."""
    return asyncio.run(_Server(worker).serve())


class _Server:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.tasks: dict[Any, asyncio.Task[None]] = {}
        self.queued: deque[Call] = deque()
        self.shutdown: Shutdown | None = None
        self.over = asyncio.Event()

    async def serve(self) -> int:
        self.over = asyncio.Event()  # 3.9 binds an event to the loop it is made in
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="nodeling-reader", daemon=True).start()
        await self.over.wait()
        for task in self.tasks.values():
            task.cancel()
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()), timeout=EXIT_GRACE_SECONDS)
        if self.shutdown is not None:
            self.worker.shut_down(self.shutdown.id)
        return 0

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            events = self.worker.read()
            try:
                if events is None:
                    loop.call_soon_threadsafe(self._hang_up)
                    return
                if events:
                    loop.call_soon_threadsafe(self._dispatch, events)
            except RuntimeError:
                return  # the loop is closed: this process is leaving

    def _hang_up(self) -> None:
        self.worker.hung_up()
        self.over.set()

    def _dispatch(self, events: list[NodeEvent]) -> None:
        for event in events:
            if isinstance(event, Invoke):
                self.queued.append(self.worker.open(event))
            elif isinstance(event, Cancel):
                self._cancel(event.id)
            elif isinstance(event, Shutdown):
                self.shutdown = event
        self._start()

    def _cancel(self, id: Any) -> None:
        call = self.worker.calls.get(id)
        if call is None or call.is_cancelled:
            return
        call.cancel()
        task = self.tasks.get(id)
        if task is not None:
            task.cancel()

    def _start(self) -> None:
        while self.queued and len(self.tasks) < self.worker.concurrency:
            call = self.queued.popleft()
            task = self.tasks[call.id] = asyncio.ensure_future(self._run(call))
            task.add_done_callback(lambda _, id=call.id: self._ended(id))  # type: ignore[misc]
        if self.shutdown is not None and not self.tasks and not self.queued:
            self.over.set()

    def _ended(self, id: Any) -> None:
        self.tasks.pop(id, None)
        self._start()

    async def _run(self, call: Call) -> None:
        worker = self.worker
        try:
            ctx, inputs = call.begin()
            implementation = worker.loaded()
            found = implementation.call(ctx, inputs)
            if implementation.kind == "async_generator":
                output = await _collect(found, call)
            else:
                output = await found
            ending = call.result(output)
        except BaseException as error:  # whatever a node raises is the node's failure
            ending = call.failure(error)
        worker.finish(call, ending)


async def _collect(generator: Any, call: Call) -> Any:
    """Drive an async generator: each yield is a chunk, and the chunks are the output."""
    kept: list[Any] = []
    try:
        async for item in generator:
            if call.streams:
                await call.chunk_async(item)
            else:
                call.checked(item)
                kept.append(item)
    finally:
        await generator.aclose()
    return None if call.chunks else kept
