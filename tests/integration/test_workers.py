"""Nodes in workers, through the engine and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from exec_calls import is_alive
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import below

NODE = """
import os, subprocess, sys, time
def run(ctx, inputs):
    kind = inputs.get("kind")
    if kind == "spin":
        while True: pass
    if kind == "crash": sys.stderr.write("going down\\n"); os._exit(7)
    if kind == "note":
        open(inputs["file"], "w").write(str(os.getpid()))
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(1000)
            os._exit(0)
        time.sleep(1000)
    if kind == "sleep": time.sleep(inputs["seconds"])
    if kind == "set": ctx.set("mark", inputs["value"])
    return {"pid": os.getpid(), "seen": inputs}
"""
STRANGER = """#!/bin/bash
while read -r line; do
  id=${line#*\\"id\\":}; id=${id%%,*}
  case $line in
    *node/invoke*) said='"result":{"output":{"shell":true}}' ;;
    *) said='"error":{"code":-32601,"message":"no"}' ;;
  esac
  echo '{"jsonrpc":"2.0","id":'"$id,$said}"
done
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".nodeling").mkdir()
    write(tmp_path, "worker", {"type": "runtime.python3", "entry": "node.py"}, NODE)
    write(tmp_path, "here", {}, NODE)
    write(tmp_path, "fresh", {"isolation": "call"}, NODE)
    shell = {"type": "runtime.command", "command": ["bash", "node.py"], "protocol": "nsp"}
    write(tmp_path, "shell", shell, STRANGER)
    yield tmp_path
    close_all()


def write(project: Path, name: str, runtime: dict[str, Any], code: str) -> None:
    folder = project / "nodes" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"name": name, "version": "1.0.0", "runtime": runtime}))
    (folder / "node.py").write_text(code)


def run(project: Path, *steps: dict[str, Any], **options: Any) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps)}))
    return nodeling.run(path, **options)


def test_children_of_every_kind_overlap(project: Path) -> None:
    children = [
        {"name": "a", "node": "here", "inputs": {"kind": "sleep", "seconds": 0.4}},
        {"name": "b", "node": "worker", "inputs": {"kind": "sleep", "seconds": 0.4}},
        {"name": "c", "node": "here", "type": "runtime.python3", "inputs": {"kind": "sleep", "seconds": 0.4}},
        {"name": "d", "node": "fresh", "inputs": {"kind": "sleep", "seconds": 0.4}},
        {"name": "e", "node": "shell", "inputs": {}},
    ]
    result = run(project, {"name": "all", "node": "parallel", "nodes": children})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    pids = [one["pid"] for one in found["results"][:4]]
    assert pids[0] == os.getpid()
    assert len(set(pids)) == 4
    assert found["results"][4] == {"shell": True}
    assert found["execution_info"]["concurrent_peak"] == 5
    assert found["execution_info"]["leaked"] == 0


def test_a_spinning_worker_is_killed_at_its_timeout_and_its_siblings_serve_on(project: Path) -> None:
    children = [
        {"name": "spin", "node": "worker", "inputs": {"kind": "spin"}, "timeout": 500},
        {"name": "nap", "node": "worker", "inputs": {"kind": "sleep", "seconds": 1}},
    ]
    policy = {"error_handling": "continue-partial"}
    started = time.monotonic()
    step = {"name": "all", "node": "parallel", "execution": policy, "nodes": children}
    result = run(project, step, {"name": "after", "node": "worker", "inputs": {}})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    assert [error["code"] for error in found["errors"]] == [9005]
    assert found["errors"][0]["message"] == "timed out after 500 ms"
    assert found["results"][1]["seen"]["kind"] == "sleep"
    assert result.steps["after"].output["pid"] == found["results"][1]["pid"]
    assert found["execution_info"]["leaked"] == 0
    assert time.monotonic() - started < 5


ESCAPES = {
    "spin": "while True: pass",
    "setsid": "subprocess.run(['setsid', '-w', 'bash', '-c', 'sleep 1000 & wait'])",
    "twice": "subprocess.run(['bash', '-c', '(setsid sleep 1000 &) ; sleep 1000'])",
}


