"""Retry policies, as tasks say them and as native steps keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Backoff = Literal["fixed", "linear", "exponential"]
BACKOFFS = ("fixed", "linear", "exponential")
CONDITIONS = ("never", "transient", "all")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task is tried, and how long is waited in between."""

    attempts: int = 3
    backoff: Backoff = "exponential"
    delay_ms: float = 1_000
    max_delay_ms: float = 60_000
    condition: str = "all"
    jitter: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ValueError(f"retry_attempts is a whole number from 1 up, not {self.attempts!r}")
        for name, value, words in (
            ("retry_backoff", self.backoff, BACKOFFS),
            ("retry_condition", self.condition, CONDITIONS),
        ):
            if value not in words:
                raise ValueError(f"{name} is {', '.join(words)}, not {value!r}")
        for name, number in (("retry_delay_ms", self.delay_ms), ("retry_max_delay_ms", self.max_delay_ms)):
            if isinstance(number, bool) or not isinstance(number, (int, float)) or number < 0:
                raise ValueError(f"{name} is a number of milliseconds, not {number!r}")

    def native(self) -> dict[str, Any] | None:
        """The `retry` of a step; None for one that is tried once."""
        if self.attempts == 1 or self.condition == "never":
            return None
        found: dict[str, Any] = {
            "attempts": self.attempts,
            "delay": max(self.delay_ms, 0.001),
            "max_delay": max(self.max_delay_ms, 0.001),
            "backoff": self.backoff,
            "jitter": "full" if self.jitter else "none",
        }
        if self.condition == "transient":
            found["on"] = ["transient"]
        return found
