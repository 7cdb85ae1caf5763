"""Which writes a step sees, and what happens when two of them meet.

Writes are kept by writer and key. Of the writers that may be seen, one whose write is overridden by a
descendant's is dropped; what is left over is one value, several equal ones, or a conflict.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from reference.model import Json, Merge
from reference.state import StepState, Writes


class _Tombstone:
    def __repr__(self) -> str:
        return "TOMBSTONE"


TOMBSTONE: Final = _Tombstone()


@dataclass(slots=True)
class Meeting:
    """The outcome of a join of writes."""

    values: Writes = field(default_factory=dict)
    resolved: Writes = field(default_factory=dict)
    conflict: tuple[str, tuple[str, ...]] | None = None
    borrowed: bool = False
    """Whether a merge made by a step that did not succeed was used."""


def equal(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON; a deletion equals only a deletion."""
    if left is TOMBSTONE or right is TOMBSTONE:
        return left is right
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def meet(steps: Iterable[StepState], mode: Merge | None, failed_too: Collection[StepState] = ()) -> Meeting:
    """Bring together what these steps wrote, in declaration order.

    Args:
        steps: The writers that may be seen; those not terminal are passed over.
        mode: What to do with unequal values of unrelated writers; None makes them a conflict.
        failed_too: Failed steps whose last attempt's writes are seen here.
    """
    meeting = Meeting()
    by_key: dict[str, list[tuple[StepState, Json]]] = {}
    for step in sorted((step for step in steps if step.is_terminal), key=lambda step: step.order):
        for key, value in _writes(step, failed_too).items():
            by_key.setdefault(key, []).append((step, value))
    for key, writes in sorted(by_key.items()):
        last_words = [
            (writer, value)
            for writer, value in writes
            if not any(writer in other.ancestors for other, _ in writes)
        ]
        meeting.borrowed |= any(
            key in writer.resolved and writer.status != "succeeded" for writer, _ in last_words
        )
        values = [value for _, value in last_words]
        if all(equal(values[0], value) for value in values):
            meeting.values[key] = values[0]
        elif mode is None:
            meeting.conflict = meeting.conflict or (key, tuple(writer.path for writer, _ in last_words))
        else:
            meeting.values[key] = meeting.resolved[key] = fold(values, mode)
    return meeting


def _writes(step: StepState, failed_too: Collection[StepState]) -> Writes:
    own: Writes = {}
    if step.status == "succeeded":
        own = step.delta
    elif step.status == "failed" and step in failed_too:
        own = step.failed_delta
    return {**step.resolved, **own}


def fold(values: list[Json], mode: Merge) -> Json:
    """Merge unequal values, given in declaration order."""
    result = values[0]
    for value in values[1:]:
        result = value if mode == "last" else deep(result, value)
    return result


def deep(older: Json, newer: Json) -> Json:
    """Objects key by key, arrays one after the other without duplicates, anything else the newer."""
    if isinstance(older, dict) and isinstance(newer, dict):
        merged = dict(older)
        for key, value in newer.items():
            merged[key] = deep(older[key], value) if key in older else value
        return merged
    if isinstance(older, list) and isinstance(newer, list):
        joined: list[Json] = []
        for item in [*older, *newer]:
            if not any(equal(item, kept) for kept in joined):
                joined.append(item)
        return joined
    return newer


def overlay(base: Writes, writes: Writes) -> Writes:
    """The context after these writes; a deleted key is gone."""
    together = {**base, **writes}
    return {key: value for key, value in together.items() if value is not TOMBSTONE}


def script_writes(assigned: dict[str, Json], deleted: Iterable[str]) -> Writes:
    """The delta of one scripted attempt."""
    return {**assigned, **dict.fromkeys(deleted, TOMBSTONE)}
