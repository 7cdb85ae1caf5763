"""How a run ends that does not end by itself: timeouts, signals, and nodes that will not stop."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from cli_calls import ended, nodectl, process, wait_for, write_node, write_workflow

STUCK = """
import pathlib, threading

def run(ctx, inputs):
    pathlib.Path("started").touch()
    threading.Event().wait()
"""
PATIENT = """
import asyncio, pathlib

async def run(ctx, inputs):
    pathlib.Path("started").touch()
    await asyncio.Event().wait()
"""
SWALLOWING = """
import asyncio, pathlib

async def run(ctx, inputs):
    pathlib.Path("started").touch()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
"""
BLOCKING = """
import pathlib, threading

async def run(ctx, inputs):
    pathlib.Path("started").touch()
    threading.Event().wait()
"""
TIDY = """
import pathlib

def run(ctx, inputs):
    pathlib.Path("tidied").touch()
"""
HOLDING = """
import pathlib, re

def run(ctx, inputs):
    pathlib.Path("started").touch()
    re.match("(a+)+$", "a" * 60 + "b")
"""
LATE = """
import threading, pathlib

def run(ctx, inputs):
    threading.Event().wait(2.5)
    pathlib.Path("tidied").touch()
"""
LINGERING = """
import pathlib, threading

async def run(ctx, inputs):
    pathlib.Path("started").touch()
    threading.Thread(target=threading.Event().wait).start()
    return 1
"""
LAST_WORDS = """
import atexit, pathlib

def run(ctx, inputs):
    atexit.register(pathlib.Path("tidied").touch)
"""
NOISY = """
import os

def run(ctx, inputs):
    os.system("echo loud")
    os.write(1, b"raw")
    return 1
