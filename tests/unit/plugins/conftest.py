"""The modules beside these tests are imported by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from container_stage import stage
from http_stage import Server, served

from nodeling.testing import NodeOutcome, run_node

__all__ = ["stage"]

NODES = Path(__file__).parents[3] / "plugins" / "nodeling_nodes"


@pytest.fixture
def shipped() -> Callable[..., NodeOutcome]:
    """Runs a shipped node alone, by its name."""

    def run(name: str, inputs: Any = None, **options: Any) -> NodeOutcome:
        return run_node(NODES / name.replace("-", "_"), inputs, **options)

    return run


@pytest.fixture
def web() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the run is started in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
