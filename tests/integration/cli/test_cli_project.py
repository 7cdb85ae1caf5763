"""The commands around a project: check, test, nodes, schema, doctor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodeling_runtime import plugins
from nodeling_runtime.cli.main import cli
from nodeling_runtime.documents.reader import read_document
from nodeling_runtime.schemas import compile_schema
from programs import need

ADDER = {
    "name": "adder",
    "version": "1.0.0",
    "description": "Add one.",
    "inputs": {
        "type": "object",
        "properties": {"number": {"type": "integer", "description": "What to add to."}},
        "required": ["number"],
        "additionalProperties": False,
    },
    "output": {"type": "integer"},
    "examples": [{"name": "one and one", "inputs": {"number": 1}, "output": 2}],
}
EXEC = {"type": "runtime.command", "protocol": "exec"}
ONE = "def run(ctx, inputs):\n    return 1\n"
ADDER_CODE = """\
from nodeling import node


@node
def adder(number: int) -> int:
    return number + 1
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".nodeling").mkdir()
    add_node("adder", ADDER, **{"node.py": ADDER_CODE})
    return tmp_path


def add_node(folder, manifest, **files):
    home = Path("nodes", folder)
    home.mkdir(parents=True, exist_ok=True)
    text = manifest if isinstance(manifest, str) else json.dumps(manifest, indent=2)
    (home / "config.json").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (home / name).write_text(content, encoding="utf-8")


def add_workflow(name, *steps, **keys):
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(json.dumps({"name": "w", "steps": list(steps), **keys}), encoding="utf-8")


def nodectl(*words, code=0):
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == code, result.output
    return result


def checked(*words, code=0):
    return json.loads(nodectl("check", "--json", *words, code=code).stdout)


# -- check


def test_check_finds_nodes_and_workflows_by_itself(project):
    add_workflow("flow.json", {"name": "a", "node": "adder", "inputs": {"number": 1}})
    add_workflow("workflows/deep.yaml", {"name": "a", "node": "adder", "inputs": {"number": 1}})
    Path("package.json").write_text('{"name": "no workflow"}', encoding="utf-8")
    Path("notes.yaml").write_text("a: [1, 2\n", encoding="utf-8")
    report = checked()
    assert report["checked"] == [
        {"kind": "node", "file": "nodes/adder/config.json"},
        {"kind": "workflow", "file": "flow.json"},
        {"kind": "workflow", "file": "workflows/deep.yaml"},
    ]
    assert (report["ok"], report["errors"], report["warnings"], report["faults"]) == (True, 0, 0, [])


def test_check_works_from_deep_inside_a_project(project, monkeypatch):
    Path("some/place").mkdir(parents=True)
    monkeypatch.chdir("some/place")
    assert [entry["file"] for entry in checked()["checked"]] == ["../../nodes/adder/config.json"]


def test_check_lists_every_fault_with_its_place_and_runs_nothing(project):
    add_node("loud", {"name": "loud"}, **{"node.py": "raise SystemExit('imported')"})
    steps = [
        '{"name": "a", "node": "addr"}',
        '{"name": "b", "node": "loud", "needz": []}',
    ]
    Path("flow.json").write_text('{"steps": [\n  ' + ",\n  ".join(steps) + "\n]}", encoding="utf-8")
    shown = nodectl("check", code=65)
    assert (
        "flow.json:2:25: no node is called 'addr' (at /steps/0/node); did you mean 'adder'?" in shown.stdout
    )
    assert (
        "flow.json:3:33: step 'b' has no key 'needz' (at /steps/1/needz); did you mean 'needs'?"
        in shown.stdout
    )
    assert "1 workflow and 2 nodes checked: 2 errors" in shown.stderr
    places = [(fault["line"], fault["pointer"]) for fault in checked(code=65)["faults"]]
    assert places == [(2, "/steps/0/node"), (3, "/steps/1/needz")]


@pytest.mark.parametrize(
    ("manifest", "files", "said"),
    [
        ('{"name": "x", }x', {}, "nodes/bad/config.json:1:"),
        ('{"name": "bad", "configs": {}}', {"node.py": ""}, "did you mean 'config'?"),
        (
            '{"name": "bad"}',
            {"nod.py": ""},
            "the folder holds no 'node.py' (at /runtime/entry); did you mean 'nod.py'?",
        ),
        ('{"name": "bad", "runtime": {"type": "runtime.bash"}}', {}, "the folder holds no 'node.sh'"),
        (
            {"name": "bad", "runtime": EXEC | {"command": ["./tool"]}},
            {},
            "the folder holds no './tool'",
        ),
        (
            {"name": "bad", "runtime": EXEC | {"command": ["a${inputs.b}"]}},
            {},
            "(at /runtime/command/0)",
        ),
        ('{"name": "bad", "inputs": {"type": "strin"}}', {"node.py": ""}, "(at /inputs/type)"),
    ],
)
def test_check_says_what_is_wrong_with_a_node_folder(project, manifest, files, said):
    add_node("bad", manifest, **files)
    assert said in nodectl("check", "nodes/bad", code=65).stdout


