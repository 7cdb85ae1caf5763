"""Which store the commands about runs look into, and which run a word means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nodeling.errors import StoreError
from nodeling_runtime.store.base import Store, not_found
from nodeling_runtime.store.model import RunRow
from nodeling_runtime.store.opening import DURABILITIES, VARIABLE, default_url, open_store

store_option: Callable[[Any], Any] = click.option(
    "--store", metavar="URL", help="The store; without it NODELING_STORE, else the project's."
)
json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value."
)
durability_option: Callable[[Any], Any] = click.option(
    "--durability",
    type=click.Choice(DURABILITIES),
    default="full",
    help="full: what is kept survives a power cut. fast: it survives the process. off: neither is promised.",
)


def store_url(given: str | None) -> str:
    """The address of the store that is meant.

    Raises:
        StoreError: None is.
    """
    url = given or default_url(Path.cwd())
    if url is None or url == "none":
        raise StoreError(
            "there is no project here whose runs were kept",
            code="store.none",
            hint=f"name a store: --store URL, or {VARIABLE}",
        )
    return url


def open_existing(given: str | None, durability: str = "full") -> Store | None:
    """Open the store that is meant; None when nothing was ever kept there, and nothing is made."""
    url = store_url(given)
    path = url.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).exists():
        return None
    return open_store(url, durability)


def find_run(store: Store | None, word: str) -> RunRow:
    """The run that an id, or the beginning of one, means.

    Raises:
        StoreError: There is none, or there are several.
    """
    found = [] if store is None else store.find(word)
    if not found:
        raise not_found(word)
    if len(found) > 1 and all(row.run_id != word for row in found):
        raise StoreError(
            f"{word!r} may be {', '.join(row.run_id for row in found)}",
            code="run.ambiguous",
            hint="write more of the id",
        )
    return next((row for row in found if row.run_id == word), found[0])
