"""Commands that packages add, and what becomes of their errors."""

from __future__ import annotations

from typing import Any

import click
import pytest

from cli_calls import invoke
from nodeling.errors import StoreError
from nodeling_runtime import plugins


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that add commands; the list tells which were loaded."""
    told: list[str] = []

    @click.command("hello", help="Greet.")
    @click.option("--fail", is_flag=True)
    @click.option("--bug", is_flag=True)
    @click.option("--code", type=int)
    def hello(fail: bool, bug: bool, code: int | None) -> int | None:
        if fail:
            raise StoreError("no store today")
        if bug:
            raise KeyError("oh")
        click.echo("hello")
        return code

    def good() -> Any:
        told.append("hello")
        return hello

    def broken() -> Any:
        told.append("broken")
        raise RuntimeError("its own fault")

    def wrong() -> Any:
        return "no command"

    table = {
        "hello": ("acme", good),
        "broken": ("rusty", broken),
        "wrong": ("odd", wrong),
        "run": ("thief", good),
    }
    monkeypatch.setattr(plugins, "commands", lambda: table)
    return told


def test_a_packages_command_runs_and_is_loaded_only_then(loads: list[str]) -> None:
    assert invoke("eval", "1").exit_code == 0
    assert loads == []
    result = invoke("hello")
    assert (result.exit_code, result.stdout) == (0, "hello\n")
    assert set(loads) == {"hello"}


def test_a_packages_command_ends_with_the_number_it_returns(loads: list[str]) -> None:
    assert invoke("hello", "--code", "7").exit_code == 7


def test_the_errors_of_a_packages_command_have_our_exit_codes(loads: list[str]) -> None:
    assert invoke("hello", "--fail").exit_code == 69
    assert invoke("hello", "--bug").exit_code == 70
    assert invoke("hello", "--nope").exit_code == 2


def test_help_names_the_owner_of_each_command_and_what_is_broken(loads: list[str]) -> None:
    said = " ".join(invoke("--help").stdout.split())
    assert "hello Greet. (acme)" in said
    assert "broken broken: the command 'broken' of rusty does not load: RuntimeError: its own fault" in said
    assert "thief" not in said


def test_a_broken_command_is_an_error_of_the_install(loads: list[str]) -> None:
    result = invoke("broken")
    assert result.exit_code == 78
    assert "of rusty does not load: RuntimeError: its own fault" in result.stderr
    assert invoke("wrong").exit_code == 78


def test_no_package_takes_the_name_of_ours(loads: list[str]) -> None:
    assert "Run the workflow in FILE" in " ".join(invoke("run", "--help").stdout.split())
    assert loads == []
