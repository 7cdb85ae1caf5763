"""Nodes in warm processes, behind the same seam as every other kind.

Invariant: when `call` returns or lets a cancellation through, the node no longer works on that call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from nodeling_runtime.dispatch.base import NodeCall, Outcome
from nodeling_runtime.dispatch.exec_result import Refused, error_of
from nodeling_runtime.dispatch.worker.answer import Answer
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.hub import Hub, acquire, release
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.pool import Pool, Refusal, hand_over

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
        pool = self._pools.get(call.spec)
        if pool is None or self._is_closed:
            try:
                pool = self._open_pool(call.spec)
            except (Refused, Refusal) as refused:
                return Outcome(error=refused.error)
        worker = pool.take()
        if worker is None:
            return await self._queued(call, pool)
        answer = Answer(asyncio.get_running_loop())
        opened = hand_over(call, worker, answer)
        if opened is None:
            pool.unused(worker)
            return answer.result()
        try:
            return await answer
        except asyncio.CancelledError:
            await _to_its_end(worker.end(opened))
            raise

    async def _queued(self, call: NodeCall, pool: Pool) -> Outcome:
        try:
            ticket = pool.queue(call)
        except Refusal as refusal:
            return Outcome(error=refusal.error)
        try:
            return await ticket.answer
        except asyncio.CancelledError:
            if ticket.sent is None:
                pool.forget(ticket)
            else:
                worker, opened = ticket.sent
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

    def _open_pool(self, spec: Any) -> Pool:
        if self._is_closed:
            raise Refusal(error_of(9009, "the runtime is shutting down", started=False))
        return self._pool(spec)

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


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await bounded work to its end, whatever further cancellations arrive meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    task.result()