def test_timeouts_end_whole_trees_while_a_sibling_serves_on(project: Path) -> None:
    code = "import os, subprocess\ndef run(ctx, inputs):\n    kind = inputs['kind']\n"
    code += "    open(inputs['file'], 'a').write(f'{os.getpid()}\\n')\n"
    code += "".join(f"    if kind == {name!r}:\n        {does}\n" for name, does in ESCAPES.items())
    code += "    return os.getpid()\n"
    write(project, "escaping", {"type": "runtime.python3"}, code)
    noted = project / "pids"
    stuck = [
        {"name": kind, "node": "escaping", "timeout": 500, "inputs": {"kind": kind, "file": str(noted)}}
        for kind in ESCAPES
    ]
    serve = {"name": "serve", "node": "worker", "inputs": {"kind": "sleep", "seconds": 0.1}}
    calls = {"name": "calls", "node": "for-each", "in": list(range(8)), "max_concurrent": 1, "do": serve}
    policy = {"error_handling": "continue-partial"}
    result = run(project, {"name": "all", "node": "parallel", "execution": policy, "nodes": [*stuck, calls]})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    assert [error["code"] for error in found["errors"]] == [9005] * 3
    assert max(error["duration_ms"] for error in found["errors"]) < 2_500
    assert len({one["pid"] for one in found["results"][3]["results"]}) == 1
    pids = set(noted.read_text().split())
    assert len(pids) == 3
    assert [pid for pid in pids if is_alive(int(pid))] == []
    assert not any(marked_sleep(name) for name in os.listdir("/proc"))


def marked_sleep(name: str) -> bool:
    """Whether a process is one of the sleeps that this process's workers started."""
    try:
        command = Path("/proc", name, "cmdline").read_bytes()
        home = Path("/proc", name, "cwd").resolve()
    except OSError:
        return False
    return command.startswith(b"sleep\x001000") and home.name == "escaping" and home.is_relative_to("/tmp")


def test_a_step_lowers_its_nodes_memory_and_the_run_goes_on(project: Path) -> None:
    code = (
        "def run(ctx, inputs):\n    x = []\n"
        "    while inputs['eat']: x.append(b'x' * 1_000_000)\n    return 'spared'\n"
    )
    write(project, "hungry", {"type": "runtime.python3", "concurrency": 2}, code)
    result = run(
        project,
        {
            "name": "x",
            "node": "hungry",
            "inputs": {"eat": True},
            "limits": {"memory_mb": 256},
            "on_error": "continue",
        },
        {"name": "y", "node": "hungry", "inputs": {"eat": False}},
    )
    error = result.steps["x"].error
    assert error is not None
    assert error["code"] == 9008
    assert "256 MiB" in error["message"]
    assert "peak" in error["message"]
    assert error["details"]["peak_rss_mb"] > 256
    assert (result.status, result.steps["y"].output) == ("succeeded", "spared")


@pytest.mark.parametrize("step", [{}, {"timeout": "${2000 * 1000}"}, {"timeout": 100}])
def test_a_nodes_own_timeout_is_the_most_its_steps_get(project: Path, step: dict[str, Any]) -> None:
    folder = project / "nodes" / "brief"
    write(project, "brief", {"type": "runtime.python3"}, "def run(ctx, inputs):\n    while True: pass\n")
    manifest = {"name": "brief", "runtime": {"type": "runtime.python3"}, "timeout": "300ms"}
    (folder / "config.json").write_text(json.dumps(manifest))
    error = run(project, {"name": "x", "node": "brief", **step}).steps["x"].error
    assert error is not None
    assert (error["code"], error["message"]) == (
        9005,
        f"timed out after {step.get('timeout') if step.get('timeout') == 100 else 300} ms",
    )


