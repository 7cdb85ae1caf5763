"""How things are compared: in turn, in one process tree, by medians and their spread.

What slows one contestant down slows its neighbour in the same round down too, so a ratio within a round
holds on a machine that others use; a time does not.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

# Gives the time of one turn, in the unit that its table says.
Contestant = Callable[[], Awaitable[float]]


def pin() -> None:
    """Keep this process and its children on one core: two make of a pipe what the scheduler likes."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def set_apart() -> None:
    """Run this process and its children before everybody else's, so that a busy machine disturbs them less.

    Raises:
        PermissionError: Only root may.
    """
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


async def in_turn(
    contestants: Mapping[str, Contestant],
    rounds: int,
    budget: float = float("inf"),
    *,
    warm_up: bool = True,
) -> dict[str, list[float]]:
    """The times of some rounds; every second one goes in the opposite order.

    Args:
        contestants: What takes turns, by name.
        rounds: How many rounds at most.
        budget: Seconds after which no further round begins; one is made in any case.
        warm_up: Whether a round goes before that does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    if warm_up:
        for one in contestants.values():
            await one()
    until = time.monotonic() + budget
    for turn in range(rounds):
        if turn and time.monotonic() > until:
            break
        for name in contestants if turn % 2 else reversed(contestants):
            gc.collect()
            times[name].append(await contestants[name]())
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median, and the bounds of the middle half."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return {"median": statistics.median(ordered), "low": ordered[quarter], "high": ordered[-1 - quarter]}


def ratios(upper: Sequence[float], lower: Sequence[float]) -> dict[str, float]:
    """How many times as long one takes as the other, round by round."""
    return spread([a / b for a, b in zip(upper, lower, strict=True)])


def rounded(value: Any) -> Any:
    """Figures with four significant digits: the rest is noise."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
