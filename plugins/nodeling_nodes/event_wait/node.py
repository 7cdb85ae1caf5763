"""Wait for an event or a file, by looking now and then."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nodeling import Context, Flow, FlowNode, NodeError
from nodeling_nodes import _events, _files

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
CLOCKS_DIFFER = 0.01  # seconds by which a file's time may lie before the moment it was written


Look = Callable[[], "dict[str, Any] | None"]


class EventWait(FlowNode):
    """Gives what came, and how long it took. Holds no permit meanwhile."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> dict[str, Any]:
        """Look until it is there, or the time is over."""
        began = flow.now()
        since = 0.0 if inputs.get("past", True) else began
        look = self._event(ctx, inputs, since) if "event" in inputs else self._file(inputs, since)
        within = inputs.get("within")
        longest = max(FIRST_PAUSE, (inputs.get("every") or LONGEST_PAUSE * 1_000) / 1_000)
        pause = FIRST_PAUSE
        while (found := look()) is None:
            left = None if within is None else began + within / 1_000 - time.time()
            if left is not None and left <= 0:
                what = inputs.get("event") or inputs.get("file")
                raise NodeError(f"{what} did not come within {within:.0f} ms", retryable=True)
            await asyncio.sleep(pause if left is None else min(pause, left))
            pause = min(longest, pause * 1.5)
        return {**found, "waited_ms": round(max(0.0, time.time() - began) * 1_000, 3)}

    def _event(self, ctx: Context, inputs: dict[str, Any], since: float) -> Look:
        folder = inputs.get("folder", _events.FOLDER)
        place = _events.place_of(inputs["event"], inputs.get("scope", "run"), ctx.run_id, folder)

        def look() -> dict[str, Any] | None:
            found = _events.raised(place)
            if found is None or found["at"] < since:
                return None
            return {"event": inputs["event"], "data": found.get("data"), "raised": _moment(found["at"])}

        return look

    def _file(self, inputs: dict[str, Any], since: float) -> Look:
        path, settle = inputs["file"], (inputs.get("settle") or 0.0) / 1_000

        def look() -> dict[str, Any] | None:
            try:
                status = os.stat(path)
                if status.st_mtime < since - CLOCKS_DIFFER or (
                    settle and time.time() - status.st_mtime < settle
                ):
                    return None
                if inputs.get("delete_file"):
                    os.unlink(path)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _files.trouble(error, path, "waited for") from error
            return {"file": path, "size": status.st_size, "modified": _moment(status.st_mtime)}

        return look


def _moment(at: float) -> str:
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
