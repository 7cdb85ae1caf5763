"""The functions that converted documents call: total but for what an expression cannot do.

All are pure but one: `powercenter_now` asks the clock. What a link or an `if` makes of it is written down
when it is decided, so a resume decides nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nodeling.errors import NodelingError

_STATES = {"succeeded": "SUCCEEDED", "failed": "FAILED", "running": "STARTED"}
_CANCELLED = {"stopped": "STOPPED", "stopped_by": "STOPPED"}


def value(text: str, variables: dict[str, Any]) -> Any:
    """The value of an expression of the transformation language."""
    from nodeling_bridges.powercenter.language.evaluate import evaluate, from_mapping

    return _told(evaluate, text, from_mapping(variables))


def holds(text: str, variables: dict[str, Any]) -> bool:
    """Whether a condition of the transformation language holds; NULL does not."""
    from nodeling_bridges.powercenter.language import evaluate as language

    return bool(_told(language.holds, text, language.from_mapping(variables)))


def _told(function: Callable[..., Any], text: str, lookup: Any) -> Any:
    try:
        return function(text, lookup)
    except ValueError as error:
        raise NodelingError(f"{text!r} has no value: {error}", code="powercenter.evaluation") from error


def status(state: str, reason: str | None) -> str:
    """A step's state as a task's status."""
    if state == "skipped":
        return "DISABLED" if reason == "inactive" else "NOTSTARTED"
    if state == "cancelled":
        return _CANCELLED.get(reason or "", "ABORTED")
    return _STATES.get(state, "NOTSTARTED")


def first_run(states: list[str]) -> str | None:
    """The first state of a task that ran."""
    return next((state for state in states if state not in ("NOTSTARTED", "DISABLED")), None)


def count(output: Any, metrics: dict[str, Any], name: str) -> Any:
    """A session's count: what its node measured, or gave back, under that name."""
    for known in (metrics, output):
        if isinstance(known, dict):
            for key, found in known.items():
                if key.replace("_", "").lower() == name.lower():
                    return found
    return 0 if name.endswith(("Rows", "Errors", "Code")) else None


def now(started: str) -> str:
    """The present, as the language writes moments: in UTC, as the start of the workflow is."""
    from nodeling_bridges.powercenter.language import dates

    return dates.iso(datetime.now(UTC).replace(tzinfo=None))


def moment(text: str | None) -> str | None:
    """A moment of a step as the language writes it."""
    return None if text is None else text.removesuffix("Z")


def required(value: Any, wanted: str) -> Any:
    """A setting that has to be there."""
    if value is None:
        raise NodelingError(wanted, code="powercenter.setting")
    return value


TABLE: tuple[tuple[str, Callable[..., Any], int, str], ...] = (
    ("powercenter", value, 2, "The value of an expression of PowerCenter's language."),
    ("powercenter_holds", holds, 2, "Whether a condition of PowerCenter's language holds."),
    ("powercenter_status", status, 2, "A step's state and reason as a task's status in PowerCenter."),
    ("powercenter_first_run", first_run, 1, "The first status of a task that ran."),
    ("powercenter_now", now, 1, "The present (SYSDATE); asked with the start of the workflow."),
    ("powercenter_moment", moment, 1, "When a step began or ended, as PowerCenter's language writes it."),
    ("powercenter_required", required, 2, "A value that must not be null; what to do is said when it is."),
    ("powercenter_count", count, 3, "A count of a session, from what its node measured or gave back."),
)
