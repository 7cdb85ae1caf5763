"""Events by name, kept as files, so that they outlive a process and reach a run that is resumed.

Invariant: an event is there whole or not at all, and raising it again replaces it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nodeling import NodeError
from nodeling_nodes import _files

FOLDER = ".nodeling/events"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_EVENT_BYTES = 1024 * 1024


def place_of(name: str, scope: str, run_id: str, folder: str = FOLDER) -> Path:
    """The file of an event: of one run, or of the whole project."""
    for word in (name, run_id):
        if not NAME.fullmatch(word):
            raise NodeError(
                f"{word!r:.120} is no name of an event",
                code=4001,
                retryable=False,
                hint="letters, digits, dots, hyphens and underscores, 100 at most",
            )
    return Path(folder) / (f"run-{run_id}" if scope == "run" else "project") / f"{name}.json"


def raised(place: Path) -> dict[str, Any] | None:
    """What was raised; None when nothing was."""
    try:
        with _files.opened(str(place), MAX_EVENT_BYTES) as file:
            found = json.loads(file.read())
    except NodeError as error:
        if error.code == 4004:
            return None
        raise
    except ValueError as error:
        raise NodeError(f"{place} is no event: {error}", code=4001, retryable=False) from error
    if not isinstance(found, dict) or not isinstance(found.get("at"), (int, float)):
        raise NodeError(f"{place} is no event", code=4001, retryable=False)
    return found


def write(place: Path, name: str, data: Any, at: float) -> None:
    """Raise an event."""
    body = json.dumps({"event": name, "at": at, "data": data}, ensure_ascii=False).encode()
    if len(body) > MAX_EVENT_BYTES:
        raise NodeError(
            f"the event's data are larger than {MAX_EVENT_BYTES} bytes", code=4005, retryable=False
        )
    with _files.replacing(str(place)) as file:
        file.write(body)
