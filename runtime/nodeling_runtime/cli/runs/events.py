"""`nodectl runs events`: a run's history, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.runs.where import existing, find_run, moment, store_option
from nodeling_runtime.cli.text import one_line
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.store.model import Event


@click.command("events")
@click.argument("run", shell_complete=complete_runs)
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.option(
    "--after", metavar="N", type=click.IntRange(min=0), default=0, help="Only what came after event N."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with values and writes.")
@store_option
def command(run: str, follow: bool, after: int, as_json: bool, store: str | None) -> None:
    """Print the history of RUN, oldest event first."""
    from nodeling_runtime.cli.runs.following import follow as followed

    with existing(store) as opened:
        row = find_run(opened, run)
        for event in followed(opened, row.run_id, after, until_end=follow):
            click.echo(_json(event) if as_json else _line(event))


def event_data(event: Event) -> dict[str, Any]:
    """An event as data, its value and its writes decoded."""
    import orjson

    return {
        "seq": event.seq,
        "at": event.at,
        "kind": event.kind,
        "path": event.path,
        "generation": event.gen,
        "epoch": event.epoch,
        "data": dict(event.data),
        "value": None if event.value is None else orjson.loads(event.value),
        "writes": None if event.delta is None else orjson.loads(event.delta),
    }


def _json(event: Event) -> bytes:
    import orjson

    return orjson.dumps(event_data(event), default=str)


def _line(event: Event) -> str:
    told = ("attempt", "status", "reason", "owner", "what", "is", "kind", "message", "cone")
    said = [f"{key}={one_line(str(event.data[key]), 60)}" for key in told if event.data.get(key) is not None]
    return visible(" ".join([f"{event.seq:>5}", moment(event.at), event.kind, event.path, *said]).rstrip())
