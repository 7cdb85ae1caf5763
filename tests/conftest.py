"""What holds for every test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from postgres_server import Server

# The examples stand in this repository, which is a project: their runs must not be kept in it. A test of runs
# that are kept names its store, or takes this away.
os.environ["NODELING_STORE"] = "none"

# Rust nodes are built in release mode; what a test looks at does not depend on how well the compiler tried.
os.environ.setdefault("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")


@pytest.fixture(scope="module", autouse=True)
def _no_javascript_left() -> Iterator[None]:
    """The engine of JavaScript waits for the next expression of its process, here in vain."""
    yield
    module = sys.modules.get("nodeling_runtime.quickjs.engine")
    if module is not None and module._engine.cache_info().currsize:
        module._engine().close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The one PostgreSQL server of all tests."""
    from postgres_server import serve

    server = serve()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres(postgres_server: Server) -> str:
    """Its address."""
    return postgres_server.url
