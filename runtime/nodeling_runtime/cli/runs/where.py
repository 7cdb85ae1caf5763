"""Which store the commands about runs look into, and which run a word means."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from nodeling.errors import StoreError, nearest
from nodeling_runtime.project import MARKS
from nodeling_runtime.store.base import Store, not_found
from nodeling_runtime.store.model import RunFilter, RunRow
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
            hint=f"a project has {', '.join(MARKS[:-1])} or {MARKS[-1]} in it;"
            f" or name a store: --store URL, or {VARIABLE}",
        )
    return url


def open_existing(given: str | None, durability: str = "full") -> Store | None:
    """Open the store that is meant; None when nothing was ever kept there, and nothing is made."""
    url = store_url(given)
    path = url.removeprefix("sqlite:///")
    if "://" not in path and _is_absent(path):
        return None
    return open_store(url, durability)


def _is_absent(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # opening it says why that cannot be
    return False


@contextlib.contextmanager
def existing(given: str | None) -> Iterator[Store]:
    """The store that is meant, opened; there must be one.

    Raises:
        StoreError: Nothing was ever kept there.
    """
    opened = open_existing(given)
    if opened is None:
        raise StoreError(
            "nothing was ever kept here",
            code="run.not_found",
            hint="`nodectl run` keeps runs inside a project",
        )
    try:
        yield opened
    finally:
        opened.close()


def moment(at: float) -> str:
    """A moment, in local time."""
    return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def find_run(store: Store | None, word: str) -> RunRow:
    """The run that an id, or the beginning of one, means.

    Raises:
        StoreError: There is none, or there are several.
    """
    found = [] if store is None else store.find(word)
    if not found:
        raise _not_found(store, word)
    if len(found) > 1 and all(row.run_id != word for row in found):
        raise StoreError(
            f"{word!r} may be {', '.join(row.run_id for row in found)}",
            code="run.ambiguous",
            hint="write more of the id",
        )
    return next((row for row in found if row.run_id == word), found[0])


def _not_found(store: Store | None, word: str) -> StoreError:
    """There is no such run, and which one may have been meant."""
    newest = [] if store is None else store.runs(RunFilter(limit=100))
    near = nearest(word, [row.run_id[: len(word)] for row in newest])
    meant = next((row for row in newest if near is not None and row.run_id.startswith(near)), None)
    if meant is None:
        return not_found(word)
    hint = f"did you mean {meant.run_id}, of {meant.workflow!r}?"
    return StoreError(f"no run is called {word!r}", code="run.not_found", hint=hint)