def test_warnings_fail_only_when_they_are_asked_to(project):
    add_node("elsewhere", ADDER | {"name": "other"}, **{"node.py": ADDER_CODE})
    shown = nodectl("check", "nodes/elsewhere")
    assert (
        "warning: nodes/elsewhere/config.json:2:11: folder 'elsewhere' holds the node 'other'" in shown.stdout
    )
    nodectl("check", "nodes/elsewhere", "--strict", code=1)
    assert checked("nodes/elsewhere", "--strict", code=1)["warnings"] == 1


def test_what_nobody_can_decide_is_said_only_when_it_is_asked_for(project):
    add_node("any", {"name": "any"}, **{"node.py": "def run(ctx, inputs): return 1"})
    step = {"name": "b", "node": "adder", "inputs": {"number": "${steps.a.output}"}}
    add_workflow("flow.json", {"name": "a", "node": "any"}, step)
    assert checked("flow.json")["faults"] == []
    found = checked("flow.json", "--strict", code=1)["faults"]
    assert [(fault["severity"], fault["pointer"]) for fault in found] == [
        ("warning", "/steps/1/inputs/number")
    ]


def test_two_nodes_of_one_name_are_told_once_with_both_owners(project):
    add_node("group/adder", ADDER, **{"node.py": ADDER_CODE})
    faults = checked(code=65)["faults"]
    assert [fault["code"] for fault in faults] == ["registry.duplicate"]
    assert "nodes/adder" in faults[0]["message"] and "nodes/group/adder" in faults[0]["message"]


def test_check_compares_code_with_manifest_when_it_is_asked_to(project):
    checked("--code")
    changed = json.loads(json.dumps(ADDER))
    changed["inputs"]["properties"]["number"]["type"] = "string"
    add_node("adder", changed)
    checked()
    fault = checked("--code", code=65)["faults"][0]
    assert (fault["code"], fault["pointer"]) == ("manifest.code", "/inputs")
    assert "nodectl schema --write adder" in fault["hint"]
    Path("nodes/adder/node.py").write_text("print('hi')\nraise RuntimeError('on import')\n", encoding="utf-8")
    assert "RuntimeError: on import" in checked("--code", code=65)["faults"][0]["message"]


def test_check_leaves_no_trace_of_the_code_it_asked(project):
    before = set(sys.modules)
    checked("--code")
    assert not [name for name in set(sys.modules) - before if name.startswith("nodeling_node_")]


def test_a_file_that_is_not_there_is_66_with_the_nearest(project):
    add_workflow("flow.json", {"name": "a", "node": "adder", "inputs": {"number": 1}})
    assert "did you mean 'flow.json'?" in nodectl("check", "flwo.json", code=66).stderr
    nodectl("check", "--nodes", "gone", code=66)


def test_more_node_folders_are_known_and_checked(project):
    Path("extra/shout").mkdir(parents=True)
    Path("extra/shout/config.json").write_text('{"name": "shout"}', encoding="utf-8")
    add_workflow("flow.json", {"name": "a", "node": "shout"})
    checked("flow.json", code=65)
    report = checked("flow.json", "--nodes", "extra", code=65)
    assert [fault["code"] for fault in report["faults"]] == ["manifest.entry"]


def test_a_folder_that_is_named_beside_the_project_is_checked_once(project):
    assert [entry["kind"] for entry in checked("--nodes", "nodes")["checked"]].count("node") == 1


# -- test


