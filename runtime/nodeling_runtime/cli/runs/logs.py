"""`nodectl runs logs`: what the nodes of a run logged."""

from __future__ import annotations

import click

from nodeling.fault import one_line as visible
from nodeling_runtime.cli.runs.where import existing, find_run, moment, store_option
from nodeling_runtime.cli.text import one_line
from nodeling_runtime.cli.words import complete_runs


@click.command("logs")
@click.argument("run", shell_complete=complete_runs)
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--step", metavar="STEP", help="Only this step, and what is inside it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@store_option
def command(run: str, follow: bool, step: str | None, as_json: bool, store: str | None) -> None:
    """Print what the nodes of RUN logged and what its programs wrote on stderr."""
    import orjson

    from nodeling_runtime.cli.runs.following import follow as followed
    from nodeling_runtime.engine.recorded import within

    with existing(store) as opened:
        row = find_run(opened, run)
        for event in followed(opened, row.run_id, until_end=follow):
            if event.kind != "step.log" or (step is not None and not within(event.path, (step,))):
                continue
            data = dict(event.data)
            if as_json:
                click.echo(orjson.dumps({"at": event.at, "step": event.path, **data}, default=str))
                continue
            more = f" {one_line(str(data['data']))}" if data.get("data") else ""
            message = one_line(str(data.get("message", "")), 2_000)
            click.echo(
                f"{moment(event.at)} {visible(event.path)} {data.get('level', 'info')}: {message}{more}"
            )
