"""`nodectl conformance`, `nodectl node-command`, `nodectl build`: programs judged, started, made ready."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cli_calls import NODECTL, ended, nodectl, process, wait_for, write_node, write_workflow

KIT = Path(__file__).parents[3] / "sdk/python/nodeling/testing/conformance"
SINK = KIT / "kitchen_sink"
ECHO = "def run(ctx, inputs):\n    return inputs\n"
# A node that answers every call twice.
TWICE = """
import json, sys
for line in sys.stdin:
    call = json.loads(line)
    if "id" in call:
        known = call.get("method") == "node/invoke"
        end = {"result": {"output": 1}} if known else {"error": {"code": -32601, "message": "no"}}
        for _ in range(2 if known else 1):
            print(json.dumps({"jsonrpc": "2.0", "id": call["id"], **end}), flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".nodeling").mkdir()
    return tmp_path


def test_a_node_is_judged_by_the_command_that_node_command_prints(project: Path) -> None:
    write_node(project, "geo", ECHO)
    command = nodectl("node-command", "geo", cwd=project)
    assert command.code == 0, command.err
    words = command.out.split()
    assert words == [str(project / ".nodeling" / "run" / "geo")]
    judged = nodectl("conformance", "--only", "node.[a-e]*", "--jobs", "4", "--", *words, cwd=project)
    assert judged.code == 0, judged.err
    assert [line.split()[0] for line in judged.out.splitlines()] == ["passed", "node", "all"]


def test_the_command_is_one_word_wherever_the_project_is(tmp_path: Path) -> None:
    project = tmp_path / "a project's folder"
    (project / ".nodeling").mkdir(parents=True)
    write_node(project, "geo", ECHO)
    script = f"{' '.join(NODECTL)} conformance --only node.answers -- $({' '.join(NODECTL)} node-command geo)"
    done = subprocess.run(["sh", "-c", script], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_node_command_tells_all_of_it_as_json(project: Path) -> None:
    write_node(project, "geo", ECHO)
    told = nodectl("node-command", "geo", "--json", cwd=project).data
    assert told["folder"] == str(project / "nodes" / "geo")
    assert (told["channel"], told["protocol"], told["environment"]) == ("fd", "nsp", {})
    assert told["command"][0] == sys.executable


def test_node_command_says_when_conformance_has_nothing_to_ask(project: Path) -> None:
    manifest = {"name": "plain", "version": "1.0.0", "inputs": {}, "runtime": {"type": "runtime.bash"}}
    folder = project / "nodes" / "plain"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "node.sh").write_text("cat\n", encoding="utf-8")
    told = nodectl("node-command", "plain", cwd=project)
    assert told.code == 0 and told.out.split() == [str(project / ".nodeling" / "run" / "plain")]
    assert "started for each call, not a worker" in told.err


def test_a_container_has_no_process_of_its_own(project: Path) -> None:
    refused = nodectl("node-command", "parallel", cwd=project)
    assert refused.code == 2 and "is a container" in refused.err


def test_a_red_case_says_section_expectation_and_what_came(project: Path) -> None:
    (project / "twice.py").write_text(TWICE, encoding="utf-8")
    command = ["--only", "node.answers", "--", sys.executable, "-I", "twice.py"]
    told = nodectl("conformance", *command, cwd=project)
    assert told.code == 1
    said = "FAILED node.answers (section 5): A call gets one terminal frame, whatever the node does."
    assert said in told.err and "the request 90 got a second terminal frame" in told.err
    as_json = nodectl("conformance", "--json", *command, cwd=project)
    assert as_json.code == 1 and as_json.data["failed"] == 1
    (case,) = as_json.data["cases"]
    assert (case["section"], case["status"]) == ("5", "failed")
    assert case["expects"].startswith("A call gets one") and "second terminal" in case["reason"]
    assert any(line.startswith("<") for line in case["transcript"])


