"""`nodectl store backup`: a copy of the store as it is at one moment."""

from __future__ import annotations

from pathlib import Path

import click

from nodeling.errors import StoreError
from nodeling_runtime.cli.runs.where import open_existing, store_option


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
def command(file: Path, store: str | None) -> None:
    """Copy the store to FILE, which must not be there. Runs may go on meanwhile."""
    opened = open_existing(store)
    if opened is None:
        raise StoreError("nothing was ever kept here, so there is nothing to copy", code="store.none")
    try:
        opened.backup(file)
    finally:
        opened.close()
    click.echo(str(file))
