"""`nodectl graph` on files and modules, and what it says when there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nodeling_runtime.cli.graph import FORMATS
from nodeling_runtime.cli.main import cli

HERE = Path(__file__).parent
FILE = str(HERE / "every_construct.yaml")
GOLDEN = {"text": "txt", "mermaid": "mmd", "dot": "dot", "json": "json"}

MODULE = """
from nodeling import Workflow, node, step

@node
def double(x: int = 1) -> int:
    raise SystemExit("a drawing runs nothing")

with Workflow("by-hand") as flow:
    first = step("first", double)
    step("second", double, needs=[first])

def made() -> Workflow:
    return flow
"""


def graph(*words: str) -> Result:
    return CliRunner().invoke(cli, ["graph", *words])


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_printed(form: str) -> None:
    result = graph(FILE, "--format", form)
    assert result.exit_code == 0
    golden = HERE / "golden" / f"every_construct.{GOLDEN[form]}"
    assert result.stdout == golden.read_text(encoding="utf-8")


def test_a_drawing_is_written_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "flow.mmd"
    result = graph(FILE, "--format", "mermaid", "--output", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.read_text(encoding="utf-8").startswith("flowchart TD\n")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    result = graph(FILE, "--output", str(tmp_path / "absent" / "flow.txt"))
    assert result.exit_code == 69
    assert "absent" in result.stderr


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "drawn_by_hand.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "drawn_by_hand", raising=False)
    return "drawn_by_hand"


@pytest.mark.parametrize("name", ["flow", "made"])
def test_a_workflow_in_a_module_is_drawn(module: str, name: str) -> None:
    result = graph(f"{module}:{name}", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["waves"] == [["first"], ["second"]]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("drawn_by_hand:flw", "did you mean 'flow'?"),
        ("no_such_module:flow", "there is no module 'no_such_module'"),
        ("absent.yaml", "absent.yaml"),
    ],
)
def test_a_target_that_is_not_there_is_named_with_what_is(module: str, target: str, said: str) -> None:
    result = graph(target)
    assert result.exit_code == 66
    assert said in result.stderr


def test_a_folder_of_nodes_must_be_there() -> None:
    result = graph(FILE, "--nodes", "nowhere")
    assert result.exit_code == 66
    assert "nowhere" in result.stderr


def test_a_workflow_with_faults_is_not_drawn(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nsteps:\n  - {name: a, node: paralel}\n", encoding="utf-8")
    result = graph(str(bad))
    assert (result.exit_code, result.stdout) == (65, "")
    assert "parallel" in result.stderr