def test_examples_pass_and_fail_with_a_difference(project):
    add_node("adder", ADDER | {"examples": [*ADDER["examples"], {"inputs": {"number": 1}, "output": 3}]})
    shown = nodectl("test", code=1)
    assert "adder: one and one: ok" in shown.stdout
    assert "adder: example 2: FAILED" in shown.stdout
    assert "the output is another" in shown.stdout
    assert "    -3\n    +2\n" in shown.stdout
    report = json.loads(nodectl("test", "adder", "--json", code=1).stdout)
    assert (report["ok"], report["passed"], report["failed"]) == (False, 1, 1)
    assert report["nodes"][0]["examples"][1]["diff"][-2:] == ["-3", "+2"]


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        ({"inputs": {}, "error": 4001}, None),
        ({"inputs": {}, "error": 4002}, "it failed with 4001"),
        ({"inputs": {}}, "it failed, and should have succeeded: [4001]"),
        ({"inputs": {}, "status": "failed"}, None),
        ({"inputs": {"number": 1}, "error": 4001}, "it succeeded, and should have failed"),
        ({"inputs": {"number": 1}, "output": True}, "the output is another"),
        ({"inputs": {"number": 1}, "output": 2.0}, None),
        ({"inputs": {"number": 1}, "output_schema": {"minimum": 2}}, None),
        ({"inputs": {"number": 1}, "output_schema": {"minimum": 3}}, "does not fit `output_schema`"),
        ({"inputs": {"number": 1}, "step": {"timeout": "soon"}}, "it could not be run"),
    ],
)
def test_an_example_means_what_it_says(project, example, problem):
    add_node("adder", ADDER | {"examples": [example]})
    result = json.loads(nodectl("test", "adder", "--json", code=0 if problem is None else 1).stdout)
    found = result["nodes"][0]["examples"][0]["problem"]
    assert found is None if problem is None else problem in found


def test_a_schema_that_validators_read_differently_is_told(project, monkeypatch):
    monkeypatch.setattr("nodeling_runtime.examples.second_opinion", lambda schema, value: value != 2)
    shown = nodectl("test", code=1).stdout
    assert (
        "its `output` schema is read in two ways: the example fits here, and does not fit by jsonschema"
        in shown
    )


def test_a_pattern_that_only_one_validator_knows_is_no_failure(project):
    word = {"type": "object", "properties": {"word": {"type": "string", "pattern": r"^\p{L}+$"}}}
    example = {"inputs": {"word": "naïve"}, "output": 1}
    add_node("word", {"name": "word", "inputs": word, "examples": [example]}, **{"node.py": ONE})
    nodectl("test", "word")


def test_a_node_that_raises_shows_its_own_traceback(project):
    add_node("adder", ADDER, **{"node.py": "def run(ctx, inputs):\n    return 1 / 0\n"})
    shown = nodectl("test", code=1).stdout
    assert "ZeroDivisionError" in shown and "return 1 / 0" in shown
    assert "nodeling_runtime" not in shown


def test_what_a_node_prints_does_not_disturb_the_one_object(project):
    add_node("adder", ADDER, **{"node.py": "def run(ctx, inputs):\n    print('noise')\n    return 2\n"})
    assert json.loads(nodectl("test", "--json").stdout)["passed"] == 1


def test_nodes_without_examples_are_counted_and_no_failure(project):
    add_node("bare", {"name": "bare"}, **{"node.py": "def run(ctx, inputs): return 1"})
    shown = nodectl("test")
    assert "bare: no examples" in shown.stdout
    assert "1 passed, 1 node without examples" in shown.stderr


def test_a_node_whose_language_nobody_brings_says_so(project):
    add_node("gopher", ADDER | {"name": "gopher", "runtime": {"type": "runtime.klingon"}})
    result = json.loads(nodectl("test", "gopher", "--json", code=1).stdout)
    assert "no toolchain is registered for `runtime.klingon`" in result["nodes"][0]["examples"][0]["problem"]


def test_a_node_that_does_not_build_is_tried_once_and_says_why(project):
    need("gcc")
    nodectl("create", "node", "--runtime", "c", "--name", "broken")
    with Path("nodes/broken/node.c").open("a", encoding="utf-8") as code:
        code.write("int wrong = nowhere;\n")
    shown = nodectl("test", "broken", code=1)
    assert shown.stderr.count("building broken (C)") == 1
    (failure,) = [line for line in shown.stdout.splitlines() if "FAILED" not in line]
    assert "broken could not be built" in failure and "nowhere" in failure


def test_a_node_nobody_knows_is_66(project):
    assert "did you mean 'adder'?" in nodectl("test", "addr", code=66).stderr


def test_a_node_with_a_faulty_manifest_shows_the_fault(project):
    add_node("bad", '{"name": "bad", "configs": {}}')
    assert "did you mean 'config'?" in nodectl("test", "bad", code=65).stderr


