"""The worker for plain functions with `--concurrency` above one: a thread for each call under way.

The main thread only reads and dispatches, so a busy call delays neither a cancel nor a ping.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from nodeling.protocol_node import Cancel, Invoke, Shutdown
from nodeling.worker_channel import EXIT_GRACE_SECONDS

if TYPE_CHECKING:
    from nodeling.worker import Worker
    from nodeling.worker_call import Call

__all__ = ["serve_threads"]

POLL_SECONDS = 0.01  # how often the end of the last call is looked for while leaving


class _Crew:
    """As many daemon threads as calls are under way, at most `limit`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._jobs: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._threads = 0
        self._idle = threading.Semaphore(0)

    def submit(self, call: Call) -> None:
        self._jobs.put(call)
        if not self._idle.acquire(blocking=False) and self._threads < self._worker.concurrency:
            self._threads += 1
            threading.Thread(target=self._work, name=f"nodeling-call-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._worker.run(self._jobs.get())
            self._idle.release()


def serve_threads(worker: Worker) -> int:
    """Read and dispatch until the host is gone or says that it is enough."""
    crew = _Crew(worker)
    while True:
        events = worker.read()
        if events is None:
            worker.hung_up()
            _settle(worker, EXIT_GRACE_SECONDS)
            return 0
        for event in events:
            if isinstance(event, Invoke):
                crew.submit(worker.open(event))
            elif isinstance(event, Cancel):
                call = worker.calls.get(event.id)
                if call is not None:
                    call.cancel()
            elif isinstance(event, Shutdown):
                threading.Thread(target=_drain, args=(worker, event), daemon=True).start()


def _drain(worker: Worker, event: Shutdown) -> None:
    """Answer when the last call has ended; the host then closes the channel, or the process leaves."""
    import os

    _settle(worker, None)
    worker.shut_down(event.id)
    worker.flush()
    os._exit(0)  # the main thread stands in a read that nothing but the host can end


def _settle(worker: Worker, seconds: float | None) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while worker.calls and (end is None or time.monotonic() < end):
        time.sleep(POLL_SECONDS)
