"""`nodectl runs export`: everything that is kept of a run, as one document."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nodeling_runtime.cli.output import unwritable
from nodeling_runtime.cli.runs.where import existing, find_run, store_option
from nodeling_runtime.cli.words import complete_runs

FORMAT = "nodeling.run/1"


@click.command("export")
@click.argument("run", shell_complete=complete_runs)
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
@store_option
def command(run: str, output: Path | None, store: str | None) -> None:
    """Print what is kept of RUN as one JSON object: its row, its workflow, its request, its history."""
    import orjson

    from nodeling_runtime.cli.runs.events import event_data

    with existing(store) as opened:
        row = find_run(opened, run)
        events = [event_data(event) for event in opened.events(row.run_id)]
        document = {
            "format": FORMAT,
            "run": asdict(row),
            "definition": orjson.loads(opened.definition(row.definition) or b"null"),
            "request": orjson.loads(opened.request(row.run_id) or b"null"),
            "events": events,
        }
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str) + b"\n"
    if output is None:
        click.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise unwritable(output, error) from error
    click.echo(str(output))
