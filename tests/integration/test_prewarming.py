"""Workers start while their workflow is being checked, and run nothing of their nodes until it has passed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from exec_calls import until
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import below

NODE = """
import os, pathlib
pathlib.Path("imported").write_text(str(os.getpid()))
def run(ctx, inputs):
    return os.getpid()
"""

OTHERS: set[int] = set()  # processes that tests before this one left to this program


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    close_all()
    OTHERS.clear()
    OTHERS.update(below(os.getpid()))
    (tmp_path / ".nodeling").mkdir()
    for name in ("first", "second"):
        folder = tmp_path / "nodes" / name
        folder.mkdir(parents=True)
        manifest = {"name": name, "runtime": {"type": "runtime.python3"}}
        (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
        (folder / "node.py").write_text(NODE, encoding="utf-8")
    yield tmp_path
    close_all()
    assert ours() == set()


def ours() -> set[int]:
    """The processes that were started since the test began."""
    return below(os.getpid()) - OTHERS


def run(project: Path, *steps: dict[str, Any]) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps)}), encoding="utf-8")
    return nodeling.run(path)


GOOD = ({"name": "a", "node": "first"}, {"name": "b", "node": "second"})
WRONG = ({"name": "a", "node": "first", "needs": ["b"]}, {"name": "b", "node": "second", "needs": ["a"]})


def refused(project: Path) -> set[int]:
    """The processes that a workflow left which did not pass its check."""
    with pytest.raises(nodeling.ConfigError, match="wait for one another"):
        run(project, *WRONG)
    asyncio.run(until(lambda: len(ours()) == 3, 20))
    return ours()


def test_a_workflow_that_is_refused_has_imported_nothing(project: Path) -> None:
    assert len(refused(project)) == 3  # the guard process and a worker for each node
    assert not (project / "nodes/first/imported").exists()
    assert not (project / "nodes/second/imported").exists()


def test_the_processes_that_were_started_ahead_take_the_calls(project: Path) -> None:
    ahead = refused(project)
    result = run(project, *GOOD)
    assert result.status == "succeeded", result.error
    assert {result.steps["a"].output, result.steps["b"].output} < ahead


def test_a_process_that_died_while_it_waited_is_replaced(project: Path) -> None:
    ahead = refused(project)
    for pid in ahead:
        if below(pid) == set():
            os.kill(pid, 9)
    result = run(project, *GOOD)
    assert result.status == "succeeded", result.error
    assert {result.steps["a"].output, result.steps["b"].output}.isdisjoint(ahead)


def test_a_changed_node_gets_a_process_that_knows_the_change(project: Path) -> None:
    refused(project)
    (project / "nodes/first/node.py").write_text(
        "def run(ctx, inputs):\n    return 'new'\n", encoding="utf-8"
    )
    assert run(project, *GOOD).steps["a"].output == "new"
