"""`nodectl runs watch`: a run's live tree, from another terminal."""

from __future__ import annotations

import click

from nodeling_runtime.cli.output import is_terminal, talk
from nodeling_runtime.cli.runs.where import existing, find_run, store_option
from nodeling_runtime.cli.words import complete_runs


@click.command("watch")
@click.argument("run", shell_complete=complete_runs)
@click.option("--verbose", is_flag=True, help="Say who ran each step, and what it waited for.")
@store_option
def command(run: str, verbose: bool, store: str | None) -> None:
    """Watch RUN until it has ended, whichever process runs it. Ctrl-C ends the watching alone."""
    from nodeling_runtime.cli.runs.following import as_told, follow

    with existing(store) as opened:
        row = find_run(opened, run)
        told = (as_told(event) for event in follow(opened, row.run_id))
        heard = ({**event, "workflow": row.workflow} for event in told if event is not None)
        if is_terminal():
            from nodeling_runtime.cli.live import LiveView

            with LiveView(verbose=verbose) as live:
                for event in heard:
                    live.hear(event)
        else:
            from nodeling_runtime.cli.lines import Lines

            lines = Lines(verbose=verbose)
            for event in heard:
                if event["event"] != "run.finished":
                    lines.hear(event)
        after = opened.run(row.run_id)
    talk(f"run {row.run_id} {'is gone' if after is None else f'is {after.status}'}")
