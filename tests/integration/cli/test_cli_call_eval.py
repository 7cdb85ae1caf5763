from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_calls import invoke, write_node

CONFIGURED = """
def run(ctx, inputs):
    return {"inputs": inputs, "config": ctx.config}
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    write_node(tmp_path, "echo", "def run(ctx, inputs):\n    return inputs\n")
    write_node(tmp_path, "boom", "def run(ctx, inputs):\n    raise ValueError('no good')\n")
    write_node(
        tmp_path,
        "strict",
        "def run(ctx, inputs):\n    return 1\n",
        inputs={"type": "object", "required": ["x"]},
    )
    write_node(tmp_path, "configured", CONFIGURED, config={"type": "object", "properties": {"k": {}}})
    return tmp_path / "nodes"


def call(nodes: Path, *args: object) -> object:
    result = invoke("call", *args, "--nodes", nodes, "--quiet")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_node_is_called_with_what_it_is_given(nodes: Path) -> None:
    assert call(nodes, "echo", "--input", '{"a": 1}', "-i", "b=two") == {"a": 1, "b": "two"}
    assert call(nodes, "echo") == {}
    assert call(nodes, "echo@^1", "-i", "n=1") == {"n": 1}


def test_a_node_is_called_by_its_folder(nodes: Path) -> None:
    result = invoke("call", nodes / "echo", "-i", "n=1", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"n": 1}
    assert call(nodes, nodes / "echo", "-i", "n=2") == {"n": 2}


def test_what_a_node_is_given_is_never_read_as_an_expression(nodes: Path) -> None:
    given = {"a": "${1 + 1}", "b": "js/1 + 1", "c": "$${x}", "d": "${"}
    assert call(nodes, "echo", "--input", json.dumps(given)) == given


def test_config_reaches_the_node_as_it_is(nodes: Path) -> None:
    assert call(nodes, "configured", "--config", '{"k": "${x}"}') == {"inputs": {}, "config": {"k": "${x}"}}


def test_a_call_has_the_exit_codes_of_a_run(nodes: Path) -> None:
    failed = invoke("call", "boom", "--nodes", nodes, "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"]["message"] == "ValueError: no good"
    refused = invoke("call", "strict", "--nodes", nodes, "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["error"]["code"] == 4001


def test_an_unknown_node_ends_with_66_and_names_the_nearest(nodes: Path) -> None:
    result = invoke("call", "ecko", "--nodes", nodes)
    assert result.exit_code == 66
    assert result.stderr == "nodectl: no node is called 'ecko'; did you mean 'echo'?\n"
    assert result.stdout == ""
    as_json = invoke("call", "ecko", "--nodes", nodes, "--json")
    assert json.loads(as_json.stdout)["error"]["hint"] == "did you mean 'echo'?"


def test_a_container_is_refused_with_what_to_do_instead() -> None:
    result = invoke("call", "parallel")
    assert result.exit_code == 65
    assert "write a workflow" in result.stderr


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (["1 + 2"], 3),
        (["ctx.request.body.rows[1:3]", "--input", '{"rows": [1, 2, 3, 4]}'], [2, 3]),
        (["ctx.request.body.name", "-i", "name=Ann"], "Ann"),
        (["${ctx.vars.n}", "--vars", '{"n": [1]}'], [1]),
        (["n is ${ctx.vars.n}", "--vars", '{"n": 1}'], "n is 1"),
        (["$${ctx}"], "${ctx}"),
        (["js/ctx.request.body.rows.length", "--input", '{"rows": [1, 2]}'], 2),
        (["item * index", "--scope", '{"item": 2, "index": 3}'], 6),
        (['steps["a-b"].output ?? 1', "--scope", '{"steps": {"a-b": {"output": null}}}'], 1),
        (["ctx.run.id", "--scope", '{"ctx": {"run": {"id": "r"}}}'], "r"),
        (["ctx.request.body"], None),
    ],
)
def test_an_expression_is_evaluated_against_what_is_given(args: list[str], value: object) -> None:
    result = invoke("eval", *args)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == value
    assert json.loads(invoke("eval", *args, "--json").stdout) == {"value": value}


def test_a_wrong_expression_is_shown_with_a_caret_and_a_hint() -> None:
    result = invoke("eval", "ctx.request.bdy")
    assert result.exit_code == 65
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[1] == "    1 | ctx.request.bdy"
    assert lines[2].index("^") == lines[1].index("bdy")
    assert "did you mean 'body'?" in lines[3]


def test_every_wrong_expression_of_a_text_is_shown() -> None:
    result = invoke("eval", "${1 +} and ${nope(1)}")
    assert result.exit_code == 65
    assert result.stderr.count("^") == 2
    assert "1 +" in result.stderr
    assert "nope" in result.stderr


def test_a_wrong_expression_is_one_object_under_json() -> None:
    result = invoke("eval", "1 + + 2", "--json")
    assert result.exit_code == 65
    assert json.loads(result.stdout)["error"]["code"] == "expr.syntax"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "_NODECTL_COMPLETE" in result.stdout


NAMING_NODES = [["test"], ["build"], ["nodes", "show"], ["node-command"], ["sdk", "upgrade"]]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ev"], {"eval"}),
        (["call", "paral"], {"parallel", "parallel-execution"}),
        *(([*words, "paral"], {"parallel", "parallel-execution"}) for words in NAMING_NODES),
        (["create", "node", "--template", "java"], {"java", "javascript"}),
        (["runs", "show", ""], set()),
        (["run", "flow.yaml", "-p", ""], {"load.", "work."}),
        (["run", "nowhere.yaml", "-p", ""], set()),
    ],
)
def test_completion_offers_commands_nodes_and_steps(
    words: list[str], offered: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flow.yaml").write_text(
        "steps: [{name: load, node: x}, {name: work, node: y}]\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    line = " ".join(["nodectl", *(word or "''" for word in words)]).removesuffix("''")
    env = {
        "_NODECTL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    result = invoke(env=env)
    found = {entry.partition(",")[2] for entry in result.stdout.splitlines() if entry}
    assert found == offered
