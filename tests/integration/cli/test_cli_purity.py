from __future__ import annotations

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_import_nothing_heavy(option: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "nodeling_runtime", option]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert result.returncode == 0
    imported = {
        line.rpartition("|")[2].strip()
        for line in result.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "nodeling_runtime.cli.script" in imported
    assert ("click" in imported) is (option == "--help")
    assert {name for name in imported if name.partition(".")[0] in HEAVY} == set()


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