def test_claims_come_from_a_file_and_choose_the_cases(project: Path) -> None:
    folder = ["--folder", str(SINK), "--name", "kitchen-sink"]
    words = [sys.executable, "-m", "nodeling.worker", *folder]
    options = ["--claims", str(SINK / "capabilities.json"), "--channel", "fd", "--only", "invoke.echo-[nt]*"]
    told = nodectl("conformance", "--json", *options, "--variant", "serial", "--", *words, cwd=project)
    assert (told.code, told.data["passed"], told.data["skipped"]) == (0, 4, 0), told.err
    undecided = nodectl("conformance", *options, "--", *words, cwd=project)
    assert undecided.code == 2 and "say --variant: serial, threads" in undecided.err
    unknown = nodectl("conformance", *options, "--variant", "thread", "--", *words, cwd=project)
    assert unknown.code == 2 and "did you mean 'threads'?" in unknown.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "node.anwsers", "--", "cat"], 2, "did you mean 'node.answers'?"),
        (["--", "no-such-program"], 66, "there is no program 'no-such-program'"),
        (["--", "false"], 1, "no answer to node/hello on the channel stdio: it exited with 1"),
        (["--input", "{", "--", "cat"], 2, "is no JSON"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_judged_is_said(project: Path, words: list[str], code: int, said: str) -> None:
    told = nodectl("conformance", *words, cwd=project)
    assert told.code == code and said in told.err, told.err


def test_a_stranger_that_denies_the_handshake_is_judged_as_such(project: Path) -> None:
    (project / "once.py").write_text(TWICE.replace("2 if known else 1", "1"), encoding="utf-8")
    command = ["--only", "node.hello-*", "--", sys.executable, "-I", "once.py"]
    told = nodectl("conformance", "--json", *command, cwd=project)
    assert told.code == 0, told.err
    assert {case["id"]: case["status"] for case in told.data["cases"]} == {
        "node.hello-again": "skipped",
        "node.hello-of-the-future": "skipped",
        "node.hello-refused": "passed",
    }


def test_the_pytest_fixtures_judge_a_program(tmp_path: Path) -> None:
    test = """
        def test_the_protocol(nodeling_case):
            assert nodeling_case().status == "passed"
        """
    (tmp_path / "test_node.py").write_text(textwrap.dedent(test), encoding="utf-8")
    (tmp_path / "twice.py").write_text(TWICE, encoding="utf-8")
    program = f"--nodeling-command={sys.executable} -I twice.py"
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", program, "test_node.py"]
    chosen = ["-k", "hello-refused or node.answers or invoke.sum"]
    done = subprocess.run([*pytest_, *chosen], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED test_node.py::test_the_protocol[node.answers]" in done.stdout
    assert "the request 90 got a second terminal frame" in done.stdout
    assert "2 failed, 1 skipped" in done.stdout


# -- build


@pytest.fixture
def tools(project: Path) -> dict[str, str]:
    """A language whose compiler is `cp`, brought by a package."""
    from plugin_installs import install

    code = """
        from nodeling.hookspecs import hookimpl
        from nodeling.toolchain import Program, Toolchain

        class Copied(Toolchain):
            type = "runtime.copied"
            entry = "node.sh"
            build_needs = (Program("cp", "coreutils"),)

            def build(self, job):
                job.run(job.node.program("cp"), job.node.entry, str(job.out / "node"))

            def command(self, node):
                return ["sh", str(node.built_file("node"))]

        @hookimpl
        def nodeling_register_toolchains(register):
            register(Copied())
        """
    module = project / "copied_nodeling.py"
    module.write_text(textwrap.dedent(code), encoding="utf-8")
    site = install(project / "site", module, "copied", "[nodeling]\ncopied = copied_nodeling\n")
    return {"PYTHONPATH": str(site)}


def copied(project: Path, name: str, entry: str = "node.sh") -> None:
    folder = write_node(project, name, "", runtime={"type": "runtime.copied"})
    (folder / entry).write_text("exit 1\n", encoding="utf-8")


def test_build_makes_what_is_missing_and_leaves_what_is_there(project: Path, tools: dict[str, str]) -> None:
    copied(project, "one")
    copied(project, "two")
    write_node(project, "plain", ECHO, runtime={"type": "runtime.python3"})
    first = nodectl("build", cwd=project, env=tools)
    assert first.code == 0, first.err
    assert "building one (copied)" in first.err
    assert first.err.splitlines()[-1] == "2 built, 1 with nothing to build"
    second = nodectl("build", "one", "two", "--json", cwd=project, env=tools)
    entries = second.data["nodes"]
    assert [(entry["node"], entry["status"]) for entry in entries] == [("one", "kept"), ("two", "kept")]
    assert all(Path(entry["folder"], "node").is_file() for entry in entries)


def test_a_node_that_does_not_build_is_one_and_the_others_are_built(
    project: Path, tools: dict[str, str]
) -> None:
    copied(project, "good")
    copied(project, "bad", entry="elsewhere.sh")
    told = nodectl("build", "--json", cwd=project, env=tools)
    assert told.code == 1
    entries = {entry["node"]: entry for entry in told.data["nodes"]}
    assert entries["good"]["status"] == "built"
    assert entries["bad"]["error"]["code"] == "toolchain.build"
    assert "node.sh" in entries["bad"]["error"]["details"]["output"]
    assert "No such file" in told.err  # as the tool said it


def test_a_missing_compiler_is_69_and_says_what_to_install(project: Path, tools: dict[str, str]) -> None:
    copied(project, "one")
    (project / "bin").mkdir()
    told = nodectl("build", "one", cwd=project, env={**tools, "PATH": str(project / "bin")})
    assert told.code == 69
    assert "one needs cp to be built, which is not here; apt-get install coreutils" in told.err


def test_node_command_of_a_node_that_does_not_build_fails_like_the_build(
    project: Path, tools: dict[str, str]
) -> None:
    copied(project, "bad", entry="elsewhere.sh")
    told = nodectl("node-command", "bad", "--json", cwd=project, env=tools)
    assert told.code == 69 and json.loads(told.out)["error"]["code"] == "toolchain.build"


def test_ctrl_c_ends_the_compiler_and_the_run(project: Path, tools: dict[str, str]) -> None:
    slow = project / "bin" / "cp"
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\necho $$ > "{project}/new"; mv "{project}/new" "{project}/pid"; exec sleep 600\n'
    )
    slow.chmod(0o755)
    copied(project, "one")
    write_workflow(project, {"steps": [{"name": "a", "node": "one"}]})
    path = f"{slow.parent}:{os.environ['PATH']}"
    child = process("run", "flow.json", cwd=project, env={**tools, "PATH": path})
    wait_for(project / "pid")
    compiler = int((project / "pid").read_text(encoding="utf-8"))
    child.send_signal(signal.SIGINT)
    told = ended(child)
    assert told.code == 130, told.err
    assert "building one (copied)" in told.err
    assert not Path(f"/proc/{compiler}").exists()
    assert not list((project / ".nodeling/builds/copied").glob("new-*"))
