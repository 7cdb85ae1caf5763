"""Bad documents: each is refused with the text and the data of a golden file, and nothing is run.

Each folder of tests/golden holds a document, `flow.*`, and what is said about it: `expected.txt` as
people read it, `expected.json` as programs do. NODELING_REGENERATE=1 writes them anew, to be read
before they are committed. The nodes of these documents cannot even be imported.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from nodeling.errors import ConfigError, Fault
from nodeling_runtime.cli.faults import lines_of
from nodeling_runtime.cli.main import cli
from nodeling_runtime.engine.loaded import load_file

GOLDEN = Path(__file__).parents[1] / "golden"
NODES = "nodes"  # shared by all documents
ROWS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir() and path.name != NODES)
REGENERATE = os.environ.get("NODELING_REGENERATE") == "1"


@pytest.fixture(autouse=True)
def _in_the_golden_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    # What is said of JavaScript depends on an extra; the texts are those of an installation without it.
    monkeypatch.setattr("nodeling_runtime.quickjs.engine.javascript_function", lambda: None)


def document(row: str) -> str:
    return str(next(Path(row).glob("flow.*")))


def faults_of(row: str) -> list[Fault]:
    try:
        return list(load_file(Path(document(row)), [Path(NODES)]).faults)
    except ConfigError as error:
        return list(error.faults)


def said(faults: list[Fault]) -> str:
    return local("".join(f"{click.unstyle(line)}\n" for line in lines_of(faults)))


def local(text: str) -> str:
    """The text as it would be in any other checkout."""
    return text.replace(f"{GOLDEN}/", "")


def as_json(faults: list[Fault]) -> str:
    text = json.dumps([fault.to_json() for fault in faults], indent=2, ensure_ascii=False)
    return local(text) + "\n"


def expected(row: str, name: str, found: str) -> str:
    path = GOLDEN / row / name
    if REGENERATE:
        path.write_text(found, encoding="utf-8")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS)
def test_what_is_said_is_the_golden_text(row: str) -> None:
    found = said(faults_of(row))
    assert found == expected(row, "expected.txt", found)


@pytest.mark.parametrize("row", ROWS)
def test_the_same_is_there_as_data(row: str) -> None:
    found = as_json(faults_of(row))
    assert found == expected(row, "expected.json", found)


@pytest.mark.parametrize("row", ROWS)
def test_each_fault_names_the_file_the_line_and_the_column(row: str) -> None:
    faults = [fault for fault in faults_of(row) if fault.severity == "error"]
    assert faults
    for fault in faults:
        lines = Path(str(fault.file)).read_text(encoding="utf-8").splitlines()
        assert fault.line and fault.column, fault
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1, fault
        assert "\n" not in str(fault)


@pytest.mark.parametrize("row", ROWS)
def test_the_same_fault_is_said_once(row: str) -> None:
    faults = faults_of(row)
    assert len(faults) == len(set(faults))


@pytest.mark.parametrize("row", ROWS)
def test_nodectl_run_refuses_it_with_65_and_runs_nothing(row: str) -> None:
    result = CliRunner().invoke(cli, ["run", document(row), "--nodes", NODES, "--json"])
    assert result.exit_code == 65, result.output
    body: dict[str, Any] = json.loads(result.stdout)
    wanted = json.loads((GOLDEN / row / "expected.json").read_text(encoding="utf-8"))
    assert json.loads(local(json.dumps(body["error"]["faults"]))) == wanted
    assert "imported" not in result.output


@pytest.mark.parametrize("row", ROWS)
def test_nodectl_check_lists_all_of_it(row: str) -> None:
    result = CliRunner().invoke(cli, ["check", document(row), "--nodes", NODES])
    assert result.exit_code == 65, result.output
    assert local(click.unstyle(result.stdout)) == (GOLDEN / row / "expected.txt").read_text(encoding="utf-8")


def test_one_document_with_every_fault_of_the_graph_lists_them_all() -> None:
    faults = [fault for fault in faults_of("every-graph-fault") if fault.severity == "error"]
    codes = {fault.code for fault in faults}
    assert codes >= {
        "check.fit",
        "document.container",
        "document.duplicate_step",
        "document.duration",
        "document.independent",
        "document.twice",
        "document.type_word",
        "document.unknown_key",
        "document.unknown_step",
        "document.value",
        "expr.no_such_key",
        "expr.syntax",
        "expr.unknown_function",
        "registry.unknown",
        "workflow.cycle",
        "workflow.no_ancestor",
        "workflow.phase",
        "workflow.unknown_step",
    }
    text = (GOLDEN / document("every-graph-fault")).read_text(encoding="utf-8")
    marked = {number for number, line in enumerate(text.splitlines(), 1) if "# fault" in line}
    assert {fault.line for fault in faults} == marked