def test_a_nodes_concurrency_holds_across_steps_with_limits_of_their_own(project: Path) -> None:
    write(project, "one", {"type": "runtime.python3", "concurrency": 1}, NODE)
    children = [
        {
            "name": f"c{mb}",
            "node": "one",
            "inputs": {"kind": "sleep", "seconds": 0.1},
            "limits": {"memory_mb": mb},
        }
        for mb in (200, 300, 400)
    ]
    found = run(project, {"name": "p", "node": "parallel", "nodes": children}).steps["p"].output
    assert found["execution_info"]["failed"] == 0
    started = sorted(
        (child["started_ms"], child["duration_ms"]) for child in found["execution_info"]["children"]
    )
    for (first, took), (second, _) in zip(started, started[1:], strict=False):
        assert second >= first + took - 5


def test_a_killed_worker_fails_its_own_step_and_a_retry_gets_a_fresh_one(project: Path) -> None:
    result = run(
        project,
        {"name": "x", "node": "worker", "inputs": {"kind": "crash"}, "retry": {"attempts": 2, "delay": 1}},
    )
    error = result.steps["x"].error
    assert error is not None
    assert (error["code"], error["details"]["exit_code"]) == (9003, 7)
    assert "going down" in error["message"]
    assert result.steps["x"].attempts == 2


def test_the_time_of_a_call_begins_when_a_process_takes_it(project: Path) -> None:
    write(
        project,
        "slow",
        {"type": "runtime.python3"},
        "import time\ntime.sleep(0.6)\ndef run(ctx, inputs):\n    return 1\n",
    )
    assert run(project, {"name": "x", "node": "slow", "timeout": 500}).status == "succeeded"


def test_what_a_worker_writes_is_seen_by_the_next_step(project: Path) -> None:
    result = run(
        project,
        {"name": "x", "node": "worker", "inputs": {"kind": "set", "value": 5}},
        {"name": "y", "node": "worker", "inputs": {"value": "${ctx.vars.mark}"}},
    )
    assert result.steps["y"].output["seen"] == {"value": 5}


def test_a_container_in_a_worker_is_refused(project: Path) -> None:
    step = {
        "name": "p",
        "node": "parallel",
        "type": "runtime.python3",
        "nodes": [{"name": "a", "node": "here"}],
    }
    with pytest.raises(nodeling.ConfigError, match="container"):
        run(project, step)


@pytest.mark.parametrize("victim", ["run", "warden"])
def test_fault_34_nothing_is_left_two_seconds_after_a_kill(project: Path, victim: str) -> None:
    noted = project / "pid"
    steps = [{"name": "x", "node": "worker", "inputs": {"kind": "note", "file": str(noted)}}]
    (project / "flow.json").write_text(json.dumps({"name": "flow", "steps": steps}))
    command = [sys.executable, "-m", "nodeling_runtime", "run", "flow.json"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worker = 0
    end = time.monotonic() + 20
    tree: set[int] = set()
    while len(tree) < 4 and time.monotonic() < end:
        worker = int(noted.read_text() or 0) if noted.exists() else 0
        tree = below(process.pid) if worker else set()
    assert len(tree) >= 4  # the warden, the worker, and its children in sessions of their own
    if victim == "run":
        process.kill()
    else:
        (warden,) = [pid for pid in tree if worker in below(pid)]
        os.kill(warden, signal.SIGKILL)
    started = time.monotonic()
    while any(is_alive(pid) for pid in tree) and time.monotonic() < started + 5:
        pass
    took = time.monotonic() - started
    process.wait(10)
    assert [pid for pid in tree if is_alive(pid)] == []
    assert took < 2


def test_an_always_step_in_a_worker_has_the_cleanup_time_after_the_runs_own_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "nodes" / "risky"
    folder.mkdir(parents=True)
    manifest = {"name": "risky", "runtime": {"type": "python", "isolation": "worker"}}
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    code = "def run(ctx, inputs):\n    while inputs['hang']:\n        pass\n    return 'clean'\n"
    (folder / "node.py").write_text(code, encoding="utf-8")
    wf = nodeling.Workflow("ends", nodes=[tmp_path / "nodes"])
    wf.step("stuck", "risky", inputs={"hang": True})
    wf.step("tidy", "risky", trigger="always", inputs={"hang": False})
    result = wf.run(timeout="500ms")
    assert result.error is not None
    assert result.error["details"]["limit"] == "run_timeout"
    assert result.steps["tidy"].output == "clean", result.steps["tidy"]
