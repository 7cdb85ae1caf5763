"""`nodectl runs show`: one run, as it ended or as far as it is."""

from __future__ import annotations

import click

from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import find_run, json_option, open_existing, store_option
from nodeling_runtime.cli.summary import Timeline, print_summary
from nodeling_runtime.engine.stored import stored_result


@click.command("show")
@click.argument("run")
@store_option
@json_option
def command(run: str, store: str | None, as_json: bool) -> None:
    """Show RUN: its steps, its error, its output.

    With --json it is the object that `nodectl run --json` prints; of a run that goes on, what is known.
    """
    opened = open_existing(store)
    try:
        row = find_run(opened, run)
        if opened is None:
            raise AssertionError("a run was found, so there is a store")
        result = stored_result(opened, row.run_id)
    finally:
        if opened is not None:
            opened.close()
    if as_json:
        print_json(result.to_json())
        return
    if result.succeeded:
        print_json(result.output)
    print_summary(result, Timeline())
