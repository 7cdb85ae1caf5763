"""`nodectl store verify`: does what the store says of its runs follow from their histories?"""

from __future__ import annotations

import click

from nodeling_runtime.cli.runs.where import find_run, json_option, open_existing, store_option
from nodeling_runtime.cli.store.check import report
from nodeling_runtime.cli.words import complete_runs
from nodeling_runtime.store.model import RunFilter
from nodeling_runtime.store.verify import verify_run


@click.command("verify")
@click.argument("runs", nargs=-1, shell_complete=complete_runs)
@store_option
@json_option
def command(runs: tuple[str, ...], store: str | None, as_json: bool) -> int:
    """Fold the events of RUNS, or of all there are, and compare with what is kept of them.

    The exit code is 1 when something differs.
    """
    opened = open_existing(store)
    faults: list[str] = []
    count = 0
    if opened is not None:
        try:
            ids = [find_run(opened, word).run_id for word in runs]
            ids = ids or [row.run_id for row in opened.runs(RunFilter())]
            count = len(ids)
            faults = [fault for run_id in ids for fault in verify_run(opened, run_id)]
        finally:
            opened.close()
    report(faults, as_json, f"{count} run{'' if count == 1 else 's'} verified")
    return 1 if faults else 0
