"""`nodectl store migrate`: bring the store to this program's schema now."""

from __future__ import annotations

import click

from nodeling.errors import StoreError
from nodeling_runtime.cli.runs.where import open_existing, store_option


@click.command("migrate")
@store_option
def command(store: str | None) -> None:
    """Bring the store to the schema of this program, in one transaction, with a copy of it made first.

    Whatever opens a store does that; this does nothing else. A newer store is refused.
    """
    opened = open_existing(store)
    if opened is None:
        raise StoreError("nothing was ever kept here, so there is nothing to migrate", code="store.none")
    try:
        faults = opened.check()
        click.echo(f"{opened.url} has this program's schema")
    finally:
        opened.close()
    if faults:
        raise StoreError(f"the store is damaged: {faults[0]}", code="store.corrupt")
