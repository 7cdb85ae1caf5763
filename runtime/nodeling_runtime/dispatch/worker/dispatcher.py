"""Nodes in warm processes, behind the same seam as every other kind.

Invariant: when `call` returns or lets a cancellation through, the node no longer works on that call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nodeling.protocol import FrameTooLarge
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
from nodeling_runtime.dispatch.exec_result import Refused, error_of
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.channel import Worker
from nodeling_runtime.dispatch.worker.hub import Hub, acquire, release
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.pool import Pool, Refusal

Launcher = Callable[[Any], Launch]


class WorkerDispatcher:
    """Runs calls in workers that stay warm."""

    ends_for_real = True  # a cancelled call is over when `call` ends, and that is bounded

    def __init__(self, bounds: Bounds | None = None, launcher: Launcher | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._launcher = launcher
        self._hub: Hub | None = None
        self._pools: dict[Any, Pool] = {}
        self._is_closed = False

    async def call(self, call: NodeCall) -> Outcome:
        """Run one attempt; cancelling the awaiting task ends the node's work on it."""
        if self._is_closed:
            return Outcome(error=error_of(9009, "the runtime is shutting down", started=False))
        try:
            pool = self._pools.get(call.spec) or self._pool(call.spec)
        except Refused as refused:
            return Outcome(error=refused.error)
        worker = pool.take()
        if worker is None:
            try:
                worker = await pool.wait()
            except Refusal as refusal:
                return Outcome(error=refusal.error)
            worker.reserved -= 1
            if not worker.has_room:  # it was lost between being kept and being used
                return await self.call(call)
        return await self._run(call, worker)

    async def _run(self, call: NodeCall, worker: Worker) -> Outcome:
        if call.handed_over is not None:
            call.handed_over()
        try:
            opened = worker.send(call)
        except (FrameTooLarge, BlobFault, Refused) as error:
            self._pools[call.spec].unused(worker)
            return Outcome(error=_unsent(call, error))
        try:
            return await opened.future
        except asyncio.CancelledError:
            await _to_its_end(worker.end(opened))
            raise

    def warm(self, spec: Any) -> None:
        """Start a node's first worker ahead of its first call."""
        try:
            self._pool(spec).warm()
        except Refused:
            return  # its first call will say so

    async def close(self) -> None:
        """Let go: busy workers end, idle ones wait for the next run of this process."""
        self._is_closed = True
        hub, self._hub = self._hub, None
        if hub is not None:
            await release(hub)

    def _pool(self, spec: Any) -> Pool:
        if spec in self._pools:
            return self._pools[spec]
        launcher = self._launcher
        if launcher is None:
            from nodeling_runtime.toolchains.launching import launch_of

            launcher = launch_of
        launch = launcher(spec)
        if self._hub is None:
            self._hub = acquire(self.bounds)
        reuse = spec.manifest.runtime.isolation != "call"
        pool = self._pools[spec] = self._hub.pool(launch, reuse=reuse)
        return pool


def _unsent(call: NodeCall, error: FrameTooLarge | BlobFault | Refused) -> CallError:
    """Why a call was not sent."""
    name = call.spec.name
    if isinstance(error, Refused):
        found = error.error
        found.message = f"{name}: {found.message}"
        return found
    if isinstance(error, BlobFault):
        code = error.code if isinstance(error.code, int) else 4001
        return error_of(code, f"{name}: {error.message}", started=False)
    message = f"{name}: {error}; pass large values as inputs, which travel as files where a node takes them"
    return error_of(4005, message, started=False)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await bounded work to its end, whatever further cancellations arrive meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    task.result()
