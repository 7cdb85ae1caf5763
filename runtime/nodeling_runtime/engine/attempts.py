"""Whether and when a failed attempt is repeated. Pure: the caller supplies the chance."""

from __future__ import annotations

from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.workflow.model import Retry

NEVER = frozenset({4001, 4002, 4003, 4004, 4005, 4006, 4010, 4100, -32700, -32800})
UNLESS_TOLD = frozenset({9004, 9006, 9009})  # not repeated unless the error itself says that it may be
TRANSIENT = frozenset({5000, 5001, 5002, 5004, 5005})
CRASHES = frozenset({9001, 9002, 9003, 9008, 9010})
KILLED_DEADLINE = 9005


def may_retry(error: CallError, retry: Retry, effects: str) -> bool:
    """Whether this error is one the policy repeats, budget aside."""
    if error.retryable is False or (effects == "unsafe" and error.started):
        return False
    if isinstance(error.code, str):
        return False
    if error.code in NEVER or -32699 <= error.code <= -32600:
        return False
    if error.code in UNLESS_TOLD and error.retryable is not True:
        return False
    if retry.unless and (error.code in retry.unless or error.type in retry.unless):
        return False
    return retry.on is None or any(_matches(error, error.code, wanted) for wanted in retry.on)


def _matches(error: CallError, code: int, wanted: int | str) -> bool:
    if wanted == "timeout":
        return code == KILLED_DEADLINE
    if wanted == "crash":
        return code in CRASHES
    if wanted == "transient":
        return code in TRANSIENT or error.retryable is True
    return code == wanted


def delay_ms(retry: Retry, attempt: int, chance: float, asked_ms: float | None = None) -> float:
    """How long to wait after a failed attempt: grown as the policy says, spread by chance, within its cap.

    Args:
        retry: The policy.
        attempt: Which attempt has failed, from 1.
        chance: A number in [0, 1] that spreads the waits.
        asked_ms: What the node asked for (`retry_after_ms`); waited at least.
    """
    grown = {
        "exponential": retry.factor ** min(attempt - 1, 64),
        "linear": float(attempt),
        "fixed": 1.0,
    }[retry.backoff]
    full = min(retry.max_delay_ms, retry.delay_ms * grown)
    return max(full * chance if retry.jitter else full, asked_ms or 0.0)


def next_delay_ms(error: CallError, retry: Retry, effects: str, attempt: int, chance: float) -> float | None:
    """How long until the next attempt, or None when there is none."""
    if attempt >= retry.attempts or not may_retry(error, retry, effects):
        return None
    return delay_ms(retry, attempt, chance, error.retry_after_ms)
