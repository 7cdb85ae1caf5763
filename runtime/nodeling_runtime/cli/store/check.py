"""`nodectl store check`: is the store whole?"""

from __future__ import annotations

import click

from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.runs.where import json_option, open_existing, store_option


@click.command("check")
@store_option
@json_option
def command(store: str | None, as_json: bool) -> int:
    """Look whether the store is damaged. Nothing is changed; the exit code is 1 when something is wrong."""
    opened = open_existing(store)
    faults: list[str] = []
    if opened is not None:
        try:
            faults = opened.check()
        finally:
            opened.close()
    report(faults, as_json, "the store is whole" if opened is not None else "nothing was ever kept here")
    return 1 if faults else 0


def report(faults: list[str], as_json: bool, fine: str) -> None:
    """Print what was found."""
    if as_json:
        print_json({"ok": not faults, "faults": faults})
        return
    for fault in faults:
        click.echo(fault)
    if not faults:
        click.echo(fine)
