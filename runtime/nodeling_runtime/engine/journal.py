"""What a running run writes down, and what it waits for before it goes on.

Facts are noted as they happen and kept in their order by the store's thread. A call is sent only when all
that was noted before it is kept, its own start included: so a start rides in the transaction of whatever
caused it, and a successor never runs ahead of its predecessor's result. Whatever nobody waits for is kept
within a few milliseconds all the same. A run without a journal pays for none of this.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nodeling.errors import StoreError
from nodeling_runtime.engine.recorded import Recorded
from nodeling_runtime.engine.run_log import MOST_EVENTS
from nodeling_runtime.fault_points import reached
from nodeling_runtime.redact import NOTHING, Redactor
from nodeling_runtime.store.model import NO_DATA, Appended, Batch, Claim, Fact, Fenced
from nodeling_runtime.store.writer import Answer, Source, Writer
from nodeling_runtime.values import Value

LATEST_SECONDS = 0.004  # a result that nobody waits for is kept within so long
LOOK_SECONDS = 0.5  # how soon a runner that slept beyond its lease knows it
SETTLED_TURNS = 5  # of the loop, after which what a result starts is written down
MOST_LOGS = 10_000  # of what its nodes log a run keeps so many lines in each process that runs it
MANY_EVENTS = 200_000  # a history so long is warned of
ENDINGS = frozenset({"step.ended", "step.retry", "step.lost"})  # of a call


class Journal(Source):
    """The journal of one run, on one loop, under one claim."""

    def __init__(self, writer: Writer, claim: Claim, recorded: Recorded | None = None) -> None:
        self.claim = claim
        self.recorded = Recorded() if recorded is None else recorded
        self.resumes = recorded is not None
        self.lost: StoreError | None = None
        self.redactor: Redactor = NOTHING
        self.told: Callable[[str], None] = lambda reason: None  # somebody wants the run to end
        self.failed: Callable[[StoreError], None] = lambda error: None  # nothing will be kept any more
        self.grown: Callable[[int], None] = lambda count: None  # the history is long
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._facts: list[Fact] = []  # the loop adds at the end, the store's thread takes from the start
        self._acts: deque[Callable[[], None]] = deque()  # what that thread does before it keeps them
        self._is_called = False  # it was told to come, and has not come yet
        self._noted = 0
        self._logged = 0
        self._kept = 0
        self._expected = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._held: deque[tuple[int, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._was_told = False
        self._base = self.recorded.count
        self._marks = [MOST_EVENTS, MANY_EVENTS]
        self._limit = MANY_EVENTS - self._base  # the first of them that is not reached, in facts noted here
        self._open: set[str] = set()  # the calls whose start is written down and whose end is not
        self.hands_over = False
        writer.pulse.watch(claim, self._found)
        if writer.store.heartbeat_seconds is not None:
            self._look()

    @property
    def writer(self) -> Writer:
        """The store's thread."""
        return self._writer

    # -- writing

    def note(
        self,
        kind: str,
        path: str = "",
        data: Mapping[str, Any] | None = None,
        value: bytes | None = None,
        delta: bytes | None = None,
        at: float | None = None,
    ) -> None:
        """Write a fact down."""
        if self.lost is not None:
            return
        self._expected = 0
        facts = NO_DATA if data is None else data
        if self.redactor is not NOTHING:
            files = facts.get("files")  # still being filled in, by the store's thread
            facts = self.redactor.value(dict(facts))
            if files:
                facts = {**facts, "files": files}
            value, delta = self._masked(value), self._masked(delta)
        if kind == "step.started":
            if not facts["container"]:
                self._open.add(path)
        elif kind in ENDINGS:
            self._open.discard(path)
        gen = self.recorded.generation(path) if self.recorded.restarts else 0
        self._facts.append(Fact(kind, time.time() if at is None else at, path, facts, value, delta, gen))
        self._noted += 1
        if self._noted >= self._limit:
            self._grow()
        if self._timer is None and not self._is_called:
            self._timer = self._loop.call_later(LATEST_SECONDS, self._ring)

    def _grow(self) -> None:
        """The history is as long as somebody is to be told."""
        self.grown(self._marks.pop())
        self._limit = self._marks[-1] - self._base if self._marks else sys.maxsize

    def note_log(self, path: str, line: Mapping[str, Any]) -> None:
        """Write a line down that a node logged, up to a number of them."""
        self._logged += 1
        if self._logged < MOST_LOGS:
            self.note("step.log", path, line)
        elif self._logged == MOST_LOGS:
            told = f"{MOST_LOGS} lines were logged; what follows is not kept"
            self.note("step.log", path, {"level": "warning", "message": told})

    def _masked(self, data: bytes | None) -> bytes | None:
        return None if data is None else Value.of(self.redactor.value(Value.from_checked(data).shared())).data

    @property
    def folder(self) -> Path | None:
        """Where files of the run's outputs lie; None where the store keeps none."""
        files = self._writer.store.files
        return None if files is None else files / self.claim.run_id

    def before_next(self, act: Callable[[], None]) -> None:
        """Do something in the store's thread, before what is noted from now on is kept."""
        self._acts.append(act)

    @property
    def is_kept(self) -> bool:
        """Whether everything that was noted is kept."""
        return self._kept >= self._noted

    def keeping(self) -> asyncio.Future[None] | None:
        """What is done when everything noted so far is kept; None when it is.

        Raises:
            StoreError: It will not be: the store cannot write, or the run is somebody else's now.
        """
        if self.lost is not None:
            raise self.lost
        if self._kept >= self._noted:
            return None
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((self._noted, future))
        self._call()
        return future

    async def kept(self) -> None:
        """Wait until everything noted so far is kept.

        Raises:
            StoreError: It will not be.
        """
        future = self.keeping()
        if future is not None:
            await future

    def expect(self) -> None:
        """What is told next is noted behind that: it waits for one fact more."""
        self._expected = 1

    def when_kept(self, tell: Callable[[], None]) -> None:
        """Call something once all that was noted so far is kept; at once when it is."""
        target, self._expected = self._noted + self._expected, 0
        if self._kept >= target and not self._held:
            tell()
        else:
            self._held.append((target, tell))

    def _ring(self) -> None:
        self._timer = None
        if self._facts:
            self._call()

    def _call(self) -> None:
        """Have the store's thread come; what is noted until it does comes along."""
        if not self._is_called:
            self._is_called = True
            self._writer.fetch(self)

    def taken(self) -> Batch | None:
        """What was noted since the last time."""
        self._is_called = False  # first: what is noted from now on calls anew
        facts = tuple(self._facts)
        del self._facts[: len(facts)]
        while self._acts:  # behind that: what a fact needs was said before it was noted
            self._acts.popleft()()
        return Batch(self.claim, facts) if facts else None

    def answered(self, count: int, answer: Answer) -> None:
        """What became of so many facts."""
        try:
            self._loop.call_soon_threadsafe(self.settle, count, answer)
        except RuntimeError:
            return  # the loop is closed: the run was given up

    def settle(self, count: int, answer: Answer) -> None:
        """The same, on the loop: whoever waits for these facts goes on."""
        if isinstance(answer, Fenced):
            owner = answer.owner or "another process"
            answer = StoreError(
                f"run {self.claim.run_id} was taken over by {owner}; nothing more of it is recorded here",
                code="store.fenced",
                details={"refused": count},
            )
        if isinstance(answer, StoreError):
            self._lose(answer)
            return
        if count:
            reached("acknowledged")
        self._kept += count
        while self._waiting and self._waiting[0][0] <= self._kept:
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_result(None)
        while self._held and self._held[0][0] <= self._kept:
            self._held.popleft()[1]()
        if answer.cancel is not None:
            self._tell(answer.cancel)

    def _tell(self, reason: str) -> None:
        if not self._was_told:
            self._was_told = True
            self.told(reason)

    def _lose(self, error: StoreError) -> None:
        """Nothing will be kept any more: whoever waits is told, and so is the run."""
        if self.lost is not None:
            return
        self.lost = error
        self._facts.clear()
        self._held.clear()
        while self._waiting:
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_exception(error)
        self.failed(error)

    # -- being told

    def _found(self, answer: Appended | Fenced) -> None:
        """Something was found out about the claim, in another thread."""
        self.answered(0, answer)

    def _look(self) -> None:
        """Give the run up by its owner's own clock, should nobody have heard of him for too long."""
        if self.lost is not None:
            return
        if self._writer.pulse.is_stale(self.claim):
            self._lose(
                StoreError(
                    f"no word of run {self.claim.run_id} has reached the store for so long that others may"
                    " take it over; nothing more of it is recorded here",
                    code="store.fenced",
                )
            )
            return
        self._look_timer = self._loop.call_later(LOOK_SECONDS, self._look)

    # -- handing over

    async def call_off(self, path: str, attempt: int) -> None:
        """Wait for ever, for the run is being handed over: what was to begin has done nothing."""
        self.note("step.lost", path, {"attempt": attempt})
        await self._loop.create_future()

    async def hand_over(self, grace: float) -> None:
        """Begin nothing more, let the calls that are under way end, and leave the rest to another process.

        Args:
            grace: How long they may take, in seconds; then they are killed, and nothing is said of them.
        """
        self.hands_over = True
        until = self._loop.time() + grace
        while self.lost is None and self._loop.time() < until and not await self._is_settled():
            await asyncio.sleep(0.01)
        self._lose(StoreError("the run was left to another process", code="store.handed_over"))

    async def _is_settled(self) -> bool:
        """Whether no call is under way and none is about to be."""
        for _ in range(SETTLED_TURNS):
            if self._open or not self.is_kept:
                return False
            await asyncio.sleep(0)
        return True

    def close(self) -> None:
        """The run is over."""
        self._writer.pulse.unwatch(self.claim)
        for timer in (self._timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._look_timer = None
        if self._facts and self.lost is None:
            self._call()
