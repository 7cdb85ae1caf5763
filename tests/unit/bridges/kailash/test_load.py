"""Serialised workflows in either spelling: recognised, converted, checked clean and run; what is wrong is named."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nodeling
from cli_calls import invoke
from nodeling.errors import ConfigError
from nodeling.formats import Source, Wishes
from nodeling_bridges.kailash.api import Workflow
from nodeling_bridges.kailash.hooks import recognises
from nodeling_bridges.kailash.load import convert, load
from nodeling_runtime.cli.main import cli
from nodeling_runtime.expressions.template import compile_template
from unit.plugins.http_stage import Server, served

CODE = "result = {'total': sum(numbers), 'rows': [{'n': n} for n in numbers]}"
TODAY: dict[str, Any] = {
    "workflow_id": "sums",
    "name": "Sums",
    "description": "Adds up.",
    "version": "2.0.0",
    "author": "Ada",
    "metadata": {"team": "red"},
    "nodes": {
        "add": {
            "node_id": "add",
            "node_type": "PythonCodeNode",
            "config": {"code": CODE, "numbers": [1, 2, 3]},
            "position": [10, 20],
        },
        "big": {
            "node_id": "big",
            "node_type": "SwitchNode",
            "config": {"condition_field": "total", "operator": ">", "value": 5},
        },
        "yes": {
            "node_id": "yes",
            "node_type": "PythonCodeNode",
            "config": {"code": "result = f'big: ${input_data}'"},
        },
        "no": {"node_id": "no", "node_type": "PythonCodeNode", "config": {"code": "result = 'small'"}},
        "end": {"node_id": "end", "node_type": "MergeNode", "config": {"merge_strategy": "first"}},
    },
    "connections": [
        {"source_node": "add", "source_output": "result", "target_node": "big", "target_input": "input_data"},
        {
            "source_node": "big",
            "source_output": "true_output.total",
            "target_node": "yes",
            "target_input": "input_data",
        },
        {
            "source_node": "big",
            "source_output": "false_output",
            "target_node": "no",
            "target_input": "input_data",
        },
        {"source_node": "yes", "source_output": "result", "target_node": "end", "target_input": "data1"},
        {"source_node": "no", "source_output": "result", "target_node": "end", "target_input": "data2"},
    ],
}


def before() -> dict[str, Any]:
    """The same in the older spelling."""
    old: dict[str, Any] = json.loads(json.dumps(TODAY))
    old["nodes"] = [
        {"id": key, "type": one["node_type"], "config": one["config"]} for key, one in TODAY["nodes"].items()
    ]
    old["connections"] = [
        {
            "from_node": a["source_node"],
            "from_output": a["source_output"],
            "to_node": a["target_node"],
            "to_input": a["target_input"],
        }
        for a in TODAY["connections"]
    ]
    return old


def native(document: dict[str, Any]) -> nodeling.Workflow:
    made = nodeling.load(document)
    assert [str(fault) for fault in made.check() if fault.severity == "error"] == []
    return made


def nodectl(*words: str) -> Any:
    return CliRunner().invoke(cli, list(words), catch_exceptions=False)


def faults(data: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    with pytest.raises(ConfigError) as caught:
        load(data)
    return [(fault.code, fault.message, fault.hint) for fault in caught.value.faults]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NODELING_HTTP_ALLOW", "127.0.0.1")
    with served() as made:
        yield made


def test_both_spellings_become_the_same_steps() -> None:
    assert load(TODAY)["steps"] == load(before())["steps"]


def test_what_a_workflow_says_of_itself_is_kept() -> None:
    document = load(TODAY)
    assert (document["name"], document["version"], document["author"]) == ("Sums", "2.0.0", "Ada")
    assert document["metadata"] == {
        "kailash": {"team": "red", "workflow_id": "sums", "positions": {"add": [10, 20]}}
    }


def test_a_converted_workflow_checks_clean_and_gives_the_same_from_its_yaml(tmp_path: Path) -> None:
    made = native(load(TODAY))
    (tmp_path / "native.yaml").write_text(made.to_yaml(), encoding="utf-8")
    results = [made.run().outputs, nodeling.run(tmp_path / "native.yaml").outputs]
    assert results[0] == results[1]
    assert results[0]["end"]["result"] == "big: $6"
    assert results[0]["no"] is None


def test_an_output_of_one_branch_is_chosen_by_the_value() -> None:
    small = json.loads(json.dumps(TODAY))
    small["nodes"]["add"]["config"]["numbers"] = [1]
    result = native(load(small)).run()
    assert result.succeeded
    assert (result.outputs["end"]["result"], result.outputs["yes"]) == ("small", None)


def test_nodectl_runs_and_converts_the_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "sums.json"
    file.write_text(json.dumps(TODAY), encoding="utf-8")
    converted = nodectl("convert", str(file))
    assert converted.exit_code == 0, converted.output
    (tmp_path / "native.yaml").write_text(converted.stdout, encoding="utf-8")
    assert nodectl("check", str(tmp_path / "native.yaml")).exit_code == 0
    runs = [
        json.loads(nodectl("run", str(path), "--json", "--store", "none").stdout)
        for path in (file, tmp_path / "native.yaml")
    ]
    assert runs[0]["outputs"] == runs[1]["outputs"]
    assert runs[0]["outputs"]["end"]["result"] == "big: $6"


def test_what_nothing_gives_is_the_run_s_input(tmp_path: Path) -> None:
    file = tmp_path / "asks.yaml"
    file.write_text(
        textwrap.dedent("""\
            workflow_id: asks
            nodes:
              add: {node_type: PythonCodeNode, config: {code: "result = sum(numbers) * factor"}}
            connections: []
            """),
        encoding="utf-8",
    )
    body = json.dumps({"add": {"numbers": [1, 2]}, "factor": 10})
    said = json.loads(nodectl("run", str(file), "--json", "--store", "none", "--input", body).stdout)
    assert said["output"] == 30
    lacking = json.loads(nodectl("run", str(file), "--json", "--store", "none", "--input", "{}").stdout)
    assert (lacking["status"], "factor" in lacking["error"]["message"]) == ("failed", True)


def test_notes_and_faults_show_the_lines_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        textwrap.dedent("""\
            workflow_id: wrong
            owner: nobody
            nodes:
              a: {node_type: PythonCodNode, config: {code: "result = 1"}}
              b:
                node_type: CSVReaderNode
                config: {file_pth: x.csv}
              c: {node_type: PythonCodeNode, config: {code: "result = ("}}
            connections:
              - {source_node: a, source_output: result, target_node: cc, target_input: x}
            """),
        encoding="utf-8",
    )
    ended = nodectl("check", str(file))
    assert ended.exit_code == 65
    for said in (
        "wrong.yaml:2",
        "wrong.yaml:4",
        "did you mean 'PythonCodeNode'?",
        "wrong.yaml:7",
        "did you mean 'file_path'?",
        "wrong.yaml:10",
        "names 'cc'",
    ):
        assert said in ended.output, ended.output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes": {}}, "has no node"),
        ({"nodes": 3}, "`nodes` must be"),
        ({"nodes": {"a": 3}}, "a node must be an object"),
        ({"nodes": {"a": {"config": {}}}}, "a node's `node_type` must be a text"),
        ({"nodes": {"a/b": {"type": "MergeNode"}}}, "is no id here"),
        (
            {"nodes": [{"id": "a", "type": "MergeNode"}, {"id": "a", "type": "MergeNode"}]},
            "two nodes are called 'a'",
        ),
        ({"connections": 3}, "`connections` must be a list"),
        ({"connections": [3]}, "a connection must be an object"),
        ({"connections": [{"source_nod": "add"}]}, "a connection has no 'source_nod'"),
        (
            {"connections": [{"source_node": "add", "target_node": "no", "condition": "x"}]},
            "a condition on a connection",
        ),
        ({"runtime_config": {"max_paralel_tasks": 3}}, "has no 'max_paralel_tasks'"),
        ({"runtime_config": {"max_parallel_tasks": 0}}, "from 1 up"),
        ({"runtime_config": {"memory_limit": "much"}}, "is a size like"),
        ({"runtime_config": {"memory_limit": "1MB"}}, "at least 16 MB"),
        ({"runtime_config": {"task_timeout": "soon"}}, "a number of milliseconds"),
    ],
)
def test_what_has_the_wrong_shape_is_refused(change: dict[str, Any], said: str) -> None:
    found = faults({**TODAY, **change})
    assert any(said in message for _, message, _ in found), found


def test_a_circle_is_refused_with_its_members_in_order() -> None:
    data = json.loads(json.dumps(TODAY))
    data["connections"].append(
        {"source_node": "yes", "source_output": "result", "target_node": "add", "target_input": "numbers"}
    )
    ((code, message, _),) = faults(data)
    assert code == "kailash.cycle"
    members = message.rpartition(": ")[2].split(" → ")
    assert members[0] == members[-1]
    assert set(members) == {"add", "big", "yes"}


def test_what_a_connection_says_of_repetition_is_noted_with_its_place() -> None:
    data = json.loads(json.dumps(TODAY))
    data["connections"][0].update(max_iterations=5, cycle=False)
    (note,) = convert(Source("w.json", "", data), Wishes()).notes
    assert (note.code, note.severity, note.pointer) == ("kailash.not_carried", "warning", "/connections/0")
    assert note.message.startswith("max_iterations of a connection: left out")


def test_all_faults_are_told_at_once() -> None:
    data = json.loads(json.dumps(TODAY))
    data["nodes"]["big"]["config"]["operator"] = "=>"
    data["nodes"]["end"]["config"]["merge_strategy"] = "frist"
    data["connections"].append({"source_node": "big", "target_node": "nobody"})
    assert [message.rpartition(": ")[2] for _, message, _ in faults(data)] == [
        "a connection names 'nobody', which is no node",
        "`operator` cannot be '=>'",
        "`merge_strategy` cannot be 'frist'",
    ]


def test_text_that_looks_like_an_expression_stays_text() -> None:
    data = {
        "nodes": {
            "a": {
                "type": "PythonCodeNode",
                "config": {
                    "code": "result = [one, two, '$${x}', 'js/1']",
                    "one": "${ctx.env.HOME}",
                    "two": "js/1+1",
                },
            }
        },
        "connections": [],
    }
    assert native(load(data)).run().outputs["a"] == ["${ctx.env.HOME}", "js/1+1", "$${x}", "js/1"]


HOSTILE = "${ctx.env.HOME}"
HOLDERS: list[tuple[str, dict[str, Any]]] = [
    ("SwitchNode", {"condition_field": "n", "n": 1, "cases": [HOSTILE], "case_prefix": HOSTILE}),
    ("SwitchNode", {"condition": f"n == '{HOSTILE}'", "n": HOSTILE}),
    ("SwitchNode", {"condition_field": HOSTILE, "n": 1}),
    ("RESTClientNode", {"base_url": "http://x", "resource": "{a}", "path_params": {"a": HOSTILE}}),
    ("RestClientNode", {"url": HOSTILE, "headers": {HOSTILE: HOSTILE}}),
    ("ValidationNode", {"data": [], "rules": [{"condition": "a > 1", "name": HOSTILE, "message": HOSTILE}]}),
    ("NotificationNode", {"channel": HOSTILE, "message": HOSTILE, "title": HOSTILE}),
    ("DirectoryReaderNode", {"directory_path": HOSTILE, "pattern": HOSTILE}),
    ("FilterNode", {"data": [], "field": HOSTILE, "value": HOSTILE}),
    ("DataTransformer", {"data": HOSTILE, "transformations": [HOSTILE]}),
    ("PythonCodeNode", {"code": f"result = a, '{HOSTILE}'", "a": {HOSTILE: HOSTILE}}),
    ("MergeNode", {"data1": HOSTILE, "required_inputs": [HOSTILE]}),
]


@pytest.mark.parametrize(("kind", "config"), HOLDERS)
def test_no_text_of_a_configuration_becomes_an_expression(kind: str, config: dict[str, Any]) -> None:
    try:
        document = load({"nodes": {HOSTILE: {"type": kind, "config": config}}, "connections": []})
    except ConfigError:
        return  # refused is as good
    (step,) = document["steps"]
    read = [str(reference) for _, reference in compile_template({**step, "name": "", "needs": []}).references]
    assert not any(one.startswith("ctx.env") for one in read), read


def test_route_data_runs_both_branches_and_the_one_not_taken_gets_nothing() -> None:
    data = {
        "nodes": {
            "s": {"type": "SwitchNode", "config": {"condition": "n > 1", "n": 5}},
            "yes": {"type": "PythonCodeNode", "config": {"code": "result = ['yes', x]"}},
            "no": {"type": "PythonCodeNode", "config": {"code": "result = ['no', x]"}},
        },
        "connections": [
            {"from_node": "s", "from_output": "true_output", "to_node": "yes", "to_input": "x"},
            {"from_node": "s", "from_output": "false_output", "to_node": "no", "to_input": "x"},
        ],
        "runtime_config": {"conditional_execution": "route_data"},
    }
    outputs = native(load(data)).run().outputs
    assert (outputs["yes"], outputs["no"]) == (["yes", {"n": 5}], ["no", None])


def test_cases_choose_one_branch_and_the_default_the_rest() -> None:
    data = {
        "nodes": {
            "s": {"type": "SwitchNode", "config": {"condition_field": "kind", "cases": ["a", "b"]}},
            **{
                name: {"type": "PythonCodeNode", "config": {"code": f"result = '{name}'"}}
                for name in ("on_a", "on_b", "other", "after")
            },
            "kinds": {"type": "PythonCodeNode", "config": {"code": "result = {'kind': wanted}"}},
        },
        "connections": [
            {"from_node": "kinds", "from_output": "result", "to_node": "s", "to_input": "input_data"},
            {"from_node": "s", "from_output": "case_a", "to_node": "on_a", "to_input": "x"},
            {"from_node": "s", "from_output": "case_b", "to_node": "on_b", "to_input": "x"},
            {"from_node": "s", "from_output": "default", "to_node": "other", "to_input": "x"},
            {"from_node": "on_b", "from_output": "result", "to_node": "after", "to_input": "x"},
        ],
    }
    made = native(load(data))
    for wanted, ran in (("a", ["on_a"]), ("b", ["on_b", "after"]), ("z", ["other"])):
        outputs = made.run({"wanted": wanted}).outputs
        assert [name for name in ("on_a", "on_b", "other", "after") if outputs[name]] == ran


def test_a_failure_that_nobody_looks_at_fails_the_run_and_one_that_a_switch_sees_does_not(
    server: Server,
) -> None:
    server.answer("/gone", 404, b"no")
    alone = {
        "nodes": {"ask": {"type": "RestClientNode", "config": {"url": f"{server.url}/gone"}}},
        "connections": [],
    }
    assert native(load(alone)).run().status == "failed"
    seen = {
        "nodes": {
            **alone["nodes"],
            "check": {"type": "SwitchNode", "config": {"condition": "status_code == 200"}},
            "else": {"type": "PythonCodeNode", "config": {"code": "result = [status, error['message']]"}},
        },
        "connections": [
            {"source_node": "ask", "target_node": "check"},
            {
                "source_node": "check",
                "source_output": "false_output.error",
                "target_node": "else",
                "target_input": "error",
            },
            {
                "source_node": "check",
                "source_output": "false_output.status_code",
                "target_node": "else",
                "target_input": "status",
            },
        ],
    }
    result = native(load(seen)).run()
    assert result.succeeded
    assert result.outputs["else"] == [404, f"{server.url} answered 404"]


def test_who_only_wants_an_answer_is_skipped_where_a_switch_deals_with_the_failure(server: Server) -> None:
    server.answer("/gone", 404, b"no")
    data = {
        "nodes": {
            "ask": {"type": "RestClientNode", "config": {"url": f"{server.url}/gone"}},
            "check": {"type": "SwitchNode", "config": {"condition": "success"}},
            "use": {"type": "PythonCodeNode", "config": {"code": "result = answer.upper()"}},
        },
        "connections": [
            {"source_node": "ask", "target_node": "check"},
            {
                "source_node": "ask",
                "source_output": "response",
                "target_node": "use",
                "target_input": "answer",
            },
        ],
    }
    result = native(load(data)).run()
    assert result.succeeded
    assert result.steps["use"].status == "skipped"


def test_errors_of_requests_in_two_branches_go_to_one_node(server: Server) -> None:
    server.answer("/gone", 404, b"no")
    data = {
        "nodes": {
            "which": {"type": "SwitchNode", "config": {"condition": "n > 1", "n": 5}},
            "one": {"type": "RestClientNode", "config": {"url": f"{server.url}/gone"}},
            "two": {"type": "RestClientNode", "config": {"url": f"{server.url}/gone"}},
            "tell": {
                "type": "PythonCodeNode",
                "config": {"code": "result = sorted(set(locals()) & {'a', 'b'})"},
            },
        },
        "connections": [
            {"from_node": "which", "from_output": "true_output", "to_node": "one", "to_input": "params"},
            {"from_node": "which", "from_output": "false_output", "to_node": "two", "to_input": "params"},
            {"from_node": "one", "from_output": "error", "to_node": "tell", "to_input": "a"},
            {"from_node": "two", "from_output": "error", "to_node": "tell", "to_input": "b"},
        ],
    }
    result = native(load(data)).run()
    assert (result.status, result.outputs["tell"]) == ("succeeded", ["a"])


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("MergeNode", {"merge_stratgy": "first"}, "did you mean 'merge_strategy'?"),
        ("SwitchNode", {"condition": "n", "n": 1, "conditon_field": "n"}, "did you mean 'condition_field'?"),
        ("PythonCodeNode", {"code": "result = rows", "row": 1}, "no parameter 'row'"),
        ("PythonCodeNode", {"cod": "result = 1"}, "did you mean 'code'?"),
        ("PythonCodeNode", {"code": 3}, "needs `code`, a text"),
        (
            "DataTransformer",
            {"transformation": ["lambda x: x"], "data": 1},
            "did you mean 'transformations'?",
        ),
        ("DataTransformer", {"transformations": [3], "data": 1}, "is a list of texts"),
        ("HTTPRequestNode", {"url": "http://x", "method": "GTE"}, "did you mean 'GET'?"),
        ("SwitchNode", {"condition": "n", "cases": ["a"], "n": 1}, "it has `condition` and `cases`"),
        ("SwitchNode", {"condition_field": "n", "cases": "a", "n": 1}, "`cases` is a list"),
        ("SwitchNode", {}, "neither `condition` nor `condition_field`"),
        ("SwitchNode", {"condition": "nobody == 1"}, "reads 'nobody', which nothing brings"),
        ("NotificationNode", {"channel": "email", "message": "x"}, "an e-mail needs `smtp_host`"),
    ],
)
def test_a_misspelt_or_senseless_parameter_is_refused(kind: str, config: dict[str, Any], said: str) -> None:
    found = faults({"nodes": {"x": {"type": kind, "config": config}}, "connections": []})
    assert any(said in f"{message} {hint}" for _, message, hint in found), found


@pytest.mark.parametrize(
    ("kind", "target"),
    [("PythonCodeNode", "code"), ("DataTransformer", "transformations"), ("FileProcessorNode", "process")],
)
def test_code_never_arrives_with_data(kind: str, target: str) -> None:
    data = {
        "nodes": {
            "a": {"type": "PythonCodeNode", "config": {"code": "result = 'import os'"}},
            "b": {"type": kind, "config": {}},
        },
        "connections": [{"from_node": "a", "from_output": "result", "to_node": "b", "to_input": target}],
    }
    assert any("cannot arrive" in message for _, message, _ in faults(data))


def test_a_type_may_be_bound_to_a_node_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "bound.json"
    data = {
        "nodes": {
            "cut": {"type": "VendorSplitter", "config": {"value": [1, 2, 3, 4], "size": 2}},
            "show": {"type": "PythonCodeNode", "config": {"code": "result = parts"}},
        },
        "connections": [{"from_node": "cut", "from_output": "parts", "to_node": "show", "to_input": "parts"}],
    }
    file.write_text(json.dumps(data), encoding="utf-8")
    ended = nodectl("run", str(file), "--bind", "VendorSplitter=split", "--json", "--store", "none")
    assert json.loads(ended.stdout)["output"] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("data", "is_ours"),
    [
        (TODAY, True),
        (before(), True),
        ({"name": "native", "steps": []}, False),
        ({"name": "blok", "steps": [], "nodes": {"a": {"inputs": {}}}}, False),
        ({"nodes": {}, "connections": []}, False),
        ({"nodes": "x", "connections": []}, False),
        ({"nodes": [1], "connections": []}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_file_is_recognised_by_its_content(data: Any, is_ours: bool) -> None:
    assert recognises(Source("any", "", data)) is is_ours


@pytest.mark.parametrize(
    ("kind", "instead"),
    [
        ("AsyncMergeNode", "use MergeNode"),
        ("GraphQLClientNode", "use HTTPRequestNode"),
        ("LoopNode", "a native `while`"),
    ],
)
def test_a_type_that_is_not_here_is_refused_with_what_to_use_instead(
    tmp_path: Path, kind: str, instead: str
) -> None:
    data = {"workflow_id": "w", "nodes": {"a": {"node_type": kind, "config": {}}}, "connections": []}
    path = tmp_path / "w.json"
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    said = invoke("check", path)
    assert said.exit_code == 65
    assert f"no type of node is called '{kind}'" in said.output
    assert instead in said.output
    with pytest.raises(ConfigError, match=instead):
        Workflow("w").add_node("a", kind)
