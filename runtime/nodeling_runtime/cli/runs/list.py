"""`nodectl runs list`: runs, newest first."""

from __future__ import annotations

import datetime
import time
from typing import Any

import click

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.inputs import ParamType
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.runs.where import json_option, open_existing, store_option
from nodeling_runtime.cli.text import abandoned_line
from nodeling_runtime.store.model import CLOSED, OPEN, RunFilter, RunRow
from nodeling_runtime.workflow.duration import spoken


class Moment(ParamType):
    """A moment: a length of time before now (`2h`), or a date (`2026-11-25`, `2026-11-25T16:00`)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds since the epoch."""
        from nodeling_runtime.workflow.duration import DurationError, milliseconds

        if isinstance(value, float):
            return value
        try:
            return time.time() - milliseconds(str(value), unit_required=True) / 1_000
        except DurationError:
            text = str(value)
        try:
            return datetime.datetime.fromisoformat(text).timestamp()
        except ValueError:
            self.fail(f"{value!r} is no moment; write 2h, 30m, or a date such as 2026-11-25", param, ctx)


@click.command("list")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most so many.")
@click.option("--status", "statuses", multiple=True, type=click.Choice([*OPEN, *CLOSED]), help="Only these.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--tag", "tags", metavar="WORD", multiple=True, help="Only runs of workflows with this tag.")
@click.option("--since", metavar="TIME", type=Moment(), help="Begun then or later: 2h ago is 2h; or a date.")
@click.option("--until", metavar="TIME", type=Moment(), help="Begun before that.")
@store_option
@json_option
def command(
    limit: int | None,
    statuses: tuple[Any, ...],
    workflow: str | None,
    tags: tuple[str, ...],
    since: float | None,
    until: float | None,
    store: str | None,
    as_json: bool,
) -> None:
    """List the runs that are kept, newest first."""
    opened = open_existing(store)
    rows: list[RunRow] = []
    gone: set[str] = set()
    if opened is not None:
        try:
            most = None if tags else limit
            rows = opened.runs(RunFilter(most, statuses, workflow, since, until))
            rows = [row for row in rows if set(tags) <= set(_tags(row))][:limit]
            gone = opened.abandoned() & {row.run_id for row in rows}
        finally:
            opened.close()
    if as_json:
        print_json([{**_json(row), "abandoned": row.run_id in gone} for row in rows])
        return
    table = [("RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK"), *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)]
        click.echo("  ".join(cells).rstrip())
    if gone:
        talk(f"nodectl: {abandoned_line(sorted(gone))}")


def _tags(row: RunRow) -> list[str]:
    said = row.labels.get("tags") or []
    return [str(tag) for tag in said] if isinstance(said, list) else [str(said)]


def _json(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "workflow": row.workflow,
        "status": row.status,
        "started": row.started if row.started is not None else row.created,
        "ended": row.ended,
        "key": row.key,
        "tags": _tags(row),
        "recoveries": row.recoveries,
        "error": row.error,
    }


def _line(row: RunRow) -> tuple[str, str, str, str, str]:
    began = row.started if row.started is not None else row.created
    when = datetime.datetime.fromtimestamp(began).strftime("%Y-%m-%d %H:%M:%S")
    took = spoken(((row.ended or time.time()) - began) * 1_000) if row.started is not None else ""
    return row.run_id, visible(row.workflow), row.status, when, took
