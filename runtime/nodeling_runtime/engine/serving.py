"""A process that takes runs from a store and runs them: as many at once as it may, until it is told to stop.

What it takes it watches over from that moment on. A run that was taken over by somebody else is given up at
once; one that cannot be run here is suspended, with the reason, so that nobody takes it again and again; at
the end what is still running is left to others where its history ends.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError, StoreError
from nodeling_runtime.engine.durable import Keeper, resume_run
from nodeling_runtime.engine.journal import Journal
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.pinned import Policy
from nodeling_runtime.store.model import Batch, Claim, Fact, RunRow
from nodeling_runtime.store.writer import PASSING

POLL_SECONDS = 1.0
CALLS_AT_ONCE = 2  # of the store: one that claims, one that waits for work
GONE = frozenset({"store.fenced", "store.handed_over"})
AWAY = PASSING | {"store.in_doubt", "store.unavailable"}

Until = Literal["stopped", "empty", "one"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server of runs is to do.

    Args:
        concurrency: How many runs it runs at once.
        workflows: Only runs of these; of all when there are none.
        policy: How much nodes may have changed since a run began.
        until: When it ends by itself: when no run waits, or after one run.
        grace: How long calls may go on when it is told to stop, in seconds.
    """

    concurrency: int = 4
    workflows: Sequence[str] = ()
    policy: Policy = "compatible"
    until: Until = "stopped"
    grace: float = 30.0


