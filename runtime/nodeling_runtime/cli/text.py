"""How a run's parts are worded, the same in the live tree, in the lines and in the summary."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from nodeling_runtime.workflow.duration import spoken

MARKS = {
    "succeeded": "✓",
    "failed": "✗",
    "skipped": "○",
    "cancelled": "⊘",
    "running": "▸",
    "ready": "·",
    "pending": "·",
}
PLAIN_MARKS = {"succeeded": "ok", "failed": "FAIL", "skipped": "skip", "cancelled": "cut"}
COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "skipped": "bright_black",
    "cancelled": "yellow",
    "running": "cyan",
}
LONGEST = 300


def fancy() -> bool:
    """Whether stderr can show marks and lines outside ASCII."""
    try:
        "✓├─".encode(getattr(sys.stderr, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def mark(status: str, beyond_ascii: bool | None = None) -> str:
    """The sign of a status."""
    if fancy() if beyond_ascii is None else beyond_ascii:
        return MARKS.get(status, "·")
    return PLAIN_MARKS.get(status, "...")


def one_line(text: str, room: int = LONGEST) -> str:
    """A text on one line, cut when it is too long, without what would move a cursor."""
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= room else line[: room - 1] + "…"


def error_line(error: Mapping[str, Any]) -> str:
    """`[9005] timed out after 100 ms`."""
    return f"[{error.get('code')}] {one_line(error.get('message', ''))}"


def hint_of(error: Mapping[str, Any]) -> str | None:
    """What to try, when the error says so."""
    details = error.get("details") or {}
    hint = error.get("hint") or (details.get("hint") if isinstance(details, Mapping) else None)
    return one_line(hint) if isinstance(hint, str) else None


def how_to_go_on(run_id: str, error: Mapping[str, Any] | None) -> str:
    """What to do about a suspended run: one that waits because of a failure, or of something else."""
    if error is None:
        return (
            f"suspended: `nodectl runs events {run_id}` says why; `nodectl runs resolve` decides on a step"
            " in doubt, and `nodectl runs resume` goes on"
        )
    return (
        f"suspended: see to the cause, then `nodectl runs resume {run_id}` does again what failed"
        f" and goes on; `nodectl runs cancel {run_id}` ends it"
    )


def progress_line(event: Mapping[str, Any]) -> str:
    """`3/10 reading`."""
    done, total, message = event.get("progress"), event.get("total"), event.get("message")
    figures = f"{_figure(done)}/{_figure(total)}" if total is not None else _figure(done)
    return f"{figures} {one_line(message)}" if message else figures


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def info_line(info: Mapping[str, Any]) -> str:
    """A container's `execution_info` in one line."""
    counts = [
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("skipped", "skipped"),
    ]
    said = [f"{info[key]} {word}" for key, word in counts if info.get(key)]
    if info.get("timed_out"):
        said.append(f"{info['timed_out']} timed out")
    total = info.get("total", 0)
    parts = [f"{total} {'child' if total == 1 else 'children'}: {', '.join(said) or 'none ran'}"]
    parts.append(f"at most {info.get('concurrent_peak', 0)} at once")
    parts.append(f"{spoken(info.get('work_ms') or 0)} of work in {spoken(info.get('duration_ms') or 0)}")
    if info.get("leaked"):
        parts.append(f"{info['leaked']} given up")
    return "; ".join(parts)


def execution_info_of(output: Any, error: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a container's engine counted, from its output or from its error."""
    for place in (output, (error or {}).get("details")):
        if isinstance(place, Mapping):
            info = place.get("execution_info")
            if isinstance(info, Mapping) and "children" in info:
                return info
    return None


def abandoned_line(run_ids: Sequence[str]) -> str:
    """That nobody runs these runs, and how to go on with them."""
    if len(run_ids) == 1:
        return f"the process of run {run_ids[0]} is gone; go on with it: nodectl runs resume {run_ids[0]}"
    return (
        f"the processes of {len(run_ids)} running runs are gone; go on with them: nodectl runs resume --all"
    )
