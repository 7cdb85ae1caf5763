"""Every language of the table in one workflow: they overlap, answer alike, and none outlives the runtime."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from cli_calls import nodectl, process, write_node, write_workflow
from languages import Language, languages

GONE_SECONDS = 10.0  # the rule says two; a loaded machine is no violation


@pytest.fixture(scope="module")
def commands() -> dict[str, tuple[Language, list[str]]]:
    return {one.language: (one, one.command(one.echo)) for one in languages()}


def project_of(root: Path, commands: dict[str, tuple[Language, list[str]]], inputs: Any) -> dict[str, str]:
    """A project with a node in each language, and a workflow that calls all of them at once."""
    (root / ".nodeling").mkdir()
    env: dict[str, str] = {}
    children = []
    for number, (name, (language, command)) in enumerate(commands.items(), 1):
        # A kitchen sink answers to one name, so each is a version of it.
        channel = language.capabilities["channels"][0]
        runtime = {"type": "runtime.command", "command": command, "protocol": "nsp", "channel": channel}
        about = {"name": "kitchen-sink", "version": f"{number}.0.0", "env": sorted(language.env)}
        write_node(root, f"kitchen-sink@{number}.0.0", "", runtime=runtime, **about)
        children.append({"name": name, "node": f"kitchen-sink@{number}.0.0", "inputs": inputs})
        env |= language.environment()
    execution = {"max_concurrent": len(children), "error_handling": "continue-partial"}
    step = {"name": "all", "node": "parallel", "execution": execution, "nodes": children}
    write_workflow(root, {"steps": [step]})
    return env


def test_all_languages_overlap_and_answer_alike(
    tmp_path: Path, commands: dict[str, tuple[Language, list[str]]]
) -> None:
    value = {"text": "naïve 🎈", "numbers": [0, -1, 0.5, 9007199254740991], "none": None, "__proto__": {}}
    inputs = {"do": "sleep", "ms": 1500, "value": value}
    env = project_of(tmp_path, commands, inputs)
    ran = nodectl("run", "flow.json", "--json", cwd=tmp_path, env=env)
    assert ran.code == 0, ran.err
    output = ran.data["output"]
    assert output["results"] == [value] * len(commands), output
    assert output["execution_info"]["concurrent_peak"] == len(commands) >= 7


def test_none_outlives_a_runtime_that_is_killed(
    tmp_path: Path, commands: dict[str, tuple[Language, list[str]]]
) -> None:
    env = project_of(tmp_path, commands, {"do": "sleep", "ms": 60_000})
    mark = f"all-languages-{os.getpid()}"
    child = process(
        "run", "flow.json", "--events", "events", cwd=tmp_path, env={**env, "NODELING_WORKER": mark}
    )
    try:
        until = time.monotonic() + 60
        while len(marked(mark)) < len(commands) + 1:  # the warden bears it too
            assert time.monotonic() < until, marked(mark)
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        until = time.monotonic() + GONE_SECONDS
        while marked(mark):
            assert time.monotonic() < until, marked(mark)
            time.sleep(0.02)
    finally:
        child.kill()
        child.communicate()
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """The living processes whose environment bears the mark, the runtime itself aside."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environ = Path("/proc", name, "environ").read_bytes()
            words = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if f"NODELING_WORKER={mark}".encode() in environ and b"nodeling_runtime\0run" not in words:
            found.append(int(name))
    return found
