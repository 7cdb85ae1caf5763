"""A pool of children: never more at once than its limit, and everything counted as it happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nodeling.flow import Start
from nodeling_runtime.engine.team import Job, Team

if TYPE_CHECKING:
    from nodeling_runtime.engine.child import ChildRun
    from nodeling_runtime.engine.flow import FlowHandle


class PoolRun:
    """Runs children by pull-workers over one iterator."""

    def __init__(
        self,
        flow: FlowHandle,
        limit: int,
        timeout_ms: float | None,
        deadline_ms: float | None,
        strategy: str | None = None,
    ) -> None:
        self._flow = flow
        self._strategy = strategy
        self._limit = max(1, int(limit))
        self._timeout_ms = timeout_ms
        self._deadline_ms = deadline_ms
        self._reason: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opened = flow.opened_at()
        self._closed: float | None = None
        self._runs: list[ChildRun] = []
        self._open = 0  # how many of them have not ended
        self._running: set[Job] = set()
        self._peak = 0
        self._exhausted = False
        self._starts: Iterator[Start] = iter(())
        self._settled: Callable[[ChildRun], object] | None = None
        self._done: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._pulling = False
        self._team = Team(self._take, self._end, self._limit)  # one for all calls: the bound is the pool's
        self._counted = self._count  # one for all children
        self.expired = False

    async def run(
        self, starts: Iterable[Start], *, settled: Callable[[ChildRun], object] | None = None
    ) -> list[ChildRun]:
        """Run the children and return them in the order they were given."""
        self._flow.when_answered(self._arm)
        self._starts = iter(starts)
        self._settled = settled
        self._exhausted = False
        before = len(self._runs)
        self._done = asyncio.get_running_loop().create_future()
        self._team.wake()
        try:
            await self._done
        except asyncio.CancelledError:
            if self._reason is None:  # not the engine's doing: it ends the children first
                await self._end_all()
            raise
        finally:
            self._closed = self._flow.job.engine.clock()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if self._failure is not None:
            raise self._failure
        return self._runs[before:]

    def cancel(self, reason: str = "cancelled") -> None:
        """Start nothing more and end what runs."""
        if self._reason is None:
            self._reason = reason
            for child in list(self._runs):
                child.cancel(reason)
            if not self._pulling and self._done is not None and not self._done.done():
                self._take()

    async def _end_all(self) -> None:
        """End the children of a container whose task somebody cancelled, and wait for that; it is bounded."""
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()  # the other one was cancelled with the task
        self.cancel()
        while not self._done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._done)

    def execution_info(self, strategy: str | None = None) -> dict[str, Any]:
        """What the engine counted."""
        children, timed_out, work, opened = [], 0, 0.0, self._opened
        ended = {"succeeded": 0, "failed": 0, "skipped": 0, "cancelled": 0}
        for run in self._runs:
            record = run.record
            status, started = record.status, record.started_at
            if started is None:
                at, spent = None, 0.0
            else:
                at = int((started - opened) * 1e6 + 0.5) / 1e3
                spent = (record.ended_at or started) - started
                work += spent
            if status in ended:
                ended[status] += 1
                if status == "failed" and record.error is not None and record.error.code == 9005:
                    timed_out += 1
            children.append(
                {
                    "name": record.name,
                    "status": status,
                    "attempts": record.attempts,
                    "started_ms": at,
                    "duration_ms": int(spent * 1e6 + 0.5) / 1e3,
                    "worker": record.worker,
                    "cpu_ms": record.cpu_ms,
                    "peak_rss_mb": record.peak_rss_mb,
                }
            )
        wall = (self._closed or self._flow.job.engine.clock()) - self._opened
        info: dict[str, Any] = {
            "total": len(children),
            "completed": ended["succeeded"],
            "failed": ended["failed"],
            "cancelled": ended["cancelled"],
            "skipped": ended["skipped"],
            "timed_out": timed_out,
            "duration_ms": round(wall * 1_000, 3),
            "work_ms": round(work * 1_000, 3),
            "speedup": round(work / wall, 2) if wall > 0 and children else 0.0,
            "concurrent_peak": self._peak,
            "leaked": self._team.leaked,
        }
        strategy = strategy or self._strategy
        if strategy is not None:
            info["strategy"] = strategy
        info["children"] = children
        self._flow.known.setdefault("execution_info", info)
        return info

    def report(self) -> dict[str, Any]:
        """What is known of every child, for a container that was cut short and cannot say it."""
        errors = [run.error for run in self._runs if run.error is not None]
        report: dict[str, Any] = {"results": [run.output for run in self._runs]}
        if errors:
            report["errors"] = errors
        return {**report, "execution_info": self.execution_info()}

    def let_go(self) -> None:
        """Nobody asks for its children any more."""
        self._runs.clear()
        self._settled = None

    # -- the workers' side

    def _arm(self) -> None:
        if self._deadline_ms is None or self._reason is not None:
            return
        spent = (self._flow.job.engine.clock() - self._opened) * 1_000
        left = max(0.0, self._deadline_ms - spent) / 1_000
        self._timer = asyncio.get_running_loop().call_later(left, self._expire)

    def _expire(self) -> None:
        if self._reason is None:
            self.expired = True
            self.cancel("global_timeout")

    def _take(self) -> Job | None:
        """Ask the container for its next child. Once the pool is cancelled, children end unstarted."""
        while self._failure is None and not self._pulling:
            self._pulling = True
            try:
                child = self._flow.open(next(self._starts), self._timeout_ms, self._reason)
            except StopIteration:
                break
            except Exception as error:  # the container's iterator, or what it asked for, is wrong
                self._failure = error
                self.cancel("failed")
                break
            finally:
                self._pulling = False
            runs, job = self._runs, child.job
            child.index = len(runs)
            runs.append(child)
            self._open += 1
            if job.done:  # it ended before it could start
                self._end(job)
                continue
            job.counted = self._counted
            # Every worker that waits doubles those that are on their way: children that never wait need two
            # workers, a hundred that do have theirs after seven turns of the loop.
            if self._team.workers < self._limit:
                self._team.grow()
            return job
        self._exhausted = True
        self._finish_if_quiet()
        return None

    def _count(self, job: Job) -> None:
        running = self._running
        running.add(job)
        if len(running) > self._peak:
            self._peak = len(running)

    def _end(self, job: Job) -> None:
        self._open -= 1
        self._running.discard(job)
        child = self._flow.ended(job)
        settled = self._settled
        if settled is not None:
            try:
                settled(child)
            except Exception as error:  # the container's own callback
                self._failure = self._failure or error
                self.cancel("failed")
        child.let_go()
        if self._exhausted:
            self._finish_if_quiet()

    def _finish_if_quiet(self) -> None:
        """The call is over when the iterator is dry and every child has ended."""
        if self._exhausted and not self._open and self._done is not None and not self._done.done():
            self._done.set_result(None)
