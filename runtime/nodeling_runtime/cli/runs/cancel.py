"""`nodectl runs cancel`: a run is asked to end, and ended here when nobody runs it."""

from __future__ import annotations

import click

from nodeling.errors import StoreError
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.runs.where import find_run, store_option, store_url
from nodeling_runtime.cli.words import complete_runs
from nodeling_runtime.store.model import CLOSED


@click.command("cancel")
@click.argument("run", shell_complete=complete_runs)
@store_option
def command(run: str, store: str | None) -> None:
    """End RUN, whichever process runs it: its `always` steps still run.

    A run whose process is gone is ended here. One that has ended is left as it is.
    """
    from nodeling_runtime.cli.runs.resume import resume_one
    from nodeling_runtime.cli.session import Wanted
    from nodeling_runtime.engine.durable import Keeper

    keeper = Keeper.open(store_url(store))
    try:
        row = find_run(keeper.store, run)
        if row.status in CLOSED:
            talk(f"run {row.run_id} has ended already: {row.status}")
            return
        row = keeper.store.cancel(row.run_id, "cancelled", keeper.owner)
        if row.status in CLOSED:
            click.echo(f"{row.run_id}  {row.workflow}  {row.status}")
            return
        try:
            resume_one(keeper, row, "any", Wanted(quiet=True, silent=True))
        except StoreError as error:
            if error.code != "run.held":
                raise
            talk(f"run {row.run_id} was told to end; {row.owner} runs it")
            return
        after = keeper.store.run(row.run_id)
        click.echo(f"{row.run_id}  {row.workflow}  {'gone' if after is None else after.status}")
    finally:
        keeper.close()
