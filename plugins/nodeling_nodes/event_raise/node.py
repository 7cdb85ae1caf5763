"""Raise an event."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from nodeling import Context
from nodeling_nodes import _events


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Write it where those who wait look for it."""
    name, scope = inputs["event"], inputs.get("scope", "run")
    place = _events.place_of(name, scope, ctx.run_id, inputs.get("folder", _events.FOLDER))
    now = time.time()
    _events.write(place, name, inputs.get("data"), now)
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    return {"event": name, "scope": scope, "raised": moment.replace("+00:00", "Z")}
