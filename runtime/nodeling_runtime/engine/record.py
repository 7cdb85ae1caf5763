"""What is known about one step of one run."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.values import Value

RAN = ("succeeded", "failed", "cancelled")


@dataclass(slots=True)
class StepRecord:
    """One step's story, filled in as it goes."""

    path: str
    name: str
    node: str
    status: str = "pending"
    reason: str | None = None
    attempts: int = 0
    ready_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    output: Value | None = None
    error: CallError | None = None
    handled: bool = False
    worker: str | None = None
    cpu_ms: float | None = None
    peak_rss_mb: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    waited_for: tuple[str, ...] = ()
    container: bool = False

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
            self.metrics.update(outcome.metrics)

    def error_json(self) -> dict[str, Any] | None:
        """The error as results carry it."""
        return None if self.error is None else self.error.to_json()

    def to_json(self) -> dict[str, Any]:
        """The record as `--json` prints it."""
        metrics: dict[str, Any] = {"cpu_ms": self.cpu_ms, "peak_rss_mb": self.peak_rss_mb, **self.metrics}
        return {
            "status": self.status,
            "reason": self.reason,
            "attempts": self.attempts,
            "duration_ms": round(self.duration_ms, 3),
            "metrics": metrics,
            "error": self.error_json(),
        }