def test_a_node_that_cannot_be_read_is_one_that_does_not_pass(project):
    add_node("bad", '{"name": "bad", "configs": {}}')
    shown = nodectl("test", code=1)
    assert "adder: one and one: ok" in shown.stdout
    assert "did you mean 'config'?" in shown.stderr
    report = json.loads(nodectl("test", "--json", code=1).stdout)
    assert (report["ok"], report["failed"], len(report["faults"])) == (False, 0, 1)
    nodectl("test", "adder")


def test_an_empty_project_is_told_how_to_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "nodectl create node" in nodectl("test").stderr
    assert "nothing checked" in nodectl("check").stderr


# -- nodes


def test_nodes_are_listed_with_who_brought_them(project):
    lines = nodectl("nodes", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "FROM", "TYPE", "DESCRIPTION"]
    row = next(line for line in lines if line.startswith("adder "))
    assert row.split() == ["adder", "1.0.0", "project", "python", "Add", "one."]
    assert any(line.split()[:3] == ["parallel", "1.0.0", "nodeling"] for line in lines)


def test_troubles_stand_beneath_the_list(project):
    add_node("bad", '{"name": "bad", "configs": {}}')
    shown = nodectl("nodes", "list")
    assert "did you mean 'config'?" in shown.stderr and "configs" not in shown.stdout
    listed = json.loads(nodectl("nodes", "list", "--json").stdout)
    assert [fault["pointer"] for fault in listed["faults"]] == ["/configs"]
    assert "adder" in {node["name"] for node in listed["nodes"]}


def test_one_node_is_shown_to_people_and_to_programs(project):
    text = nodectl("nodes", "show", "adder").stdout
    assert "number  integer (required): What to add to." in text
    assert 'inputs: {"number": 1}' in text
    shown = json.loads(nodectl("nodes", "show", "adder", "--json").stdout)
    assert shown["inputs"] == ADDER["inputs"] and shown["examples"] == ADDER["examples"]
    assert shown["distribution"] == "project" and shown["file"].endswith("nodes/adder/config.json")
    container = nodectl("nodes", "show", "parallel").stdout
    assert "a list of steps (required)" in container and "parallel-execution" in container
    assert json.loads(nodectl("nodes", "show", "nodes/adder", "--json").stdout)["name"] == "adder"
    nodectl("nodes", "show", "addr", code=66)


# -- schema


def workflow_validator():
    return compile_schema(json.loads(nodectl("schema", "--print").stdout), where="workflow.v1.json")


GOOD = {
    "steps": [
        {"name": "a", "node": "adder", "inputs": {"number": 1}},
        {
            "name": "b",
            "node": "adder",
            "inputs": {"number": "${steps.a.output}"},
            "needs": ["a"],
            "x-note": 1,
        },
        {
            "name": "c",
            "node": "adder@^1",
            "inputs": "${ctx.request.body}",
            "retry": {"attempts": 3, "delay": "1s"},
        },
        {
            "name": "d",
            "node": "parallel",
            "execution": {"max_concurrent": "${2}", "timeout": 300},
            "nodes": [{"name": "e", "node": "adder", "if": False}],
        },
        {"name": "f", "node": "for-each", "in": "${[1]}", "do": {"name": "g", "node": "adder"}},
        {"name": "h", "node": "while", "while": "${false}", "do": [{"name": "i", "node": "adder"}]},
    ]
}


def test_the_editors_schema_knows_the_nodes_that_are_there(project):
    judge = workflow_validator()
    assert judge.check(GOOD) is None


@pytest.mark.parametrize(
    "step",
    [
        {"node": "addr"},
        {"node": "adder", "needz": []},
        {"node": "adder", "inputs": {"nmber": 1}},
        {"node": "adder", "inputs": {"number": "one"}},
        {"node": "adder", "nodes": []},
        {"node": "parallel", "nodes": {}},
        {"node": "parallel", "nodes": [], "execution": {"strategy": "paralel"}},
        {"node": "parallel", "nodes": [{"name": "b", "node": "adder", "inputs": {"nmber": 1}}]},
        {"node": "adder", "limits": {}},
        {"node": "adder", "timeout": 0},
        {"node": "adder", "join": "some"},
        {"node": "adder", "needs": [{"step": "a", "on": "sucess"}]},
    ],
)
def test_the_editors_schema_marks_what_check_refuses(project, step):
    document = {"name": "w", "steps": [{"name": "a", **step}]}
    assert workflow_validator().check(document)
    add_workflow("bad.json", {"name": "a", **step})
    assert checked("bad.json", code=65)["errors"] >= 1


