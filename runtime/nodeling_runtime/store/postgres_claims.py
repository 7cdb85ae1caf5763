"""The statement that makes somebody the owner of a run: found, locked and taken in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodeling_runtime.store import rows

_FREE = (
    "((status = 'queued' AND (most IS NULL OR most >"
    " (SELECT count(*) FROM run AS other WHERE other.workflow = run.workflow AND other.status = 'running')))"
    " OR (status = 'running' AND (owner IS NULL OR lease_until <= clock_timestamp())))"
)


def claim_statement(where: str, *, skips: bool) -> str:
    """Claim the oldest run that `where` finds, which others may be claiming at this moment.

    Args:
        where: Which run; SQL of this program's own.
        skips: A run that somebody else has locked is passed over; otherwise it is waited for.
    """
    found = ", ".join(f"found.{name}" for name in rows.RUN)
    locked = "FOR UPDATE SKIP LOCKED" if skips else "FOR UPDATE"
    return (
        f"WITH found AS (SELECT {', '.join(rows.RUN)}, most FROM run WHERE {where}"  # noqa: S608  # names
        f" ORDER BY number LIMIT 1 {locked})"
        " UPDATE run SET owner = %(owner)s, epoch = run.epoch + 1,"
        " lease_until = clock_timestamp() + make_interval(secs => %(lease)s)"
        f" FROM found WHERE run.id = found.id RETURNING {found}, found.most"
    )


def free(workflows: Sequence[str], crowded: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Which runs wait for an owner, of these workflows or of all, and of none that is crowded."""
    where, values = _FREE, {"workflows": list(workflows), "crowded": list(crowded)}
    if workflows:
        where += " AND workflow = ANY(%(workflows)s)"
    if crowded:
        where += " AND NOT (status = 'queued' AND workflow = ANY(%(crowded)s))"
    return where, values
