"""A build is made once, whole or not at all, whoever asks and whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import PluginError
from nodeling.manifest import Manifest
from nodeling.toolchain import Job, Program, SourceNode, Toolchain
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.toolchains import building, plan
from nodeling_runtime.toolchains.ahead import build_ahead, build_all
from nodeling_runtime.toolchains.building import Note, build
from nodeling_runtime.toolchains.content import content_hash
from nodeling_runtime.toolchains.plan import Plan, plan_of
from nodeling_runtime.toolchains.tool import BuildCancelled


class Shell(Toolchain):
    """A language whose compiler is a shell script of the node's own."""

    type = "runtime.shell"
    entry = "build.sh"

    def build(self, job: Job) -> None:
        job.run("sh", job.node.entry, env={"OUT": str(job.out), "CACHE": str(job.cache)})

    def command(self, node: SourceNode) -> Sequence[str]:
        return [str(node.built_file("node"))]


GOOD = 'echo run >> "$CACHE/builds"; echo made > "$OUT/node"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".nodeling").mkdir()
    toolchain = Shell()
    monkeypatch.setattr(plan, "toolchain_for", lambda kind: toolchain)
    return tmp_path


def spec_of(project: Path, script: str = GOOD, name: str = "geo") -> NodeSpec:
    folder = project / "nodes" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.sh").write_text(script, encoding="utf-8")
    return NodeSpec(
        Manifest.from_data({"name": name, "runtime": {"type": "runtime.shell"}}), "project", folder
    )


def built(spec: NodeSpec, notes: list[Note] | None = None, cancelled: threading.Event | None = None) -> Path:
    found = build(plan_of(spec), (notes if notes is not None else []).append, cancelled or threading.Event())
    assert found is not None
    return found


def count(project: Path) -> int:
    return len((project / ".nodeling/builds/shell/cache/builds").read_text(encoding="utf-8").splitlines())


def leftovers(project: Path) -> list[str]:
    return [path.name for path in (project / ".nodeling/builds/shell").glob("new-*")]


def test_the_same_content_is_built_once(project: Path) -> None:
    notes: list[Note] = []
    first, second = built(spec_of(project), notes), built(spec_of(project), notes)
    assert first == second and (first / "node").read_text(encoding="utf-8") == "made\n"
    assert [note.kind for note in notes] == ["building", "built"]
    assert count(project) == 1 and leftovers(project) == []


def test_a_changed_file_is_another_build_and_the_readme_is_none_of_it(project: Path) -> None:
    spec = spec_of(project)
    first = built(spec)
    assert spec.folder is not None
    (spec.folder / "README.md").write_text("words", encoding="utf-8")
    (spec.folder / ".hidden").write_text("words", encoding="utf-8")
    assert built(spec) == first
    (spec.folder / "more.txt").write_text("words", encoding="utf-8")
    assert built(spec) != first


def test_the_hash_tells_names_and_contents_apart(tmp_path: Path) -> None:
    node = SourceNode(Manifest.from_data({"name": "n"}), tmp_path, "a")
    hashes = set()
    for name, text in (("a", "bc"), ("ab", "c"), ("abc", "")):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        hashes.add(content_hash(Shell(), node, [path]))
        path.unlink()
    assert len(hashes) == 3


def test_the_builds_of_a_project_are_not_for_its_repository(project: Path) -> None:
    built(spec_of(project))
    assert (project / ".nodeling/builds/.gitignore").read_text(encoding="utf-8") == "*\n"


def test_two_at_once_make_one_build_and_one_waits(project: Path) -> None:
    fifo = project / "gate"
    os.mkfifo(fifo)
    spec = spec_of(project, f'read line < "{fifo}"\n' + GOOD)
    notes: list[Note] = []
    waits = threading.Event()

    def hear(note: Note) -> None:
        notes.append(note)
        if note.kind == "waiting":
            waits.set()

    results: list[Path | None] = []
    work = [
        threading.Thread(target=lambda: results.append(build(plan_of(spec), hear, threading.Event())))
        for _ in range(2)
    ]
    for thread in work:
        thread.start()
    assert waits.wait(30)
    fifo.write_text("go\n", encoding="utf-8")
    for thread in work:
        thread.join(30)
    assert len(set(results)) == 1 and len(results) == 2
    assert count(project) == 1
    assert sorted(note.kind for note in notes) == ["building", "built", "waiting"]


HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_that_never_ends_is_named_with_its_lock(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LOCK_SECONDS", 0.2)
    spec = spec_of(project)
    target = plan_of(spec).target
    assert target is not None
    target.parent.mkdir(parents=True)
    lock = target.with_suffix(".lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(PluginError, match="another builder has held") as caught:
            built(spec)
        assert caught.value.code == "toolchain.locked" and str(lock) in str(caught.value)
        holder.kill()
    assert built(spec).is_dir()  # the kernel lets go of a dead holder's lock


def test_a_failed_build_says_what_the_tool_said_and_leaves_nothing(project: Path) -> None:
    notes: list[Note] = []
    spec = spec_of(project, "echo some words; echo 'node.x:3: error: no such thing' >&2; exit 3\n")
    with pytest.raises(PluginError) as caught:
        built(spec, notes)
    error = caught.value
    assert error.code == "toolchain.build"
    assert error.message == "geo could not be built: sh ended with 3: node.x:3: error: no such thing"
    assert error.details["output"] == "some words\nnode.x:3: error: no such thing"
    assert error.details["exit_code"] == 3 and error.details["command"] == "sh build.sh"
    assert leftovers(project) == [] and [note.kind for note in notes] == ["building", "failed"]


def test_what_a_linker_misses_is_quoted_before_that_it_failed(project: Path) -> None:
    lines = ["ld: in count:", "node.c:12: undefined reference to `nowhere`", "collect2: error: ld returned 1"]
    spec = spec_of(project, "".join(f"echo '{line}'\n" for line in lines) + "exit 1\n")
    with pytest.raises(PluginError) as caught:
        built(spec)
    assert caught.value.message.endswith("sh ended with 1: node.c:12: undefined reference to `nowhere`")


def test_a_build_that_makes_nothing_is_a_failure(project: Path) -> None:
    with pytest.raises(PluginError, match="made nothing"):
        built(spec_of(project, "true\n"))


def test_a_toolchain_that_raises_is_a_failure_with_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: Any, job: Job) -> None:
        raise KeyError("nothing")

    monkeypatch.setattr(Shell, "build", wrong)
    with pytest.raises(PluginError, match="KeyError: 'nothing'") as caught:
        built(spec_of(project))
    assert "in wrong" in caught.value.details["traceback"]


def test_a_build_past_its_time_is_killed_with_all_it_started(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BUILD_SECONDS", 0.5)
    pid = project / "pid"
    spec = spec_of(project, f'sleep 600 & echo $! > "{pid}"; wait\n')
    with pytest.raises(PluginError, match="was still at work after") as caught:
        built(spec)
    assert caught.value.code == "toolchain.build"
    gone(int(pid.read_text(encoding="utf-8")))
    assert leftovers(project) == []


def test_a_cancelled_build_ends_its_tool(project: Path) -> None:
    pid = project / "pid"
    spec = spec_of(project, f'sleep 600 & echo $! > "{pid}.new"; mv "{pid}.new" "{pid}"; wait\n')
    cancelled = threading.Event()
    ended: list[BaseException] = []

    def work() -> None:
        try:
            built(spec, cancelled=cancelled)
        except BuildCancelled as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 30
    while not pid.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    cancelled.set()
    thread.join(30)
    assert len(ended) == 1
    gone(int(pid.read_text(encoding="utf-8")))


def gone(pid: int) -> None:
    """Wait, within reason, until a process is no more, or is but a zombie of somebody else's."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"{pid} is still there")


def test_what_a_killed_builder_left_behind_is_swept(project: Path) -> None:
    spec = spec_of(project)
    target = plan_of(spec).target
    assert target is not None
    left = target.parent / f"new-{target.name}-dead"
    left.mkdir(parents=True)
    built(spec)
    assert leftovers(project) == []


def test_the_last_few_builds_of_a_node_are_kept_and_a_siblings_are_let_be(project: Path) -> None:
    sibling = built(spec_of(project, GOOD, name="sibling"))
    folders = []
    for number in range(building.KEPT_BUILDS + 2):
        folder = built(spec_of(project, f"# {number}\n{GOOD}"))
        os.utime(folder.with_suffix(".json"), (number, number))
        folders.append(folder)
    kept = [folder.is_dir() for folder in folders]
    assert kept == [False, False, *[True] * building.KEPT_BUILDS]
    assert sibling.is_dir()
    assert not folders[0].with_suffix(".lock").exists()


def test_a_missing_program_names_every_package_and_hurts_no_other_node(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lacking(Shell):
        build_needs = (Program("no-such-compiler", "nosuch"), Program("nor-this", "northis"))

    good, bad = plan_of(spec_of(project)), plan_of(spec_of(project, "# other\n" + GOOD, name="bad"))
    found = build_all([("good", good), ("bad", replace(bad, toolchain=Lacking()))], print, threading.Event())
    assert list(found) == ["bad"]
    error = found["bad"]
    assert error.code == "toolchain.missing"
    assert error.message == "bad needs no-such-compiler and nor-this to be built, which is not here"
    assert error.hint == "apt-get install nosuch northis, or put it on PATH"
    assert isinstance(good, Plan) and good.is_ready


def test_a_program_is_looked_for_where_it_is_usually_put(tmp_path: Path) -> None:
    from nodeling_runtime.toolchains.catalogue import find_program

    program = tmp_path / "bin" / "frobnicate"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    wanted = Program("frobnicate", "frob", folders=(str(program.parent),))
    assert find_program(wanted) is None  # it is no program yet
    program.chmod(0o755)
    assert find_program(wanted) == str(program)


def test_a_folder_that_may_not_be_written_is_said(project: Path) -> None:
    (project / ".nodeling" / "builds").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(PluginError, match="cannot be written") as caught:
        built(spec_of(project))
    assert caught.value.code == "toolchain.build"


def test_a_disk_that_refuses_is_a_failure_of_the_build(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(PluginError, match="No space left on device") as caught:
        built(spec_of(project))
    assert caught.value.code == "toolchain.build" and leftovers(project) == []


def test_a_listener_that_raises_ends_the_wait(project: Path) -> None:
    def hear(note: Note) -> None:
        raise ValueError("the stream is closed")

    async def run() -> None:
        await asyncio.wait_for(build_ahead([spec_of(project)], hear), 30)

    with pytest.raises(ValueError, match="the stream is closed"):
        asyncio.run(run())


def test_builds_ahead_give_the_errors_of_those_that_failed(project: Path) -> None:
    good, bad = spec_of(project), spec_of(project, "exit 4\n", name="bad")
    notes: list[Note] = []
    failures = asyncio.run(build_ahead([good, bad], notes.append))
    assert list(failures) == [bad]
    assert (failures[bad].code, failures[bad].retryable, failures[bad].started) == (
        "toolchain.build",
        False,
        False,
    )
    assert sorted(note.kind for note in notes) == ["building", "building", "built", "failed"]
    assert asyncio.run(build_ahead([good], notes.append)) == {}
    assert len(notes) == 4
