"""What outlives a run: the warden and the idle workers, handed from loop to loop.

A hub serves one event loop at a time; runs on the same loop share it, and when the last of them ends
its idle workers wait, parked, for the next. Invariant: a parked hub has no descriptor in any loop, and
its warden ends what idles too long.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Iterable

from nodeling_runtime.dispatch.worker import ends
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.channel import Worker
from nodeling_runtime.dispatch.worker.embryo import Embryo
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.dispatch.worker.pool import Pool
from nodeling_runtime.dispatch.worker.warden import Warden
from nodeling_runtime.shelf import close_if_empty

_LOCK = threading.Lock()
_IN_USE: dict[tuple[asyncio.AbstractEventLoop, Bounds], Hub] = {}
_PARKED: list[Hub] = []


class Hub:
    """A warden, and the pools of the workers it guards."""

    def __init__(self, bounds: Bounds) -> None:
        self.warden = Warden()
        self.bounds = bounds
        self.users = 0
        self._pools: dict[tuple[Launch, bool], Pool] = {}
        self._alive: set[Worker] = set()
        self._embryos: dict[Launch, Embryo] = {}

    def pool(self, launch: Launch, *, reuse: bool) -> Pool:
        """The workers for a launch."""
        key = (launch, reuse)
        if key not in self._pools:
            self._pools[key] = Pool(launch, self, reuse=reuse)
        return self._pools[key]

    @property
    def alive(self) -> int:
        """How many processes there are."""
        return len(self._alive)

    # -- what pools ask

    def may_spawn(self) -> bool:
        """Whether one more process may be started; an idle one elsewhere makes room for it."""
        if len(self._alive) + len(self._embryos) < self.bounds.most_workers:
            return True
        if self._embryos:
            self._embryos.pop(next(iter(self._embryos))).discard()
            return True
        if not any(worker.state in ("stopping", "dying") for worker in self._alive):
            idle = [worker for worker in self._alive if worker.is_idle]
            if idle:
                min(idle, key=lambda worker: worker.idle_since).kill(ends.SHUTDOWN)
        return False

    def hatch(self, launch: Launch) -> Embryo | None:
        """The process that was started ahead for a launch, if there is one."""
        embryo = self._embryos.pop(launch, None)
        if embryo is None or embryo.is_alive:
            return embryo
        embryo.discard()
        return None

    def spawned(self, worker: Worker) -> None:
        """A process was started."""
        self._alive.add(worker)

    def ended(self, worker: Worker) -> None:
        """Nothing is left of a process: somebody else may have its place."""
        self._alive.discard(worker)
        for pool in self._pools.values():
            if pool.is_wanted():
                pool.grow()

    # -- ahead of a run

    def prepare(self, launch: Launch) -> None:
        """Start a process for a launch that has none."""
        known = self._pools.get((launch, True))
        if launch in self._embryos or (known is not None and known.workers):
            return
        if len(self._alive) + len(self._embryos) < self.bounds.most_workers:
            with contextlib.suppress(
                OSError
            ):  # it will be tried again, and its error told, when it is needed
                self._embryos[launch] = Embryo(launch, self.warden, self.bounds)

    # -- from loop to loop

    def attach(self) -> None:
        """Serve the running loop."""
        self.warden.attach()
        for pool in self._pools.values():
            pool.attach()

    async def settle(self) -> None:
        """End what is not idle, bounded."""
        busy = [worker for worker in self._alive if not worker.is_idle]
        for worker in busy:
            worker.kill(ends.SHUTDOWN)
        if busy:
            await asyncio.wait({worker.gone for worker in busy}, timeout=self.bounds.gone)

    def detach(self) -> None:
        """Let go of the loop."""
        self._pools = {key: pool for key, pool in self._pools.items() if pool.workers}
        for pool in self._pools.values():
            pool.detach()
        self.warden.detach()

    def close(self) -> None:
        """End everything, in whatever state it is."""
        self.warden.close()
        for worker in list(self._alive):
            worker.abandon()
        for embryo in self._embryos.values():
            embryo.abandon()
        self._embryos.clear()
        self._alive.clear()
        self._pools.clear()


def acquire(bounds: Bounds) -> Hub:
    """The hub of the running loop; a parked one when it has none."""
    loop = asyncio.get_running_loop()
    with _LOCK:
        hub = _IN_USE.get((loop, bounds))
        is_new = hub is None
        if hub is None:
            hub = _take(lambda parked: parked.bounds == bounds) or Hub(bounds)
            _IN_USE[(loop, bounds)] = hub
        hub.users += 1
    if is_new:
        hub.attach()
    return hub


def prepare(launches: Iterable[Launch], bounds: Bounds) -> None:
    """Start processes that the next run in this program will need; needs no loop.

    Where a run is under way they start with their first calls instead: its loop is another thread's.
    """
    with _LOCK:
        if any(hub.bounds == bounds for hub in _IN_USE.values()):
            return
        hub = next((parked for parked in _PARKED if parked.bounds == bounds), None)
        if hub is None:
            hub = Hub(bounds)
            _PARKED.append(hub)
        for launch in launches:
            hub.prepare(launch)


def _take(fits: Callable[[Hub], bool]) -> Hub | None:
    for index, hub in enumerate(_PARKED):
        if fits(hub):
            return _PARKED.pop(index)
    return None


async def release(hub: Hub) -> None:
    """A user of the hub is done; with the last one it is parked, or closed where all were told to close."""
    hub.users -= 1
    if not hub.users:
        await hub.settle()
    key = (asyncio.get_running_loop(), hub.bounds)
    with _LOCK:
        if hub.users:  # somebody came meanwhile
            return
        is_known = _IN_USE.get(key) is hub
        hub.detach()
        if is_known:
            del _IN_USE[key]
            _PARKED.append(hub)
    if not is_known:
        hub.close()


def close_all() -> None:
    """End every worker of this process. Called at its exit; tests call it to look for leftovers."""
    with _LOCK:
        hubs = [*_PARKED, *_IN_USE.values()]
        _PARKED.clear()
        _IN_USE.clear()
    for hub in hubs:
        hub.close()
    close_if_empty()


def _forget() -> None:
    """In a forked child: none of this is ours."""
    _PARKED.clear()
    _IN_USE.clear()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
