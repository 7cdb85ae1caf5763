"""`nodectl runs prune`: runs that ended long ago are let go."""

from __future__ import annotations

import time

import click

from nodeling_runtime.cli.inputs import Duration
from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import existing, json_option, store_option


@click.command("prune")
@click.option(
    "--older-than", metavar="TIME", type=Duration(), help="Those that ended longer ago; 30d by default."
)
@click.option(
    "--keep", metavar="N", type=click.IntRange(min=0), help="The newest N of each workflow stay; 10,000."
)
@click.option("--dry-run", is_flag=True, help="Say which would go, and let none go.")
@store_option
@json_option
def command(
    older_than: float | None, keep: int | None, dry_run: bool, store: str | None, as_json: bool
) -> None:
    """Delete runs that have ended, by their age and by their number; with one option given, by that alone.

    Runs that have not ended stay. What only the deleted ones referred to goes with them.
    """
    from nodeling_runtime.store.base import surplus
    from nodeling_runtime.store.model import CLOSED, Retention, RunFilter

    default = Retention()
    if older_than is not None or keep is not None:
        default = Retention(None if older_than is None else older_than / 1_000, keep)
    with existing(store) as opened:
        if dry_run:
            gone = surplus(opened.runs(RunFilter(statuses=CLOSED)), default, time.time())
        else:
            gone = opened.prune(default)
    if as_json:
        print_json({"deleted": [] if dry_run else gone, "would_delete": gone if dry_run else []})
        return
    for run_id in gone:
        click.echo(run_id)
    click.echo(f"{len(gone)} runs {'would go' if dry_run else 'deleted'}", err=True)
