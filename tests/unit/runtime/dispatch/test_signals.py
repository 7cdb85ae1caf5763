"""A number may name another process by the time it is used: signals go through handles that were compared."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import nodeling_runtime.dispatch
from exec_calls import is_alive
from nodeling_runtime.dispatch.marked import kill_marked
from nodeling_runtime.dispatch.worker import warden_look

MARK = "NODELING_WORKER=of-this-test-alone"
# Who may signal a number, and why it cannot belong to anybody else.
BY_NUMBER = {
    ("process.py", "kill_group"): "a leader that is not reaped keeps its number",
    ("warden.py", "_end_alone"): "its pidfd has just answered",
    ("warden_look.py", "kill_process"): "only where there is no pidfd",
    ("warden_process.py", "kill"): "a leader that is not reaped keeps its number",
    ("warden_process.py", "obey"): "a leader that is not reaped keeps its number",
    ("warden_process.py", "take_all_along"): "leaders that are not reaped keep their numbers",
}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"], env={"X": MARK}) as process:
        yield process
        process.kill()


def test_fault_36_a_number_that_was_given_to_another_process_is_not_killed(
    sleeper: subprocess.Popen[bytes],
) -> None:
    seen = warden_look.read_process(sleeper.pid)
    assert seen is not None
    seen.started -= 1  # as if this look had been at somebody who bore the number before
    warden_look.kill_process(seen)
    assert is_alive(sleeper.pid)
    seen.started += 1
    warden_look.kill_process(seen)
    assert sleeper.wait(10) == -9


def test_fault_36_only_who_bears_the_mark_when_the_handle_is_open_is_killed(
    sleeper: subprocess.Popen[bytes],
) -> None:
    assert kill_marked(b"NODELING_WORKER=of-nobody", besides=0) == 0
    assert is_alive(sleeper.pid)
    assert kill_marked(MARK.encode(), besides=0) == 1
    assert sleeper.wait(10) == -9


def test_fault_36_nothing_else_signals_by_number() -> None:
    found = set()
    for path in Path(str(nodeling_runtime.dispatch.__path__[0])).rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
                if {"os.kill", "os.killpg"} & set(calls):
                    found.add((path.name, function.name))
    assert found == set(BY_NUMBER)
