"""Circuit breakers: a node of a workflow that failed so often in a row is left alone for a while.

The engine's `circuit` belongs to a node of ours, and every service is asked by one and the same of them: one
that is broken would cut off the others. These belong to the workflow's own nodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nodeling.errors import ConfigError
from nodeling_bridges.kailash.draft import suggestion

__all__ = ["CircuitBreaker", "CircuitBreakerConfig"]


@dataclass(frozen=True, slots=True)
class CircuitBreakerConfig:
    """When a circuit opens, and when it is tried again.

    Attributes:
        failure_threshold: So many failures in a row open it.
        recovery_timeout: Seconds that it stays open; then one call is let through, whose end decides.
    """

    failure_threshold: int = 5
    recovery_timeout: float = 60.0

    def __post_init__(self) -> None:
        if self.failure_threshold < 1 or self.recovery_timeout < 0:
            message = "a circuit opens after 1 failure or more, for 0 seconds or longer"
            raise ConfigError(message, code="kailash.option")

    @classmethod
    def of(cls, said: CircuitBreakerConfig | Mapping[str, Any]) -> CircuitBreakerConfig:
        """The configuration that a dictionary holds."""
        if isinstance(said, CircuitBreakerConfig):
            return said
        known = ("failure_threshold", "recovery_timeout")
        given = dict(said)
        for key in given:
            if key not in known:
                message = f"a circuit breaker has no {key!r}"
                raise ConfigError(message, code="kailash.option", hint=suggestion(key, known))
        return cls(**given)


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened: float | None = None
    is_tried: bool = False


class CircuitBreaker:
    """The circuits of one runtime, one for each node of each workflow. Safe to use from several threads."""

    def __init__(self, config: CircuitBreakerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def state(self, workflow: str, node: str) -> str:
        """`closed`, `open` or `half_open`."""
        with self._lock:
            circuit = self._circuits.get((workflow, node))
            if circuit is None or circuit.opened is None:
                return "closed"
            return "open" if self._left(circuit) > 0 or circuit.is_tried else "half_open"

    def admit(self, workflow: str, node: str) -> Mapping[str, Any] | None:
        """None when the node may be called; else why not. In a half-open circuit one call is admitted."""
        with self._lock:
            circuit = self._circuits.get((workflow, node))
            if circuit is None or circuit.opened is None:
                return None
            left = self._left(circuit)
            if left <= 0 and not circuit.is_tried:
                circuit.is_tried = True
                return None
            return {"node": node, "failures": circuit.failures, "wait_ms": round(max(0.0, left) * 1_000, 3)}

    def record(self, workflow: str, node: str, status: str) -> None:
        """Hear how a call ended; one that never came to anything leaves the circuit as it was."""
        with self._lock:
            circuit = self._circuits.setdefault((workflow, node), _Circuit())
            if status == "succeeded":
                self._circuits[workflow, node] = _Circuit()
                return
            circuit.is_tried = False
            if status == "failed":
                circuit.failures += 1
                if circuit.failures >= self.config.failure_threshold:
                    circuit.opened = self._clock()

    def _left(self, circuit: _Circuit) -> float:
        opened = circuit.opened if circuit.opened is not None else self._clock()
        return opened + self.config.recovery_timeout - self._clock()