class Server:
    """One process's service to one store, on one loop."""

    def __init__(
        self,
        keeper: Keeper,
        wanted: Serving,
        load: Callable[[RunRow, bytes], Loaded],
        tell: Callable[..., None],
    ) -> None:
        """Make one.

        Args:
            keeper: The process's hold on the store.
            wanted: What to do.
            load: Loads a run's workflow as it was pinned, with the nodes that are here.
            tell: Told what happens: `tell(event, **facts)`.
        """
        self._keeper = keeper
        self._wanted = wanted
        self._load = load
        self._tell = tell
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._journals: dict[str, Journal] = {}
        self._handing: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._store_calls = ThreadPoolExecutor(CALLS_AT_ONCE, "nodeling-claims")
        self._hint: asyncio.Future[None] | None = None

    def stop(self) -> None:
        """Take no more runs, and hand over what is running."""
        self._stopping.set()
        for journal in self._journals.values():
            self._hand_over(journal)

    async def serve(self) -> None:
        """Serve until it is time to end.

        Raises:
            StoreError: The store cannot be used.
        """
        try:
            await self._take_all()
            while self._running or self._handing:
                await asyncio.wait([*self._running, *self._handing], return_when="FIRST_COMPLETED")
        finally:
            self._store_calls.shutdown(wait=False)

    # -- taking

    async def _take_all(self) -> None:
        while not self._stopping.is_set():
            if len(self._running) >= self._wanted.concurrency:
                await self._wait_for(*self._running)
                continue
            claim = await self._next()
            if claim is not None:
                self._begin(claim)
                if self._wanted.until == "one":
                    return
            elif self._wanted.until != "stopped" and not self._running:
                return
            else:
                await self._wait_for(self._word(), *self._running)

    async def _next(self) -> Claim | None:
        """The next run, claimed and kept alive; one that comes too late is let go."""
        store, owner = self._keeper.store, self._keeper.owner
        try:
            claim = await self._in_thread(lambda: store.claim_next(owner, self._wanted.workflows))
        except StoreError as error:
            if error.code not in AWAY or self._wanted.until != "stopped":
                raise
            self._tell("store.away", error=error.to_json())
            await asyncio.sleep(random.uniform(POLL_SECONDS / 2, POLL_SECONDS))  # noqa: S311  # no secret
            return None
        if claim is not None and self._stopping.is_set():
            await self._in_thread(lambda: store.release(claim))
            return None
        return claim

    def _begin(self, claim: Claim) -> None:
        self._keeper.writer.pulse.watch(claim, lambda answer: None)  # building its nodes may take long
        task = asyncio.ensure_future(self._serve_one(claim))
        self._running[task] = claim
        task.add_done_callback(self._running.pop)

    def _word(self) -> asyncio.Future[None]:
        """A hint that there may be something to take, in a second at the latest."""
        if self._hint is None or self._hint.done():
            store = self._keeper.store
            self._hint = asyncio.ensure_future(self._in_thread(lambda: store.await_work(POLL_SECONDS)))
        return self._hint

    async def _wait_for(self, *these: asyncio.Future[Any]) -> None:
        """Wait for one of these, or to be stopped."""
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([stopped, *these], return_when="FIRST_COMPLETED")
        finally:
            stopped.cancel()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._store_calls, call)

    def _hand_over(self, journal: Journal) -> None:
        task = asyncio.ensure_future(journal.hand_over(self._wanted.grace))
        self._handing.add(task)
        task.add_done_callback(self._handing.discard)

    # -- running

    async def _serve_one(self, claim: Claim) -> None:
        """Run one run to its end, or to the end of what can be done with it here."""
        began, run_id = time.monotonic(), claim.run_id
        pulse = self._keeper.writer.pulse
        try:
            await self._run(claim, began)
        except StoreError as error:
            if error.code in GONE:
                event = "run.handed_over" if error.code == "store.handed_over" else "run.lost"
                self._tell(event, run_id=run_id, message=error.message, **error.details)
            elif error.code in AWAY:
                self._tell("run.lost", run_id=run_id, error=error.to_json())
            else:
                await self._give_up(claim, error)
        except NodelingError as error:
            await self._give_up(claim, error)
        except Exception as error:  # a bug of ours must not end the other runs, nor come back every second
            details = {"traceback": traceback.format_exc()}
            await self._give_up(claim, NodelingError(repr(error), code="internal", details=details))
        finally:
            pulse.unwatch(claim)
            self._journals.pop(run_id, None)

    async def _run(self, claim: Claim, began: float) -> None:
        keeper = self._keeper
        row, definition = await self._in_thread(lambda: _kept(keeper, claim.run_id))
        if row is None or definition is None:
            raise StoreError(f"run {claim.run_id} is gone", code="store.fenced")
        self._tell("run.taken", run_id=row.run_id, workflow=row.workflow, recovery=claim.is_recovery)
        options = run_options({})
        options.on_build = lambda note: None
        loaded = self._load(row, definition)

        def begun(journal: Journal) -> None:
            self._journals[row.run_id] = journal
            if self._stopping.is_set():  # its nodes were being built meanwhile
                self._hand_over(journal)

        outcome = await resume_run(
            keeper,
            row.run_id,
            options,
            policy=self._wanted.policy,
            loaded=loaded,
            claim=claim,
            begun=begun,
        )
        spent = round((time.monotonic() - began) * 1_000, 3)
        facts: dict[str, Any] = {"status": outcome.status, "duration_ms": spent}
        if outcome.error is not None:
            facts["error"] = outcome.redactor.value(outcome.error)
        self._tell("run.finished", run_id=row.run_id, workflow=row.workflow, **facts)

    async def _give_up(self, claim: Claim, error: NodelingError) -> None:
        """Suspend a run that cannot be run here; `nodectl runs resume` takes it up when it can."""
        self._tell("run.blocked", run_id=claim.run_id, error=error.to_json())
        store, owner = self._keeper.store, self._keeper.owner
        was_begun = claim.run_id in self._journals
        said = {"reason": str(error.code), "message": error.message}

        def suspend() -> None:
            mine = store.claim(claim.run_id, owner) if was_begun else claim
            store.append([Batch(mine, (Fact("run.suspended", time.time(), data=said),))])
            store.release(mine)

        try:
            await self._in_thread(suspend)
        except StoreError as more:
            self._tell("run.lost", run_id=claim.run_id, error=more.to_json())


def _kept(keeper: Keeper, run_id: str) -> tuple[RunRow | None, bytes | None]:
    """A run's row, and what it holds on to."""
    row = keeper.store.run(run_id)
    return row, None if row is None else keeper.store.definition(row.definition)
