"""What is known about one step of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nodeling_runtime.dispatch.base import CallError, Outcome
from nodeling_runtime.values import Value

RAN = ("succeeded", "failed", "cancelled")


@dataclass(slots=True)
class StepRecord:
    """One step's story, filled in as it goes."""

    path: str
    name: str
    node: str
    container: bool = False
    status: str = field(default="pending", init=False)
    reason: str | None = field(default=None, init=False)
    attempts: int = field(default=0, init=False)
    ready_at: float | None = field(default=None, init=False)
    started_at: float | None = field(default=None, init=False)
    ended_at: float | None = field(default=None, init=False)
    output: Value | None = field(default=None, init=False)
    error: CallError | None = field(default=None, init=False)
    handled: bool = field(default=False, init=False)
    worker: str | None = field(default=None, init=False)
    cpu_ms: float | None = field(default=None, init=False)
    peak_rss_mb: float | None = field(default=None, init=False)
    metrics: dict[str, float] | None = field(default=None, init=False)
    waited_for: tuple[str, ...] = field(default=(), init=False)

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
