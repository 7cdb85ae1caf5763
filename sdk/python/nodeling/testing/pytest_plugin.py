"""The fixtures that `pip install nodeling` brings to pytest; importing this module costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nodeling.results import RunResult
    from nodeling.testing.nodes import NodeOutcome


@pytest.fixture
def nodeling_node() -> Callable[..., NodeOutcome]:
    """`nodeling.testing.run_node`: runs one node alone."""
    from nodeling.testing.nodes import run_node

    return run_node


@pytest.fixture
def nodeling_workflow() -> Callable[..., RunResult]:
    """`nodeling.testing.run_workflow`: runs a workflow in memory, with fakes."""
    from nodeling.testing.workflows import run_workflow

    return run_workflow
