"""`nodectl store`: whether the place where runs are kept is sound."""

from __future__ import annotations

import click

from nodeling_runtime.cli.lazy import LazyGroup


class StoreTools(LazyGroup):
    """The commands about the store itself."""

    modules = {  # a table, never written to
        "check": ("nodeling_runtime.cli.store.check", "Look whether the store is damaged."),
        "verify": ("nodeling_runtime.cli.store.verify", "Compare what it says with its history."),
        "migrate": ("nodeling_runtime.cli.store.migrate", "Bring it to this program's schema."),
        "backup": ("nodeling_runtime.cli.store.backup", "Copy it, while it is in use."),
    }


@click.group("store", cls=StoreTools)
def command() -> None:
    """Look after the place where runs are kept."""
