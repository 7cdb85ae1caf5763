"""`nodectl runs list`: runs, newest first."""

from __future__ import annotations

import datetime
import time
from typing import Any

import click

from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import json_option, open_existing, store_option
from nodeling_runtime.store.model import CLOSED, OPEN, RunFilter, RunRow
from nodeling_runtime.workflow.duration import spoken


@click.command("list")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most so many.")
@click.option("--status", "statuses", multiple=True, type=click.Choice([*OPEN, *CLOSED]), help="Only these.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@store_option
@json_option
def command(
    limit: int | None, statuses: tuple[Any, ...], workflow: str | None, store: str | None, as_json: bool
) -> None:
    """List the runs that are kept, newest first."""
    opened = open_existing(store)
    rows: list[RunRow] = []
    if opened is not None:
        try:
            rows = opened.runs(RunFilter(limit=limit, statuses=statuses, workflow=workflow))
        finally:
            opened.close()
    if as_json:
        print_json([_json(row) for row in rows])
        return
    table = [("RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK"), *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    for line in table:
        cells = [cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)]
        click.echo("  ".join(cells).rstrip())


def _json(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "workflow": row.workflow,
        "status": row.status,
        "started": row.started if row.started is not None else row.created,
        "ended": row.ended,
        "key": row.key,
        "recoveries": row.recoveries,
        "error": row.error,
    }


def _line(row: RunRow) -> tuple[str, str, str, str, str]:
    began = row.started if row.started is not None else row.created
    when = datetime.datetime.fromtimestamp(began).strftime("%Y-%m-%d %H:%M:%S")
    took = spoken(((row.ended or time.time()) - began) * 1_000) if row.started is not None else ""
    return row.run_id, row.workflow, row.status, when, took
