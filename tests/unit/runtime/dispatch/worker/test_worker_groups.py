"""Workers in control groups of their own, where a folder for them is delegated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exec_calls import is_alive
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.dispatch.worker.promises import promises
from nodeling_runtime.dispatch.worker.warden_group import VARIABLE, Group, delegated
from worker_calls import Nodes, code, given

# It leaves its session, its parents and its mark behind, before anybody could have looked.
ESCAPE = """
import os
def run(ctx, inputs):
    if not inputs: return os.getpid()
    told, tell = os.pipe()
    os.set_inheritable(tell, True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sh", ["sh", "-c", f"echo $$ >&{tell}; exec sleep 1000"], {})
        os._exit(0)
    os.write(2, os.read(told, 20))
    os._exit(1)
"""


def _unified() -> Path | None:
    """A folder of control groups in which this process may make some."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        roots = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        own = next((line[3:].strip() for line in file if line.startswith("0::")), None)
    for root in roots:
        place = Path(root + (own or "/"))
        if delegated(str(place))[0]:
            return place
    return None


@pytest.fixture
def group_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = _unified()
    if place is None:
        pytest.skip("no folder of control groups is writable here")
    folder = place / f"nodeling-tests-{os.getpid()}"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    close_all()
    yield folder
    close_all()
    left = [path.name for path in folder.iterdir() if path.is_dir()]
    folder.rmdir()
    assert left == []


def test_what_escapes_everything_else_dies_with_its_worker(tmp_path: Path, group_folder: Path) -> None:
    nodes = Nodes(tmp_path)
    died, fresh = nodes.run(nodes.python(ESCAPE), "die", "")
    assert code(died) == 9003
    assert died.error is not None
    assert not is_alive(int(died.error.details["stderr"]))
    worker = given(fresh)
    (group,) = [path for path in group_folder.iterdir() if path.is_dir()]
    assert str(worker) in (group / "cgroup.procs").read_text(encoding="ascii").split()


def test_the_doctor_finds_the_groups(group_folder: Path) -> None:
    assert [promise.name for promise in promises() if not promise.holds] == []


def test_a_folder_that_is_none_is_said_and_workers_run_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    close_all()
    nodes = Nodes(tmp_path)
    assert given(nodes.run(nodes.python("def run(ctx, inputs):\n    return 1\n"), 1)[0]) == 1
    close_all()
    (escapes,) = [promise for promise in promises() if promise.name == "escapes"]
    assert not escapes.holds
    assert "no folder of control groups" in escapes.detail


def test_the_kernel_is_told_the_limits_and_asked_what_it_did(tmp_path: Path) -> None:
    group = Group(str(tmp_path), "x")
    folder = Path(group.path)
    for name in ("memory.max", "memory.oom.group", "pids.max"):
        (folder / name).write_text("max", encoding="ascii")
    group.limit({"memory_mb": 256, "processes": 20})
    assert (folder / "memory.max").read_text(encoding="ascii") == str(256 * 1024 * 1024)
    assert (folder / "memory.oom.group").read_text(encoding="ascii") == "1"
    assert (folder / "pids.max").read_text(encoding="ascii") == "4096"
    assert group.ran_out_of_memory() is None
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 0\n", encoding="ascii")
    assert group.ran_out_of_memory() is None
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 3\n", encoding="ascii")
    assert group.ran_out_of_memory() == 256
    (folder / "memory.peak").write_text(f"{257 * 1024 * 1024}\n", encoding="ascii")
    assert group.ran_out_of_memory() == 257
