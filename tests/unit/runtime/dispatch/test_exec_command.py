from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exec_calls import Programs
from nodeling_runtime.toolchains.command import CommandFault, compile_command
from nodeling_runtime.values import Value


def argv(command: list[str], inputs: Any) -> list[str]:
    return compile_command(tuple(command)).argv(Value.of(inputs))


def test_literals_stay_as_they_are() -> None:
    command = ["tool", "--all", "js/build.js", "$HOME", "{}", ""]
    assert argv(command, {}) == command


def test_an_escaped_opening_is_literal() -> None:
    assert argv(["bash", "-c", "echo $${HOME} $${USER}"], {}) == ["bash", "-c", "echo ${HOME} ${USER}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b;$(c)", "a b;$(c)"),
        ("", ""),
        (True, "true"),
        (3, "3"),
        (1.5, "1.5"),
        ("null", "null"),
        ("${x}", "${x}"),
    ],
)
def test_a_scalar_is_one_argument(value: Any, text: str) -> None:
    assert argv(["tool", "${inputs.value}"], {"value": value}) == ["tool", text]


@pytest.mark.parametrize("value", [None, [], ["a"], {"a": 1}])
def test_what_is_not_one_text_is_an_invalid_input_with_its_place(value: Any) -> None:
    with pytest.raises(CommandFault) as caught:
        argv(["tool", "${inputs.value}"], {"value": value})
    assert (caught.value.code, caught.value.pointer) == (4001, "/runtime/command/1")
    assert "${inputs.value}" in str(caught.value)


def test_a_missing_input_is_an_invalid_input_that_names_the_nearest() -> None:
    with pytest.raises(CommandFault, match="did you mean 'value'") as caught:
        argv(["tool", "${inputs.valeu}"], {"value": 1})
    assert caught.value.code == 4001


def test_a_default_can_stand_for_a_missing_input() -> None:
    assert argv(["tool", '${inputs.a ?? "none"}'], {}) == ["tool", "none"]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("--file=${inputs.file}", "inside a text"),
        ("${inputs.a}${inputs.b}", "inside a text"),
        ("${inputs.", "does not parse"),
        ("${inputs.a", "does not parse"),
        ("${steps.load.output}", "'steps'"),
        ("${item}", "'item'"),
    ],
)
def test_a_command_that_is_wrong_in_itself_is_a_fault_of_the_manifest(item: str, says: str) -> None:
    with pytest.raises(CommandFault, match=says) as caught:
        compile_command(("tool", item))
    assert (caught.value.code, caught.value.pointer) == (4002, "/runtime/command/1")


def test_an_empty_command_is_a_fault_of_the_manifest() -> None:
    with pytest.raises(CommandFault, match="names no program") as caught:
        compile_command(())
    assert caught.value.code == 4002


@settings(deadline=None, max_examples=80)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_input_is_ever_more_or_less_than_one_argument(text: str) -> None:
    assert argv(["tool", "${inputs.text}", "end"], {"text": text}) == ["tool", text, "end"]


def test_arguments_reach_the_program_unread_by_any_shell(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    spec = programs.python("import json, sys; print(json.dumps(sys.argv[1:]))")
    hostile = "; touch owned $(touch owned) `touch owned`\n'\""
    command = (*spec.manifest.runtime.command, "${inputs.text}", "${inputs.n}")
    outcome = programs.run(programs.command(*command), {"text": hostile, "n": 2})
    assert outcome.output is not None
    assert json.loads(outcome.output.data) == [hostile, "2"]
    assert not (programs.folder / "owned").exists()


@pytest.mark.parametrize(("text", "code"), [("a\0b", 4001), ("x" * 3_000_000, 4001)])
def test_an_argument_the_system_cannot_carry_is_an_invalid_input(
    tmp_path: Path, text: str, code: int
) -> None:
    programs = Programs(tmp_path)
    outcome = programs.run(programs.command("echo", "${inputs.text}"), {"text": text})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.started) == (4001, False)
    assert "stdin" in outcome.error.message


def test_a_faulty_argument_is_the_error_of_the_call(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    outcome = programs.run(programs.command("echo", "${inputs.list}"), {"list": [1]})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.details) == (4001, {"pointer": "/runtime/command/1"})
    assert programs.left_behind() == []