def test_schemas_are_written_where_manifests_point_to(project):
    shown = nodectl("schema")
    assert shown.stdout.split() == [".nodeling/schemas/node.v1.json", ".nodeling/schemas/workflow.v1.json"]
    assert "yaml-language-server" in shown.stderr
    node = compile_schema(read_document(Path(".nodeling/schemas/node.v1.json")).data, where="node")
    assert node.check(ADDER) is None and node.check({"nam": "x"})
    nodectl("schema", "workflow", "--json")
    printed = json.loads(nodectl("schema", "node", "--print").stdout)
    assert printed == read_document(Path(".nodeling/schemas/node.v1.json")).data


def test_references_inside_a_nodes_schema_still_lead_somewhere(project):
    tree = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/tree"}},
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"left": {"$ref": "#/$defs/tree"}, "value": {"type": "integer"}},
                "additionalProperties": False,
            }
        },
    }
    add_node("trees", {"name": "trees", "inputs": tree}, **{"node.py": "def run(ctx, inputs): return 1"})
    judge = workflow_validator()

    def step(value):
        return {"steps": [{"name": "a", "node": "trees", "inputs": {"tree": value}}]}

    assert judge.check(step({"left": {"left": "${x}", "value": 1}})) is None
    assert judge.check(step({"left": {"lft": {}}}))


def test_a_manifest_is_written_from_code_and_keeps_what_else_it_says(project):
    assert "says already" in nodectl("schema", "--write", "adder").stderr
    Path("nodes/adder/node.py").write_text(
        ADDER_CODE.replace("number: int", "number: int, twice: bool = False"), encoding="utf-8"
    )
    nodectl("schema", "--write", "adder")
    data = read_document(Path("nodes/adder/config.json")).data
    assert data["inputs"]["properties"]["twice"] == {"type": "boolean", "default": False}
    assert (data["version"], data["description"], data["examples"]) == (
        "1.0.0",
        "Add one.",
        ADDER["examples"],
    )
    checked("--code")


def test_a_manifest_is_written_where_there_was_none(project):
    Path("nodes/fresh").mkdir()
    Path("nodes/fresh/node.py").write_text(ADDER_CODE.replace("def adder", "def fresh"), encoding="utf-8")
    nodectl("schema", "--write", "nodes/fresh")
    checked("--code", "nodes/fresh")
    assert read_document(Path("nodes/fresh/config.json")).data["name"] == "fresh"


def test_only_code_that_declares_something_gives_a_manifest(project):
    add_node("plain", {"name": "plain"}, **{"node.py": "def run(ctx, inputs): return 1"})
    assert "holds no function under @node" in nodectl("schema", "--write", "plain", code=78).stderr
    assert "not yours to write" in nodectl("schema", "--write", "parallel", code=2).stderr


# -- doctor


def test_the_doctor_finds_this_installation_well(project):
    report = json.loads(nodectl("doctor", "--json").stdout)
    assert report["ok"] is True
    areas = {finding["area"] for finding in report["findings"]}
    parts = {"interpreter", "packages", "plugins", "programs", "exec nodes", "workers", "project", "store"}
    assert areas == parts
    names = {finding["name"] for finding in report["findings"]}
    assert {"Python", "nodeling", "click", "bash", "node", "cc", "pidfd", "/proc", ".nodeling"} <= names
    assert "✓ Python" in nodectl("doctor").stdout


def test_the_doctor_names_what_is_broken(project, monkeypatch):
    broken = plugins.BrokenPlugin("acme", "acme-nodes", "ImportError: no module", "Traceback: here")
    monkeypatch.setattr(plugins, "registered_nodes", lambda: ([], [broken]))
    monkeypatch.setenv("PATH", "")
    secrets = project / ".nodeling/secrets.json"
    secrets.write_text("{}", encoding="utf-8")
    secrets.chmod(0o644)
    report = json.loads(nodectl("doctor", "--json", code=1).stdout)
    states = {finding["name"]: finding["state"] for finding in report["findings"]}
    assert states["acme-nodes: acme"] == "failed" and states["secrets.json"] == "failed"
    assert states["bash"] == states["node"] == states["npm"] == "warning"
    shown = nodectl("doctor", code=1).stdout
    assert "ImportError: no module" in shown and "Traceback: here" in shown and "chmod 600" in shown


def test_the_doctor_sees_a_project_it_cannot_write_to(project, monkeypatch):
    def refuses(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("nodeling_runtime.cli.doctor.tempfile.TemporaryFile", refuses)
    report = json.loads(nodectl("doctor", "--json", code=1).stdout)
    finding = next(finding for finding in report["findings"] if finding["name"] == ".nodeling")
    assert finding["state"] == "failed" and "not writable" in finding["detail"]