"""
# Starting Python and importing everything is no part of what is measured, but of what a process takes.
STARTING = 2.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    codes = {"stuck": STUCK, "patient": PATIENT, "swallowing": SWALLOWING, "blocking": BLOCKING}
    for name, code in {**codes, "tidy": TIDY, "lingering": LINGERING}.items():
        write_node(tmp_path, name, code)
    return tmp_path


def flow(project: Path, node: str, **keys: object) -> Path:
    steps = [{"name": "a", "node": node, **keys}, {"name": "z", "node": "tidy", "trigger": "always"}]
    return write_workflow(project, {"steps": steps})


@pytest.mark.parametrize("node", ["patient", "stuck", "swallowing"])
def test_a_run_that_times_out_ends_with_124_after_its_always_steps(project: Path, node: str) -> None:
    result = nodectl("run", flow(project, node), "--timeout", "300ms", "--json", cwd=project)
    assert result.code == 124
    assert result.seconds < 0.3 + 2.0 + STARTING
    assert result.data["status"] == "failed"
    assert result.data["error"]["details"]["limit"] == "run_timeout"
    assert (project / "tidied").exists()
    assert "Traceback" not in result.err
    assert "pending" not in result.err


def test_a_node_that_blocks_the_loop_holds_nothing_up(project: Path) -> None:
    result = nodectl("run", flow(project, "blocking"), "--timeout", "300ms", "--json", cwd=project)
    assert result.code == 124
    assert result.seconds < 0.3 + 2.0 + STARTING
    assert result.data["error"]["code"] == "run.blocked"


def test_a_node_that_holds_the_interpreter_is_ended_and_shown(project: Path) -> None:
    write_node(project, "holding", HOLDING)
    result = nodectl("run", flow(project, "holding"), "--timeout", "300ms", cwd=project)
    assert result.code == 1
    assert result.seconds < 0.3 + 2.0 + STARTING
    assert "holding/node.py" in result.err


def test_always_steps_get_their_time_after_the_runs_own_is_over(project: Path) -> None:
    write_node(project, "late", LATE)
    steps = [{"name": "a", "node": "patient"}, {"name": "z", "node": "late", "trigger": "always"}]
    path = write_workflow(project, {"steps": steps})
    result = nodectl("run", path, "--timeout", "100ms", "--json", cwd=project)
    assert result.code == 124
    assert result.data["steps"]["z"]["status"] == "succeeded"
    assert (project / "tidied").exists()


def test_a_step_that_times_out_is_a_failure_of_the_run(project: Path) -> None:
    result = nodectl("run", flow(project, "stuck", timeout=200), "--json", cwd=project)
    assert result.code == 1
    assert result.seconds < 0.2 + 2.0 + STARTING
    assert result.data["error"]["code"] == 9005
    assert result.data["error"]["details"]["limit"] == "timeout"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_cancels_the_run_in_order(project: Path, number: int, code: int) -> None:
    child = process("run", flow(project, "patient"), "--json", cwd=project)
    wait_for(project / "started")
    child.send_signal(number)
    result = ended(child)
    assert result.code == code
    assert result.data["status"] == "cancelled"
    assert result.data["steps"]["a"]["status"] == "cancelled"
    assert result.data["steps"]["z"]["status"] == "succeeded"
    assert (project / "tidied").exists()
    assert "cancelling the run" in result.err


@pytest.mark.parametrize("node", ["stuck", "swallowing", "blocking"])
def test_a_signal_ends_a_run_whose_node_will_not_stop(project: Path, node: str) -> None:
    child = process("run", flow(project, node), cwd=project)
    wait_for(project / "started")
    child.send_signal(signal.SIGTERM)
    result = ended(child)
    assert result.code == 143
    assert result.seconds < 2.0 + STARTING


def test_the_second_interrupt_leaves_at_once_and_kills_what_runs(project: Path) -> None:
    script = "echo $$ > pid; touch started; trap '' TERM INT; while :; do read -t 1 < /dev/zero; done"
    folder = project / "nodes" / "endless"
    folder.mkdir()
    manifest = {
        "name": "endless",
        "version": "1.0.0",
        "inputs": True,
        "output": True,
        "runtime": {
            "type": "runtime.command",
            "command": ["bash", "-c", script],
            "protocol": "exec",
            "output": "text",
        },
    }
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    steps = [{"name": "a", "node": "endless"}, {"name": "z", "node": "stuck", "trigger": "always"}]
    child = process("run", write_workflow(project, {"steps": steps}), cwd=project)
    wait_for(folder / "started")
    child.send_signal(signal.SIGINT)
    wait_for(project / "started")  # the always step has begun: the first interrupt has been worked off
    child.send_signal(signal.SIGINT)
    result = ended(child)
    assert result.code == 130
    pid = (folder / "pid").read_text().strip()
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()
    assert state in ("", "Z") or state.startswith("Z")


def test_a_thread_of_a_node_that_outlives_it_does_not_hold_the_process(project: Path) -> None:
    result = nodectl(
        "run", write_workflow(project, {"steps": [{"name": "a", "node": "lingering"}]}), cwd=project
    )
    assert result.code == 0
    assert result.out == "1\n"
    assert result.seconds < STARTING + 1.0


@pytest.mark.parametrize("kept", [False, True])
def test_a_process_in_which_nothing_is_stuck_ends_as_any_python_does(project: Path, kept: bool) -> None:
    write_node(project, "last-words", LAST_WORDS)
    store = f"sqlite:///{project / 'runs.db'}" if kept else "none"
    result = nodectl("run", flow(project, "last-words"), "--store", store, cwd=project)
    assert result.code == 0 and (project / "tidied").exists()


def test_what_a_node_writes_to_descriptor_one_is_not_data(project: Path) -> None:
    write_node(project, "noisy", NOISY)
    path = write_workflow(project, {"steps": [{"name": "a", "node": "noisy"}]})
    result = nodectl("run", path, "--json", cwd=project)
    assert result.data["output"] == 1
    assert "loud" in result.err
    assert "raw" in result.err


def test_a_reader_that_leaves_early_gets_no_traceback(project: Path) -> None:
    write_node(project, "big", "def run(ctx, inputs):\n    return 'x' * 10_000_000\n")
    path = write_workflow(project, {"steps": [{"name": "a", "node": "big"}]})
    child = process("run", path, "--quiet", cwd=project)
    assert child.stdout is not None
    child.stdout.read(1)
    child.stdout.close()
    child.wait(timeout=60)
    assert child.stderr is not None
    assert child.stderr.read() == ""
    child.stderr.close()


def test_a_bug_of_ours_is_told_in_two_lines_and_ends_with_70(project: Path) -> None:
    (project / "sitecustomize.py").write_text(
        "import nodeling_runtime.engine.run as run\n"
        "def broken(*_):\n    raise RuntimeError('a planted bug')\n"
        "run.Run.execute = broken\n",
        encoding="utf-8",
    )
    path = flow(project, "tidy")
    env = {"PYTHONPATH": str(project)}
    plain = nodectl("run", path, cwd=project, env=env)
    assert plain.code == 70
    assert "Traceback" not in plain.err
    assert "internal error: RuntimeError: a planted bug" in plain.err
    assert "report it" in plain.err
    assert "--debug" in plain.err
    told = nodectl("run", path, "--debug", cwd=project, env=env)
    assert told.code == 70
    assert "Traceback" in told.err
    data = nodectl("run", path, "--json", cwd=project, env=env).data
    assert data["error"]["code"] == "internal"
