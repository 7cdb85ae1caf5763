"""The one seam between the engine and whatever runs a node.

Every kind of node answers the same `NodeCall` with the same `Outcome`. A dispatcher ends each
call exactly once, releases what the call held, and never raises for what the node did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Protocol

from nodeling._dataclass import dataclass
from nodeling.context import ContextSource
from nodeling_runtime.blob_values import RunBlobs
from nodeling_runtime.values import Value

NOTHING_WRITTEN: Mapping[str, bytes | None] = MappingProxyType({})
NOTHING_MEASURED: Mapping[str, float] = MappingProxyType({})
CANCEL_GRACE_SECONDS = 1.0  # what an in-process node gets between being asked to end and being given up


def idempotency_key(run_id: str, path: str, generation: int = 0) -> str:
    """One key for all attempts of one step of one run, and another for every restart of it."""
    return hashlib.sha256(f"{run_id}\0{path}\0{generation}".encode()).hexdigest()


@dataclass(slots=True)
class NodeCall:
    """One attempt at one node."""

    spec: Any  # NodeSpec; typed loosely because the registry stands above this seam
    inputs: Value
    config: Mapping[str, Any]
    secrets: Mapping[str, str]
    source: ContextSource
    emit: Callable[[str, dict[str, Any]], None]
    run_id: str
    step: str
    attempt: int
    idempotency_key: Callable[[], str]  # most nodes never ask, so it is hashed when one does
    deadline: float | None  # seconds since the epoch
    work_root: Callable[[], str]  # a folder under which private folders may be made
    flow: Any = None  # the Flow handle of a container
    on_chunk: Callable[[Value], Awaitable[None]] | None = None  # given each chunk, and waited for
    blobs: RunBlobs = field(default_factory=RunBlobs)  # the files of the run
    handed_over: Callable[[], None] | None = None  # told when a ready process takes the call: its time begins


@dataclass(slots=True)
class CallError:
    """Why a call has no output."""

    code: int | str
    message: str
    type: str = "NodeError"
    retryable: bool | None = None
    retry_after_ms: float | None = None
    started: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The error as results and events carry it."""
        body: dict[str, Any] = {"code": self.code, "message": self.message, "type": self.type}
        if self.retryable is not None:
            body["retryable"] = self.retryable
        if self.details:
            body["details"] = self.details
        return body


class Outcome:
    """How a call ended: an output or an error, the writes, and what was measured."""

    __slots__ = ("cpu_ms", "delta", "error", "metrics", "output", "peak_rss_mb", "worker")

    def __init__(
        self,
        output: Value | None = None,
        error: CallError | None = None,
        delta: Mapping[str, bytes | None] = NOTHING_WRITTEN,
        worker: str | None = None,
        cpu_ms: float | None = None,
        peak_rss_mb: float | None = None,
        metrics: Mapping[str, float] = NOTHING_MEASURED,
    ) -> None:
        self.output = output
        self.error = error
        self.delta = delta
        self.worker = worker
        self.cpu_ms = cpu_ms
        self.peak_rss_mb = peak_rss_mb
        self.metrics = metrics


class Dispatcher(Protocol):
    """Runs calls of one kind of node.

    `call` is awaited in the task that owns the slot. When that task is cancelled the dispatcher
    ends the node for real (a process group is killed, a thread is abandoned) and lets the
    cancellation through.
    """

    async def call(self, call: NodeCall) -> Outcome:
        """Run one attempt."""

    async def close(self) -> None:
        """Let go of everything that outlives a call."""
