"""Places that cannot be read, are gone, or have names that are no text: said, and never taken for a bug."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_calls import NODECTL, write_node, write_workflow
from programs import need

ECHO = "def run(ctx, inputs):\n    return inputs\n"
RIGHTS = "-dac_override,-dac_read_search"
ROOT = ["setpriv", f"--bounding-set={RIGHTS}", f"--inh-caps={RIGHTS}"]


def call(
    *words: str | bytes, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call `nodectl` as somebody whom the rights of files hold for."""
    if os.geteuid() == 0:  # who may read everything
        need("setpriv")
    return subprocess.run(
        [*(ROOT if os.geteuid() == 0 else []), *NODECTL, *words],
        cwd=cwd,
        env={**os.environ, "NODELING_STORE": "", **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".nodeling").mkdir()
    write_node(tmp_path, "echo", ECHO)
    write_workflow(tmp_path, {"steps": [{"name": "a", "node": "echo", "inputs": {"x": 1}}]})
    yield tmp_path
    for folder in (tmp_path / "nodes", tmp_path / "nodes" / "secret", tmp_path / ".nodeling"):
        if folder.is_dir():
            folder.chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_cannot_be_read_hurts_only_those_who_ask_for_it(project: Path, mode: int) -> None:
    secret = project / "nodes" / "secret"
    (secret / "inner").mkdir(parents=True)
    secret.chmod(mode)
    assert call("run", "flow.json", "--quiet", cwd=project).returncode == 0
    checked = call("check", cwd=project)
    assert checked.returncode == 65
    assert "the folder nodes/secret cannot be read: permission denied" in checked.stdout
    listed = call("nodes", "list", cwd=project)
    assert listed.returncode == 0
    assert "secret cannot be read" in listed.stderr
    assert call("call", "secret", cwd=project).returncode == 65


def test_all_nodes_in_a_folder_that_cannot_be_read_are_missed_and_check_says_why(project: Path) -> None:
    (project / "nodes").chmod(0)
    assert "no node is called 'echo'" in call("run", "flow.json", cwd=project).stderr
    assert "the folder nodes cannot be read" in call("check", cwd=project).stdout


def test_a_workflow_that_cannot_be_read_is_a_fault_of_the_project(project: Path) -> None:
    (project / "flow.json").chmod(0)
    checked = call("check", cwd=project)
    assert checked.returncode == 65
    assert "flow.json cannot be read" in checked.stdout


def test_a_place_inside_a_folder_that_cannot_be_read_is_said_to_be(project: Path) -> None:
    (project / "nodes").chmod(0)
    checked = call("check", "nodes/echo", cwd=project)
    assert checked.returncode == 65
    assert "'nodes/echo' cannot be read" in checked.stderr


def test_a_projects_folder_that_cannot_be_read_is_a_store_that_cannot_be_used(project: Path) -> None:
    (project / ".nodeling").chmod(0)
    listed = call("runs", "list", cwd=project)
    assert listed.returncode == 69
    assert ".nodeling cannot be written" in listed.stderr
    looked = call("doctor", cwd=project)
    assert looked.returncode == 1
    assert ".nodeling is not writable" in looked.stdout


def test_secrets_that_cannot_be_reached_are_said_to_be(project: Path) -> None:
    write_node(project, "keyed", ECHO, secrets=["token"])
    (project / ".nodeling").chmod(0)
    write_workflow(project, {"steps": [{"name": "a", "node": "keyed"}]})
    ran = call("run", "flow.json", "--store", "none", cwd=project)
    assert ran.returncode == 78
    assert "secrets.json cannot be read" in ran.stderr


def test_a_link_that_leads_to_itself_is_no_node(project: Path) -> None:
    (project / "nodes" / "loop").symlink_to("loop")
    assert call("check", cwd=project).returncode == 0


@pytest.mark.parametrize("words", [["check"], ["run", "../flow.json"], ["runs", "list"], ["doctor"]])
def test_a_folder_that_is_gone_is_said_and_is_no_bug(project: Path, words: list[str]) -> None:
    gone = project / "gone"
    gone.mkdir()
    code = "import os, runpy, sys; os.rmdir(os.getcwd()); sys.argv[0] = 'nodectl'; "
    code += "runpy.run_module('nodeling_runtime', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=gone,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 66, done.stderr
    assert "the folder that this was started in is gone" in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["run", b"flow\xff.json"],
        ["run", "flow.json", "--key", b"k\xff"],
        ["runs", "show", b"\xff"],
        ["runs", "list", "--workflow", b"\xff"],
    ],
)
def test_bytes_that_are_no_characters_are_refused(project: Path, words: list[str | bytes]) -> None:
    refused = call(*words, cwd=project)
    assert refused.returncode == 2
    assert "\\udcff" in refused.stderr
    assert "holds bytes that are no characters" in refused.stderr


