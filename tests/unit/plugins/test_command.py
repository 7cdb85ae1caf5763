"""command: what it gives, what it bounds, and that nothing of it is left."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodeling import Workflow
from nodeling.testing import NodeOutcome

Shipped = Callable[..., NodeOutcome]


def gone(pid: int) -> bool:
    """Whether a process has ended, within a bound."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_arguments_reach_the_program_as_they_are(shipped: Shipped) -> None:
    given = ["$HOME", "a b", "*", "; echo x", "", "é"]
    text = "import sys, json; print(json.dumps(sys.argv[1:]))"
    outcome = shipped("command", {"argv": [sys.executable, "-c", text, *given], "parse": "json"})
    assert outcome.output["stdout"] == given


def test_it_runs_in_its_folder_with_its_variables(
    shipped: Shipped, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDEN", "x")
    (here / "sub").mkdir()
    script = 'pwd; echo "$MINE-$HIDDEN"'
    inputs: dict[str, Any] = {
        "argv": ["sh", "-c", script],
        "cwd": "sub",
        "env": {"MINE": "1"},
        "parse": "lines",
    }
    assert shipped("command", inputs).output["stdout"] == [str((here / "sub").resolve()), "1-"]
    assert shipped("command", {**inputs, "inherit_env": True}).output["stdout"][1] == "1-x"


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"argv": ["sh", "-c", "echo no >&2; exit 7"]}, 4000, "ended with exit code 7: no"),
        ({"argv": ["sh", "-c", "kill -9 $$"]}, 4000, "ended with signal SIGKILL"),
        ({"argv": ["no-such-program-here"]}, 4004, "there is no program 'no-such-program-here'"),
        ({"argv": ["true"], "cwd": "nowhere"}, 4004, "there is no folder nowhere"),
        ({"argv": ["./plain"]}, 4003, "may not be run"),
        ({"argv": ["echo", "a\0b"]}, 4001, "cannot be given"),
        ({"argv": ["echo", "no"], "parse": "json"}, 4000, "wrote no JSON"),
    ],
)
def test_how_it_failed_is_said(shipped: Shipped, here: Path, inputs: Any, code: int, said: str) -> None:
    (here / "plain").write_text("text", encoding="utf-8")
    outcome = shipped("command", inputs)
    assert outcome.code == code and said in (outcome.error or {})["message"]


def test_any_code_may_be_right(shipped: Shipped) -> None:
    assert shipped("command", {"argv": ["sh", "-c", "exit 7"], "any_code": True}).output["exit_code"] == 7
    assert (
        shipped("command", {"argv": ["sh", "-c", "kill -15 $$"], "any_code": True}).output["exit_code"] == -15
    )


def test_both_streams_are_read_however_large_and_kept_up_to_a_bound(shipped: Shipped) -> None:
    text = "import sys; sys.stderr.write('e' * 3_000_000); sys.stdout.write('o' * 3_000_000 + 'end')"
    found = shipped("command", {"argv": [sys.executable, "-c", text], "max_bytes": 1_000}).output
    assert found["stdout"] == "o" * 997 + "end" and len(found["stderr"]) == 1_000
    assert found["dropped"] == {"stdout": 2_999_003, "stderr": 2_999_000}


def test_a_large_stdin_reaches_it_and_one_that_is_not_read_hurts_nobody(shipped: Shipped) -> None:
    assert (
        shipped("command", {"argv": ["wc", "-c"], "stdin": "x" * 1_000_000}).output["stdout"].strip()
        == "1000000"
    )
    assert shipped("command", {"argv": ["true"], "stdin": "x" * 1_000_000}).succeeded


TREE = "sleep 1000 & echo $! > child; echo $$ > self; wait"


@pytest.mark.parametrize("own", [True, False])
def test_a_timeout_kills_it_and_what_it_started(here: Path, own: bool) -> None:
    inputs: dict[str, Any] = {"argv": ["sh", "-c", TREE]}
    step: dict[str, Any] = {"name": "s", "node": "command", "inputs": inputs}
    if own:
        inputs["timeout_ms"] = 400
    else:
        step["timeout"] = 400
    result = Workflow.from_document({"name": "t", "steps": [step]}).run(timeout=30)
    assert (result.steps["s"].error or {})["code"] == (5000 if own else 9005)
    pids = [int((here / name).read_text(encoding="utf-8")) for name in ("self", "child")]
    assert all(gone(pid) for pid in pids)
    assert result.duration_ms < 15_000 and not result.leaked


def test_what_it_leaves_running_keeps_nobody_waiting_and_is_ended(shipped: Shipped, here: Path) -> None:
    outcome = shipped("command", {"argv": ["sh", "-c", "sleep 1000 & echo $! > child; echo done"]})
    assert outcome.output["stdout"] == "done\n" and outcome.duration_ms < 15_000
    assert gone(int((here / "child").read_text(encoding="utf-8")))


def test_many_at_once_leave_no_file_open(shipped: Shipped) -> None:
    before = len(os.listdir("/proc/self/fd"))
    each = {"name": "one", "node": "command", "inputs": {"argv": ["echo", "n${item}"]}}
    step = {"name": "all", "node": "for-each", "in": list(range(30)), "max_concurrent": 8, "do": each}
    result = Workflow.from_document({"name": "t", "steps": [step]}).run(timeout=60)
    assert [one["stdout"] for one in result.output["results"]] == [f"n{i}\n" for i in range(30)]
    assert len(os.listdir("/proc/self/fd")) <= before + 3
