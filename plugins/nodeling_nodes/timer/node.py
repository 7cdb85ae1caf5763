"""Wait until a moment, fixed at the start, so that a run which resumes waits for the rest only."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from nodeling import Context, Flow, FlowNode, NodeError

LONGEST_SLEEP = 60.0  # a clock that is set forward is noticed within this
LONGEST_WAIT = 10 * 366 * 86_400.0


class Timer(FlowNode):
    """Gives when it was due, when it ended, and how long it waited. Holds no permit meanwhile."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Fix the moment, then sleep until it has come."""
        began = flow.now()
        due = _due(inputs, began)
        if due - began > LONGEST_WAIT:
            raise NodeError(f"{moment(due)} is more than ten years away", code=4001, retryable=False)
        ctx.log(f"waiting until {moment(due)}")
        while (
            left := due - time.time()
        ) > 0:  # the real clock: `flow.now` gives a resumed run its old moments
            await asyncio.sleep(min(left, LONGEST_SLEEP))
        ended = time.time()
        return {"due": moment(due), "ended": moment(ended), "waited_ms": round((ended - began) * 1_000, 3)}


def _due(inputs: dict[str, Any], now: float) -> float:
    if "until" in inputs:
        return seconds(inputs["until"], "until")
    since = seconds(inputs["since"], "since") if "since" in inputs else now
    return since + float(inputs["for"]) / 1_000


def seconds(text: str, what: str) -> float:
    """A moment as seconds since the epoch."""
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise NodeError(
            f"`{what}` is no moment: {text!r:.60}",
            code=4001,
            retryable=False,
            hint="as in 2031-05-01T06:00:00Z",
        ) from error


def moment(at: float) -> str:
    """Seconds since the epoch as text."""
    try:
        text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{at:.0f} s after 1970"
    return text.replace("+00:00", "Z")