@pytest.mark.parametrize("words", [["check"], ["nodes", "list"]])
def test_names_of_files_that_are_no_text_are_spelled_out_in_json(project: Path, words: list[str]) -> None:
    try:
        shutil.copytree(os.fsencode(project / "nodes" / "echo"), os.fsencode(project / "nodes") + b"/\xff")
    except OSError:
        pytest.skip("this file system takes no such names")
    done = call(*words, "--json", cwd=project)
    assert "nodes/\\\\udcff/config.json" in done.stdout
    assert "bug" not in done.stderr


def test_a_run_whose_path_is_no_text_under_this_locale_is_refused_before_it_begins(project: Path) -> None:
    folder = project / "größe"
    shutil.copytree(project / "nodes", folder / "nodes")
    shutil.copy(project / "flow.json", folder)
    (folder / ".nodeling").mkdir()
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    refused = call("run", "flow.json", cwd=folder, env=ascii_only)
    assert refused.returncode == 65
    assert "bytes in a path are no characters here" in refused.stderr


@pytest.mark.parametrize("words", [["call"], ["nodes", "show"], ["test"], ["build"], ["node-command"]])
def test_a_node_may_be_named_by_its_manifest_as_for_check(project: Path, words: list[str]) -> None:
    assert call(*words, "nodes/echo/config.json", cwd=project).returncode == 0


def test_a_copy_that_cannot_be_made_is_told_with_its_own_place(project: Path) -> None:
    assert call("run", "flow.json", "--quiet", cwd=project).returncode == 0
    refused = call("store", "backup", "nowhere/copy.db", cwd=project)
    assert refused.returncode == 69
    assert "nowhere/copy.db cannot be opened" in refused.stderr


def test_who_looks_for_runs_outside_a_project_is_told_what_makes_one(tmp_path: Path) -> None:
    told = call("runs", "list", cwd=tmp_path)
    assert told.returncode == 69
    assert "a project has .nodeling, pyproject.toml or .git in it" in told.stderr


def test_who_resumes_what_failed_is_told_of_the_restart(project: Path) -> None:
    write_node(project, "no", "def run(ctx, inputs):\n    raise ValueError('no')\n")
    write_workflow(project, {"steps": [{"name": "a", "node": "no"}]})
    assert call("run", "flow.json", "--quiet", "--key", "k", cwd=project).returncode == 1
    run = call("runs", "list", cwd=project).stdout.splitlines()[1].split()[0]
    refused = call("runs", "resume", run, cwd=project)
    assert refused.returncode == 1
    assert f"`nodectl runs restart {run}` does again what failed" in refused.stderr


def test_names_that_would_move_a_cursor_stay_on_their_line(project: Path) -> None:
    name = "a\n\x1b[2Jb"
    write_workflow(project, {"name": "flow\nx", "steps": [{"name": name, "node": "echo"}]})
    shown = [call("run", "flow.json", "--verbose", cwd=project)]
    run = call("runs", "list", "--json", cwd=project).stdout.partition('"run_id": "')[2][:32]
    for words in (["show"], ["events"], ["context"], ["watch"], ["diff", run]):
        shown.append(call("runs", words[0], run, *words[1:], cwd=project))
        assert "a\\n\\x1b[2Jb" in shown[-1].stdout + shown[-1].stderr, words
    for done in shown:
        assert done.returncode == 0
        assert not {"b", "x"} & {line[:1] for line in (done.stdout + done.stderr).splitlines()}
    assert len(call("runs", "list", cwd=project).stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["graph", "flow.json", "-o", "nowhere/out"],
        ["convert", "flow.json", "-o", "nowhere/out"],
        ["runs", "export", "RUN", "-o", "nowhere/out"],
        ["create", "node", "readonly/out"],
    ],
)
def test_a_file_that_does_not_take_the_output_is_told_in_one_way(project: Path, words: list[str]) -> None:
    assert call("run", "flow.json", "--quiet", cwd=project).returncode == 0
    run = call("runs", "list", cwd=project).stdout.splitlines()[1].split()[0]
    (project / "readonly").mkdir(mode=0o555)
    refused = call(*(run if word == "RUN" else word for word in words), cwd=project)
    assert refused.returncode == 69
    assert "out" in refused.stderr
    assert "cannot be written: " in refused.stderr


@pytest.mark.parametrize("command", ["run", "graph", "check", "convert"])
def test_a_file_of_python_is_told_how_its_workflow_is_named(project: Path, command: str) -> None:
    (project / "made.py").write_text('"""Makes a workflow."""\n', encoding="utf-8")
    refused = call(command, "made.py", cwd=project)
    assert refused.returncode == 65
    said = refused.stdout + refused.stderr
    assert "a workflow that it makes is named module:variable, as in made:flow" in said
