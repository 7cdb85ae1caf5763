"""Run a coroutine of the engine's while this thread watches for signals and for a loop that hangs.

The loop lives in a daemon thread, so that a node which blocks it blocks neither Ctrl-C nor the run's
timeout. The first signal cancels the run, whose `always` steps still run; the second leaves at once.
A loop that does not answer after it should have ended is left behind. Should a node hold the whole
interpreter (a regular expression that never ends does), the alarm that faulthandler keeps in C ends
the process and shows where it was.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, ClassVar, Generic, TypeVar

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError
from nodeling_runtime.cli.failure import SignalledError, Switches, leave
from nodeling_runtime.cli.script import begin_collecting

T = TypeVar("T")

GRACE_SECONDS = 1.15  # what a run gets to end by itself: a cancelled node's grace, and a little
ANSWER_SECONDS = 0.4  # a loop that has not turned once in so long is blocked
ALARM_SECONDS = 0.3  # so much later than all that the process is ended without the interpreter's help
JOIN_SECONDS = 0.1  # how long idle threads may take to notice that they are no longer needed
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Driven(Generic[T]):
    """What the coroutine gave, and the signal that cut it short, if one did."""

    value: T
    signal: int | None


class _Known:
    """The threads that were there before the first drive, and the engines that had to be left behind."""

    threads: frozenset[int] | None = None
    left: ClassVar[list[_Engine[Any]]] = []  # kept, so that nothing of them is finalised while it still runs


def stuck() -> bool:
    """Whether threads that started during a drive still run and would keep the process from ending well."""
    if _Known.threads is None or _Known.left:
        return bool(_Known.left)
    until = time.monotonic() + JOIN_SECONDS
    for thread in threading.enumerate():
        if thread.ident in _Known.threads or thread is threading.current_thread() or _only_looks(thread):
            continue
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            return True
    return False


def _only_looks(thread: threading.Thread) -> bool:
    """Whether it is the watchdog, which sleeps on for a while in case of another run and holds nothing."""
    watchdog = sys.modules.get("nodeling_runtime.engine.watchdog")
    return watchdog is not None and thread.name == watchdog.THREAD


def drive(
    start: Callable[[], Coroutine[Any, Any, T]],
    *,
    limit_ms: float | None = None,
    on_signal: Callable[[int], None] = lambda number: None,
) -> Driven[T]:
    """Run a coroutine to its end.

    Args:
        start: Makes the coroutine, on the engine's thread.
        limit_ms: The run's own timeout; the engine ends the run then, unless a node blocks its loop.
        on_signal: Called once, on this thread, when the first signal has cancelled the run.

    Raises:
        NodelingError: The loop is blocked and did not end in time (`run.blocked`).
    """
    if _Known.threads is None:
        if Switches.own_process:
            begin_collecting()
        _Known.threads = frozenset(
            thread.ident for thread in threading.enumerate() if thread.ident is not None
        )
    engine = _Engine(start)
    watch = _Watch(engine, limit_ms, on_signal)
    before = watch.listen()
    try:
        engine.begin()
        watch.wait()
    finally:
        watch.disarm()
        for number, handler in before.items():
            signal.signal(number, handler)
    return Driven(engine.result(), watch.signal)


class _Engine(Generic[T]):
    """The loop, its thread and the one task it is there for."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.ended = threading.Event()
        self._start = start
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[T] | None = None
        self._cancelled = False

    def begin(self) -> None:
        threading.Thread(target=self._run, name="nodeling-engine", daemon=True).start()

    def cancel(self) -> None:
        """Cancel the run, from any thread."""

        def inside() -> None:
            self._cancelled = True
            if self._task is not None:
                self._task.cancel()

        self._call(inside)

    def answers(self) -> bool:
        """Whether the loop turns."""
        answer = threading.Event()
        self._call(answer.set)
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            if answer.wait(0.02) or self.ended.is_set():
                return True
        return False

    def result(self) -> T:
        """What the task gave; its exception is raised here."""
        if self._task is None:
            raise KeyboardInterrupt
        try:
            return self._task.result()
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def _call(self, function: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return  # the loop is closed: the run is over

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        self._task = loop.create_task(self._start())
        self._task.add_done_callback(lambda _task: loop.stop())
        if self._cancelled:
            self._task.cancel()
        try:
            loop.run_forever()
        finally:
            if asyncio.all_tasks(loop):  # a node swallowed its cancellation and still sits there
                _Known.left.append(self)
                self.ended.set()
            else:
                self.ended.set()
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()


class _Watch:
    """What this thread does meanwhile."""

    def __init__(
        self, engine: _Engine[Any], limit_ms: float | None, on_signal: Callable[[int], None]
    ) -> None:
        self.signal: int | None = None
        self._engine = engine
        self._on_signal = on_signal
        self._due = None if limit_ms is None else time.monotonic() + limit_ms / 1_000 + GRACE_SECONDS

    def listen(self) -> dict[int, Any]:
        """Take the signals over; the handlers there were, to be put back."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._heard) for number in SIGNALS}

    def wait(self) -> None:
        """Wait for the end, or for the moment when it can be waited for no longer."""
        self._arm()
        while not self._engine.ended.wait(self._patience()):
            if self._due is None or time.monotonic() < self._due:
                continue
            if not self._engine.answers():
                self._blocked()
            self._due = time.monotonic() + GRACE_SECONDS
            self._arm()

    def _arm(self) -> None:
        if self._due is None or not Switches.own_process:
            return
        left = max(0.0, self._due - time.monotonic())
        faulthandler.dump_traceback_later(left + ANSWER_SECONDS + ALARM_SECONDS, exit=True, file=2)

    def disarm(self) -> None:
        """The end has come: let the alarm be."""
        if Switches.own_process:
            faulthandler.cancel_dump_traceback_later()

    def _patience(self) -> float:
        # A signal moves the due moment forward, so a wait without end would miss it.
        return 0.5 if self._due is None else max(0.01, min(0.5, self._due - time.monotonic()))

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            _leave_now(128 + number)
        self.signal = number
        self._due = time.monotonic() + GRACE_SECONDS
        self._arm()
        self._engine.cancel()
        self._on_signal(number)

    def _blocked(self) -> None:
        from nodeling_runtime.dispatch.descendants import kill_descendants

        _Known.left.append(self._engine)
        kill_descendants()
        if self.signal is not None:
            raise SignalledError(self.signal)
        raise NodelingError(
            "the run's time is over, but a node blocks the engine's loop and cannot be ended",
            code="run.blocked",
            hint="let the node be a plain function, which gets a thread, or await what takes long",
        )


def _leave_now(code: int) -> None:
    """A second signal: nothing is waited for, but nothing is left running either."""
    from nodeling_runtime.dispatch.descendants import kill_descendants

    kill_descendants()
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # the live tree hides the cursor
    leave(code)
