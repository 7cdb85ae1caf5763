"""What a command does not load: each entry was once a good part of a start, and none is missed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli_calls import nodectl, write_node, write_workflow

HEAVY = {
    "asyncio",
    "jsonschema",
    "jsonschema_rs",
    "rich",
    "yaml",
    "orjson",
    "msgspec",
    "psutil",
    "sqlite3",
}
NOT_FOR_STEPS_IN_THIS_PROCESS = {
    "importlib.metadata",
    "importlib.resources",
    "jsonschema",
    "msgspec",
    "multiprocessing",
    "nodeling_runtime.dispatch.exec",
    "nodeling_runtime.dispatch.worker",
    "nodeling_runtime.editor",
    "nodeling_runtime.engine.durable",
    "nodeling_runtime.engine.journal",
    "nodeling_runtime.engine.recorded",
    "nodeling_runtime.report",
    "nodeling_runtime.store.base",
    "nodeling_runtime.store.model",
    "nodeling_runtime.toolchains.languages.python",
    "psutil",
    "rich",
    "sqlite3",
    "tempfile",
    "tomllib",
    "yaml",
}
NOT_WITHOUT_EXPRESSIONS = {
    "fractions",
    "nodeling_runtime.expressions.compiler",
    "nodeling_runtime.expressions.javascript",
    "nodeling_runtime.expressions.lexer",
    "nodeling_runtime.expressions.parser",
    "nodeling_runtime.expressions.syntax",
    "nodeling_runtime.workflow.fit",
    "nodeling_runtime.workflow.fit_select",
}
COLLECTING = "import gc\n\ndef run(ctx, inputs):\n    return [gc.isenabled(), list(gc.get_threshold())]\n"
PLAIN = "def run(ctx, inputs):\n    return inputs\n"


def imported_by(*args: object, cwd: Path | None = None) -> set[str]:
    """The modules that a command imports from beginning to end."""
    command = [sys.executable, "-X", "importtime", "-m", "nodeling_runtime", *map(str, args)]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd)
    assert result.returncode == 0, result.stderr
    lines = (line for line in result.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def among(imported: set[str], unwanted: set[str]) -> set[str]:
    """Those of the unwanted packages and modules of which anything was imported."""
    return {word for word in unwanted if any(f"{name}.".startswith(f"{word}.") for name in imported)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_node(tmp_path, "mine", PLAIN)
    return tmp_path


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(option: str) -> None:
    imported = imported_by(option)
    assert "nodeling_runtime.cli.script" in imported
    assert ("click" in imported) is (option == "--help")
    assert {name for name in imported if name.partition(".")[0] in HEAVY} == set()
    assert "importlib.metadata" not in imported


@pytest.mark.parametrize("node", ["assign", "mine"])
def test_a_step_in_this_process_loads_no_more_than_it_uses(project: Path, node: str) -> None:
    inputs = {"set": {"value": 1}}
    flow = write_workflow(project, {"steps": [{"name": "one", "node": node, "inputs": inputs}]})
    imported = imported_by("run", flow, "--store", "none", cwd=project)
    assert "nodeling_runtime.engine.run" in imported
    assert among(imported, NOT_FOR_STEPS_IN_THIS_PROCESS | NOT_WITHOUT_EXPRESSIONS) == set()


def test_steps_that_hand_something_on_load_the_language_and_nothing_else(project: Path) -> None:
    steps = [
        {"name": "one", "node": "assign", "inputs": {"set": {"value": 1}}},
        {"name": "two", "node": "mine", "inputs": "${steps.one.output.value}"},
    ]
    imported = imported_by("run", write_workflow(project, {"steps": steps}), "--store", "none", cwd=project)
    assert "nodeling_runtime.expressions.parser" in imported
    assert among(imported, NOT_FOR_STEPS_IN_THIS_PROCESS) == set()


def test_a_step_in_a_worker_loads_nothing_for_programs_that_are_started_for_each_call(project: Path) -> None:
    write_node(project, "apart", PLAIN, runtime={"type": "python", "isolation": "worker"})
    flow = write_workflow(project, {"steps": [{"name": "one", "node": "apart"}]})
    imported = imported_by("run", flow, "--store", "none", cwd=project)
    assert "nodeling_runtime.dispatch.worker.dispatcher" in imported
    assert among(imported, {"nodeling_runtime.dispatch.exec", "psutil"}) == set()


def test_a_check_loads_no_engine_of_another_kind(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "one", "node": "mine"}]})
    imported = imported_by("check", flow, cwd=project)
    assert among(imported, NOT_FOR_STEPS_IN_THIS_PROCESS | NOT_WITHOUT_EXPRESSIONS) == set()


def test_garbage_is_looked_for_as_usual_when_a_run_has_begun(project: Path) -> None:
    write_node(project, "collecting", COLLECTING)
    flow = write_workflow(project, {"steps": [{"name": "one", "node": "collecting"}]})
    usual = subprocess.run(
        [sys.executable, "-c", "import gc; print(list(gc.get_threshold()))"], capture_output=True, text=True
    )
    assert nodectl("run", flow, "--store", "none", cwd=project).data == [True, json.loads(usual.stdout)]


def test_every_command_of_the_table_says_what_its_line_says() -> None:
    from nodeling_runtime.cli.main import COMMANDS, cli

    context = cli.make_context("nodectl", [], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help, name


def test_help_lists_every_command() -> None:
    from cli_calls import invoke
    from nodeling_runtime.cli.main import COMMANDS

    said = invoke("--help").stdout
    for name, (_, text) in COMMANDS.items():
        assert any(line.split()[:1] == [name] and text in line for line in said.splitlines()), name
