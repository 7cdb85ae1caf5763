"""At most as many steps of one run at once as the configuration says that a step of it has loaded.

The bound is read by every step that wants to start, from the context that it sees; so it holds from the step
on that loaded the configuration. Waiting costs no thread, and no clock of the step runs meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from nodeling.errors import NodeError

__all__ = ["bound_of", "place"]


class _Gate:
    """Who is inside, and who waits, in the order of coming."""

    def __init__(self) -> None:
        self.inside = 0
        self.users = 0
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    def admit(self) -> None:
        """Let in everybody for whom there is a place; nobody overtakes who came before."""
        while self.waiting:
            limit, future = self.waiting[0]
            if not future.done():
                if self.inside >= limit:
                    return
                self.inside += 1
                future.set_result(None)
            self.waiting.pop(0)


_GATES: dict[str, _Gate] = {}  # by run; touched by the engine's loop alone


@asynccontextmanager
async def place(run_id: str, limit: float) -> AsyncIterator[None]:
    """Wait for a place among the steps of a run, and hold it inside the block."""
    gate = _GATES.setdefault(run_id, _Gate())
    gate.users += 1
    try:
        await _enter(gate, limit)
        try:
            yield
        finally:
            gate.inside -= 1
            gate.admit()
    finally:
        gate.users -= 1
        if not gate.users:
            _GATES.pop(run_id, None)


async def _enter(gate: _Gate, limit: float) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gate.waiting.append((limit, future))
    gate.admit()
    try:
        await future
    except asyncio.CancelledError:
        if future.done() and not future.cancelled():  # let in and cancelled in one moment
            gate.inside -= 1
        future.cancel()
        gate.admit()
        raise


def bound_of(get: Callable[[str], Any]) -> float:
    """How many steps may run at once, by the configuration in a context.

    Raises:
        NodeError: What it says is no number of steps.
    """
    config = get("config")
    section = config.get("execution") if isinstance(config, Mapping) else None
    section = get("config.execution") if section is None else section
    if not isinstance(section, Mapping):
        return float("inf")
    if section.get("enable_parallel_processing") is False:
        return 1
    limit = section.get("max_concurrent_steps")
    if limit is None:
        return float("inf")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise NodeError(
            f"the configuration's execution.max_concurrent_steps is {limit!r:.60}, not a number from 1 up",
            code=4002,
            retryable=False,
        )
    return limit
