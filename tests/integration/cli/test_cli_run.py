from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_calls import invoke, write_node, write_workflow

ECHO = "def run(ctx, inputs):\n    return inputs\n"
BOOM = "def run(ctx, inputs):\n    raise ValueError('no good')\n"
CHATTY = """
def run(ctx, inputs):
    print("on stdout")
    ctx.log.warning("look", rows=2)
    ctx.progress(1, 4, "reading")
    ctx.metric("rows", 2)
    return 7
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_node(tmp_path, "echo", ECHO)
    write_node(tmp_path, "boom", BOOM)
    write_node(tmp_path, "chatty", CHATTY)
    return tmp_path


def echoing(project: Path) -> Path:
    body = {"body": "${ctx.request.body}", "method": "${ctx.request.method}"}
    return write_workflow(project, {"steps": [{"name": "a", "node": "echo", "inputs": body}]})


def test_the_output_alone_stands_on_stdout(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "chatty"}]})
    result = invoke("run", flow)
    assert result.exit_code == 0
    assert result.stdout == "7\n"
    assert "on stdout" in result.stderr


def test_json_is_exactly_one_object_with_the_promised_keys(project: Path) -> None:
    steps = [{"name": "a", "node": "chatty"}, {"name": "b", "node": "boom"}, {"name": "c", "node": "echo"}]
    result = invoke("run", write_workflow(project, {"steps": steps}), "--json")
    assert result.exit_code == 1
    body = json.loads(result.stdout)
    assert list(body) == [
        "run_id",
        "workflow",
        "status",
        "output",
        "outputs",
        "steps",
        "error",
        "duration_ms",
    ]
    assert (body["status"], body["output"], body["workflow"]) == ("failed", None, "flow")
    assert body["outputs"] == {"a": 7, "b": None, "c": None}
    assert [list(step) for step in body["steps"].values()] == [
        ["status", "reason", "attempts", "duration_ms", "metrics", "error"]
    ] * 3
    assert [step["status"] for step in body["steps"].values()] == ["succeeded", "failed", "skipped"]
    assert body["steps"]["a"]["metrics"]["rows"] == 2
    assert body["steps"]["c"]["reason"] == "upstream"
    assert body["error"]["step"] == "b"
    assert body["error"]["message"] == "ValueError: no good"


def test_a_failed_run_prints_no_output_and_tells_why(project: Path) -> None:
    result = invoke("run", write_workflow(project, {"steps": [{"name": "b", "node": "boom"}]}))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "[4000] ValueError: no good" in result.stderr
    assert "--verbose shows the traceback" in result.stderr


def test_every_event_is_one_line_on_stderr(project: Path) -> None:
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "chatty"}]})
    said = invoke("run", flow).stderr
    for words in (
        "a started (chatty)",
        "a warning: look {'rows': 2}",
        "a 1/4 reading",
        "a rows = 2",
        "a succeeded in",
        "run succeeded after",
    ):
        assert sum(words in line for line in said.splitlines()) == 1, words


def test_quiet_says_nothing_of_a_run_that_succeeds(project: Path) -> None:
    result = invoke("run", echoing(project), "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""


def test_quiet_still_says_why_a_run_failed(project: Path) -> None:
    result = invoke("run", write_workflow(project, {"steps": [{"name": "b", "node": "boom"}]}), "--quiet")
    assert result.stderr == "nodectl: [4000] ValueError: no good\n"


def test_verbose_says_who_ran_a_step_and_what_it_waited_for(project: Path) -> None:
    steps = [
        {"name": "a", "node": "echo", "needs": []},
        {"name": "b", "node": "echo", "needs": []},
        {"name": "c", "node": "echo", "needs": ["a", "b"]},
    ]
    said = invoke("run", write_workflow(project, {"steps": steps}), "--verbose").stderr
    assert "c started (echo), after a, b" in said or "c started (echo), after b, a" in said
    assert ", on nodeling-" in said
    assert "waited for nothing" in said


def test_the_summary_counts_the_children_of_a_container(project: Path) -> None:
    step = {
        "name": "work",
        "node": "parallel",
        "execution": {"error_handling": "continue-partial"},
        "nodes": [{"name": "one", "node": "echo"}, {"name": "two", "node": "boom"}],
    }
    said = invoke("run", write_workflow(project, {"steps": [step]})).stderr
    assert "2 children: 1 succeeded, 1 failed; at most " in said
    assert "[4000] ValueError: no good" in said


@pytest.mark.parametrize(
    ("args", "body"),
    [
        (["--input", '{"x": 1}'], {"x": 1}),
        (["--input", "[1, 2]"], [1, 2]),
        (
            ["-i", "n=3", "-i", "s=three", "-i", "t=true", "-i", 'o={"a": [1]}'],
            {"n": 3, "s": "three", "t": True, "o": {"a": [1]}},
        ),
        (["--input", '{"x": 1, "y": 2}', "-i", "y=3"], {"x": 1, "y": 3}),
        (["-i", "x=a=b"], {"x": "a=b"}),
        (["-i", "x="], {"x": ""}),
        (["-i", "x=NaN"], {"x": "NaN"}),
        ([], None),
    ],
)
def test_the_input_is_what_the_options_say(project: Path, args: list[str], body: object) -> None:
    result = invoke("run", echoing(project), *args, "--quiet")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["body"] == body


def test_the_input_comes_from_a_file_or_from_stdin(project: Path) -> None:
    (project / "in.yaml").write_text("x: [1, 2]\n", encoding="utf-8")
    file = invoke("run", echoing(project), "--input", f"@{project / 'in.yaml'}", "--quiet")
    assert json.loads(file.stdout)["body"] == {"x": [1, 2]}
    stdin = invoke("run", echoing(project), "--input", "-", "--quiet", input='{"y": 1}')
    assert json.loads(stdin.stdout)["body"] == {"y": 1}


def test_a_request_file_fills_the_request_and_input_lies_over_its_body(project: Path) -> None:
    request = project / "request.json"
    request.write_text('{"method": "PUT", "body": {"x": 1, "y": 1}}', encoding="utf-8")
    result = invoke("run", echoing(project), "--request", request, "-i", "y=2", "--quiet")
    assert json.loads(result.stdout) == {"body": {"x": 1, "y": 2}, "method": "PUT"}


def test_an_unknown_part_of_a_request_is_refused(project: Path) -> None:
    request = project / "request.json"
    request.write_text('{"verb": "PUT"}', encoding="utf-8")
    result = invoke("run", echoing(project), "--request", request)
    assert result.exit_code == 65
    assert "'verb'" in result.stderr
    assert "method" in result.stderr


def test_a_parameter_overrides_one_input_of_one_step(project: Path) -> None:
    result = invoke("run", echoing(project), "-p", 'a.method={"x": 1}', "--quiet")
    assert json.loads(result.stdout)["method"] == {"x": 1}


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["-p", "aa.x=1"], 65, "did you mean 'a'?"),
        (["--timeout", "30"], 2, "with its unit"),
        (["--timeout", "soon"], 2, "with its unit"),
        (["--timeout", "0s"], 2, "no duration"),
        (["--timeout", "99999999h"], 2, "longer than ten years"),
        (["--max-concurrent", "0"], 2, "--max-concurrent"),
        (["--store", "redis://x"], 69, "no store answers to redis://"),
        (["--from", "blokk"], 65, "no format is called"),
        (["--bind", "ab"], 2, "NAME=NODE"),
        (["--durability", "sometimes"], 2, "sometimes"),
        (["--key", "k"], 2, "name a store with --store"),
        (["--input", "{"], 65, "--input:1:2"),
        (["--input", '{"a": 1, "a": 2}'], 65, "given twice"),
        (["-i", 'x={"a": 1, "a": 2}'], 65, "given twice"),
        (["-i", "novalue"], 2, "no key=value"),
        (["-p", "a=1"], 2, "step.key=value"),
        (["--input", "[1]", "-i", "x=1"], 65, "is no object"),
        (["--input", "@nowhere.json"], 66, "no file nowhere.json"),
        (["--request", "nowhere.json"], 66, "no file nowhere.json"),
        (["--events", "/nowhere/at/all"], 2, "cannot be written"),
        (["--nodes", "/nowhere"], 66, "/nowhere"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_a_wrong_option_has_its_exit_code_and_says_what_is_wrong(
    project: Path, args: list[str], code: int, words: str
) -> None:
    for more in ([], ["--json"]):
        result = invoke("run", echoing(project), *args, *more)
        assert result.exit_code == code
        assert "Traceback" not in result.output
        if more:
            assert words in json.dumps(json.loads(result.stdout)["error"], ensure_ascii=False).replace(
                '\\"', '"'
            )
        else:
            assert words in " ".join(result.stderr.split())
            assert result.stdout == ""


def test_an_input_that_the_workflow_refuses_ends_with_65(project: Path) -> None:
    document = {"inputs": {"type": "object", "required": ["x"]}, "steps": [{"name": "a", "node": "echo"}]}
    result = invoke("run", write_workflow(project, document), "-i", "y=1", "--json")
    assert result.exit_code == 65
    body = json.loads(result.stdout)
    assert body["status"] == "failed"
    assert body["error"]["code"] == "run.input"


def test_all_faults_of_a_document_are_shown_with_their_lines(project: Path) -> None:
    path = project / "bad.yaml"
    path.write_text(
        "name: bad\nsteps:\n  - {name: a, node: ecko}\n  - name: b\n    node: echo\n    need: [a]\n",
        encoding="utf-8",
    )
    result = invoke("run", path)
    assert result.exit_code == 65
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == f"{path}:3:21: no node is called 'ecko' (at /steps/0/node); did you mean 'echo'?"
    assert lines[1:3] == ["    3 |   - {name: a, node: ecko}", "      |                     ^"]
    assert lines[3].startswith(f"{path}:6:5: ")
    assert lines[3].endswith("has no key 'need' (at /steps/1/need); did you mean 'needs'?")
    assert lines[4:] == ["    6 |     need: [a]", "      |     ^", f"2 errors in {path}"]


def test_all_faults_of_a_document_are_one_object_under_json(project: Path) -> None:
    result = invoke(
        "run",
        write_workflow(project, {"steps": [{"name": "a", "node": "ecko", "retri": 1, "if_": 2}]}),
        "--json",
    )
    assert result.exit_code == 65
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "document.faults"
    assert [fault["pointer"] for fault in error["faults"]] == [
        "/steps/0/node",
        "/steps/0/retri",
        "/steps/0/if_",
    ]
    assert all(fault["line"] for fault in error["faults"])


def test_a_file_that_is_not_there_names_the_one_that_was_meant(project: Path) -> None:
    flow = echoing(project)
    result = invoke("run", project / "flaw.json")
    assert result.exit_code == 66
    assert result.stderr.startswith(
        f"nodectl: there is no file {project / 'flaw.json'}; did you mean {flow}?"
    )


def test_an_unknown_command_names_the_nearest(project: Path) -> None:
    result = invoke("rnu")
    assert result.exit_code == 2
    assert "did you mean 'run'?" in result.stderr


def test_events_are_one_object_a_line_and_tell_the_whole_run(project: Path) -> None:
    events = project / "events.jsonl"
    flow = write_workflow(project, {"steps": [{"name": "a", "node": "chatty"}]})
    assert invoke("run", flow, "--events", events, "--quiet").exit_code == 0
    told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    kinds = [event["event"] for event in told]
    assert kinds[0] == "run.started"
    assert kinds[-1] == "run.finished"
    assert {"step.started", "step.log", "step.progress", "step.metric", "step.finished"} <= set(kinds)
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))


def test_max_concurrent_bounds_the_run(project: Path) -> None:
    code = """
