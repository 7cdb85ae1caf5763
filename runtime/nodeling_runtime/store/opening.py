"""Which store an address means, and where a project keeps its own."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from nodeling.errors import StoreError
from nodeling_runtime.project import FOLDER, MARKS

if TYPE_CHECKING:
    from nodeling_runtime.store.base import Store

FILE = "runs.db"
VARIABLE = "NODELING_STORE"
KINDS = "sqlite:///path/to/file.db, postgresql://user@host/database, or none"
DURABILITIES = ("full", "fast", "off")


def default_url(start: Path) -> str | None:
    """The store of a run that names none: NODELING_STORE, else that of the project around `start`.

    A folder that is no project has none, and what runs there is kept in memory.
    """
    said = os.environ.get(VARIABLE)
    if said:
        return None if said == "none" else said
    here = start.resolve()
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return f"sqlite:///{folder / FOLDER / FILE}"
    return None


def open_store(url: str, durability: str = "full") -> Store:
    """Open a store by its address: `sqlite:///path/to/file`, the path alone, or `postgresql://…`.

    Raises:
        StoreError: It cannot be used, and why.
    """
    if durability not in DURABILITIES:
        raise StoreError(f"no durability is called {durability!r}", code="store.durability")
    scheme, _, rest = url.partition(":")
    if scheme in ("postgresql", "postgres") and rest.startswith("//"):
        from nodeling_runtime.store.postgres import PostgresStore

        return PostgresStore(url, durability)
    if scheme == "sqlite" and rest.startswith("///"):
        url = rest[3:]
    elif "://" in url:
        raise StoreError(
            f"no store answers to {scheme}://",
            code="store.unavailable",
            hint=f"a store is {KINDS}",
        )
    if not url:
        raise StoreError(f"a store is {KINDS}", code="store.unavailable")
    from nodeling_runtime.store.sqlite import SqliteStore

    return SqliteStore(Path(url).absolute(), durability)


def owner_name() -> str:
    """Who this process is, for those who find one of its runs: machine, process, and what makes it unique."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
