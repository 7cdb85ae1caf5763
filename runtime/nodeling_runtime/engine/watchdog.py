"""Names the step that keeps the event loop from turning, which nothing inside the loop could do.

While a run is active its loop sets a time stamp every few milliseconds, and a thread looks at it. A stamp
that stays old means that somebody does not give the loop back: the thread looks at the loop's own stack,
finds the step in it, and the run tells of it in one `engine.lag` event as soon as the loop turns again.
Nothing is paid per step. `NODELING_WATCHDOG=0` switches it off; a loop with a clock of its own is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import field
from types import FrameType
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling_runtime.engine.step import StepJob

if TYPE_CHECKING:
    from nodeling_runtime.engine.run import Run

TICK_SECONDS = 0.02
LAG_SECONDS = 0.1
DUMP_SECONDS = 1.0  # a node may never come back: from here on the stack is kept, and stderr hears of it
IDLE_SECONDS = 1.0  # the thread ends when no run was active for so long
THREAD = "nodeling-watchdog"
OWN_CLOCK_SECONDS = 60.0  # a loop whose time is farther from the machine's does not run in real time


@dataclass(eq=False, slots=True)
class _Beat:
    """One run's sign of life."""

    run: Run
    loop: asyncio.AbstractEventLoop
    thread: int = field(default_factory=threading.get_ident)
    last: float = field(default_factory=time.monotonic)
    found: dict[StepJob | None, str | None] = field(default_factory=dict)  # who, and the stack if it was long
    handle: asyncio.TimerHandle | None = None

    def tick(self) -> None:
        """The loop turns."""
        self.report()
        self.handle = self.loop.call_later(TICK_SECONDS, self.tick)

    def report(self) -> None:
        """Tell what was found since the last tick."""
        now = time.monotonic()
        late, self.last = now - self.last, now
        if not self.found:
            return
        found, self.found = self.found, {}
        if late < LAG_SECONDS:
            return
        for job, stack in found.items():
            told: dict[str, Any] = {"level": "warning", "lag_ms": round(late * 1_000, 1)}
            if job is not None:
                told["node"] = job.step.node
            if stack is not None:
                told["stack"] = stack
            self.run.events.emit("engine.lag", None if job is None else job.path, **told)

    def look(self, now: float) -> None:
        """Called on the watching thread."""
        late = now - self.last
        if late < LAG_SECONDS or any(stack is not None for stack in self.found.values()):
            return
        frame = sys._current_frames().get(self.thread)
        if frame is None or _is_waiting(frame):
            return
        job = _running_step(frame)
        if job is not None and job.engine is not self.run:
            return  # another run of this loop is the one to tell
        if late >= DUMP_SECONDS:
            self.found[job] = "".join(traceback.format_stack(frame))
            _complain(job, late, frame)
        elif job is not None:
            self.found.setdefault(job)


class _Watcher:
    """The one thread that looks at every active run of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beats: set[_Beat] = set()
        self._thread: threading.Thread | None = None

    def add(self, beat: _Beat) -> None:
        with self._lock:
            self._beats.add(beat)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name=THREAD, daemon=True)
                self._thread.start()

    def remove(self, beat: _Beat) -> None:
        with self._lock:
            self._beats.discard(beat)

    def _watch(self) -> None:
        idle_since = time.monotonic()
        while True:
            time.sleep(TICK_SECONDS)
            now = time.monotonic()
            with self._lock:
                beats = list(self._beats)
                if not beats and now - idle_since > IDLE_SECONDS:
                    self._thread = None
                    return
            if beats:
                idle_since = now
            for beat in beats:
                beat.look(now)


_WATCHER = _Watcher()


@contextlib.contextmanager
def watched(run: Run) -> Iterator[None]:
    """Watch the running loop for as long as this run is active."""
    loop = asyncio.get_running_loop()
    foreign = abs(loop.time() - time.monotonic()) > OWN_CLOCK_SECONDS
    if foreign or os.environ.get("NODELING_WATCHDOG") == "0":
        yield
        return
    beat = _Beat(run, loop)
    beat.tick()
    _WATCHER.add(beat)
    try:
        yield
    finally:
        _WATCHER.remove(beat)
        if beat.handle is not None:
            beat.handle.cancel()
        beat.report()


def _is_waiting(frame: FrameType) -> bool:
    """The loop waits for events: it is not held up, it was only not let run."""
    return frame.f_code.co_name == "select" and frame.f_code.co_filename.endswith("selectors.py")


def _running_step(frame: FrameType | None) -> StepJob | None:
    """The innermost step on a stack."""
    while frame is not None:
        if frame.f_code is StepJob.run.__code__:
            job = frame.f_locals.get("self")
            return job if isinstance(job, StepJob) else None
        frame = frame.f_back
    return None


def _complain(job: StepJob | None, late: float, frame: FrameType) -> None:
    who = "something" if job is None else f"step {job.path!r} (node {job.step.node!r})"
    sys.stderr.write(
        f"nodeling: {who} has kept the event loop from turning for {late:.1f} s,"
        f" at {frame.f_code.co_filename}:{frame.f_lineno}; no other step can go on meanwhile,"
        " and no timeout can end it: write it as a plain function, or await what it waits for\n"
    )
