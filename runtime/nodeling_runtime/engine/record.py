"""What is known about one step of one run."""

from __future__ import annotations

from typing import Any

from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.values import Value

RAN = ("succeeded", "failed", "cancelled")


class StepRecord:
    """One step's story, filled in as it goes."""

    __slots__ = (
        "attempts",
        "container",
        "cpu_ms",
        "ended_at",
        "error",
        "handled",
        "metrics",
        "name",
        "node",
        "output",
        "path",
        "peak_rss_mb",
        "ready_at",
        "reason",
        "started_at",
        "status",
        "waited_for",
        "worker",
    )

    def __init__(self, path: str, name: str, node: str, container: bool = False) -> None:
        self.path = path
        self.name = name
        self.node = node
        self.container = container
        self.status = "pending"
        self.attempts = 0
        self.handled = False
        self.waited_for: tuple[str, ...] = ()
        self.reason: str | None = None
        self.ready_at: float | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.output: Value | None = None
        self.error: CallError | None = None
        self.worker: str | None = None
        self.cpu_ms: float | None = None
        self.peak_rss_mb: float | None = None
        self.metrics: dict[str, float] | None = None

    @property
    def duration_ms(self) -> float:
        """From the start of its first attempt to its end."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.started_at) * 1_000

    def measured(self, outcome: Outcome) -> None:
        """Add what one attempt cost."""
        if outcome.worker is not None:
            self.worker = outcome.worker
        if outcome.cpu_ms is not None:
            self.cpu_ms = outcome.cpu_ms + (self.cpu_ms or 0.0)
        if outcome.peak_rss_mb is not None:
            self.peak_rss_mb = max(outcome.peak_rss_mb, self.peak_rss_mb or 0.0)
        if outcome.metrics:
            self.metrics = {**(self.metrics or {}), **outcome.metrics}

    def error_json(self) -> dict[str, Any] | None:
        """The error as results carry it."""
        return None if self.error is None else self.error.to_json()

    def to_json(self) -> dict[str, Any]:
        """The record as `--json` prints it."""
        measured = {"cpu_ms": self.cpu_ms, "peak_rss_mb": self.peak_rss_mb}
        metrics: dict[str, Any] = {**measured, **(self.metrics or {})}
        return {
            "status": self.status,
            "reason": self.reason,
            "attempts": self.attempts,
            "duration_ms": round(self.duration_ms, 3),
            "metrics": metrics,
            "error": self.error_json(),
        }
