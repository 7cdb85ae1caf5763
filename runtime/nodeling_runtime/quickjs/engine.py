"""Runs JavaScript expressions in warm workers, from code that waits for their values.

An expression is evaluated where its value is needed, without awaiting, so the call runs on a loop of its
own in a thread of its own. Invariant: an evaluation ends within `KILL_SECONDS` of the moment a worker
took it, and what was killed for that is gone.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import functools
import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.function_table import ExpressionFunction
from nodeling_runtime.expressions.words import SCRIPT

if TYPE_CHECKING:
    from nodeling_runtime.dispatch.base import CallError, NodeCall, Outcome
    from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher

EXTRA = "nodeling[js]"
KILL_SECONDS = 3.0  # QuickJS stops most scripts after one; what it cannot stop is killed
START_SECONDS = 60.0  # for a worker to start on a machine that is busy
HERE = Path(__file__).parent


def javascript_function() -> ExpressionFunction | None:
    """The entry of the function table that runs scripts; None without the extra."""
    if importlib.util.find_spec("quickjs") is None:
        return None
    return ExpressionFunction(SCRIPT, _evaluate, 2, 2, "Runs JavaScript.", owner=EXTRA)


def _evaluate(script: str, scope: list[Any] | None) -> Any:
    """The value of a script; without a scope it is only read, and has to be JavaScript."""
    outcome = _engine().run(script, scope)
    if outcome.error is not None:
        raise ExpressionError(f"the JavaScript fails: {_said(outcome.error)}", code="expr.function")
    return None if outcome.output is None else outcome.output.fresh()


def _said(error: CallError) -> str:
    if error.code == 9005:
        return f"it was killed after {KILL_SECONDS:g} s"
    return error.message


@functools.cache
def _engine() -> _Engine:
    return _Engine()


class _Engine:
    """A loop in a thread, and the dispatcher that lives on it."""

    def __init__(self) -> None:
        from nodeling_runtime.registry import read_node

        self._spec = read_node(HERE, "nodeling")
        self._loop = asyncio.new_event_loop()
        self._dispatcher: WorkerDispatcher | None = None
        work = self._loop.run_forever
        self._thread = threading.Thread(target=work, name="nodeling-javascript", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def run(self, script: str, scope: list[Any] | None) -> Outcome:
        """One evaluation; this thread waits for it."""
        found = asyncio.run_coroutine_threadsafe(self._run(script, scope), self._loop)
        try:
            return found.result(START_SECONDS + KILL_SECONDS)
        except concurrent.futures.TimeoutError:
            found.cancel()
            raise ExpressionError("no worker for JavaScript starts", code="expr.function") from None

    async def _run(self, script: str, scope: list[Any] | None) -> Outcome:
        from nodeling_runtime.dispatch.base import Outcome
        from nodeling_runtime.dispatch.exec_result import error_of
        from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher

        if self._dispatcher is None:
            self._dispatcher = WorkerDispatcher()
        task: asyncio.Task[Outcome]

        def bound() -> None:
            self._loop.call_later(KILL_SECONDS, task.cancel)

        task = self._loop.create_task(self._dispatcher.call(self._call(script, scope, bound)))
        try:
            return await task
        except asyncio.CancelledError:
            return Outcome(error=error_of(9005, "killed"))

    def _call(self, script: str, scope: list[Any] | None, handed_over: Any) -> NodeCall:
        import tempfile

        from nodeling_runtime.dispatch.base import NodeCall
        from nodeling_runtime.values import Value

        return NodeCall(
            spec=self._spec,
            inputs=Value.of({"script": script, "scope": scope}),
            config={},
            secrets={},
            source=_Nothing(),
            emit=lambda kind, body: None,
            run_id="",
            step="",
            attempt=1,
            idempotency_key=lambda: "",
            deadline=None,
            work_root=tempfile.gettempdir,
            handed_over=handed_over,
        )

    def close(self) -> None:
        """End the workers and the thread; the next evaluation starts afresh."""
        atexit.unregister(self.close)
        _engine.cache_clear()
        if self._dispatcher is not None:
            asyncio.run_coroutine_threadsafe(self._dispatcher.close(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()


class _Nothing:
    """A context of which nothing is read."""

    def read(self, key: str) -> bytes | None:
        """Nothing."""
        return None

    def keys(self) -> list[str]:
        """Nothing."""
        return []

    def who(self, key: str) -> str | None:
        """Nobody."""
        return None

    def part(self, name: str) -> bytes | None:
        """Nothing."""
        return None

    def reserved(self, key: str) -> bool:
        """Nothing is."""
        return False