import threading
LOCK, NOW, PEAK = threading.Lock(), [0], [0]
BOTH = threading.Event()

def run(ctx, inputs):
    with LOCK:
        NOW[0] += 1
        PEAK[0] = max(PEAK[0], NOW[0])
        if NOW[0] > 1:
            BOTH.set()
    BOTH.wait(0.05)
    with LOCK:
        NOW[0] -= 1
    return PEAK[0]
"""
    write_node(project, "probe", code)
    children = [{"name": f"p{n}", "node": "probe"} for n in range(3)]
    flow = write_workflow(project, {"steps": [{"name": "w", "node": "parallel", "nodes": children}]})
    bounded = json.loads(invoke("run", flow, "--max-concurrent", "1", "--quiet").stdout)
    assert bounded["results"] == [1, 1, 1]


def test_a_workflow_made_in_python_is_run_by_its_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = """
from nodeling import Workflow, node, step

@node
def double(n: int) -> int:
    return 2 * n

with Workflow("made") as flow:
    step("d", double, inputs={"n": "${ctx.request.body.n}"})

other = 1
"""
    (project / "made_in_python.py").write_text(module, encoding="utf-8")
    (project / "broken_module.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    assert invoke("run", "made_in_python:flow", "-i", "n=21", "--quiet").stdout == "42\n"
    missing = invoke("run", "made_in_python:flw")
    assert missing.exit_code == 66
    assert "did you mean 'flow'?" in missing.stderr
    assert invoke("run", "made_in_python:other").exit_code == 65
    assert invoke("run", "no_such_module_here:flow").exit_code == 66
    broken = invoke("run", "broken_module:flow")
    assert broken.exit_code == 65
    assert "ZeroDivisionError" in broken.stderr


@pytest.mark.parametrize(
    ("document", "taken"),
    [
        ({"inputs": {"type": "object", "properties": {"path": {}, "limit": {}}}}, "; it takes path, limit"),
        ({}, ""),
    ],
)
def test_a_run_that_fails_for_want_of_an_input_is_told_how_to_give_one(
    project: Path, document: dict[str, object], taken: str
) -> None:
    step = {"name": "say", "node": "echo", "inputs": {"text": "${ctx.request.body.path}"}}
    flow = write_workflow(project, {**document, "steps": [step]})
    said = f"the run was given no input: -i KEY=VALUE, or --input with JSON or @FILE, gives it one{taken}"
    assert said in invoke("run", flow).stderr.splitlines()
    assert "was given no input" not in invoke("run", flow, "-i", "limit=3").stderr
