"""Kept runs from the command line: keys, resuming, cancelling from elsewhere, signals, several at once."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Ended, ended, invoke, nodectl, process, wait_for, write_node, write_workflow
from nodeling_runtime.store.model import NewRun
from nodeling_runtime.store.opening import open_store
from nodeling_runtime.store.verify import verify

ECHO = "def run(ctx, inputs):\n    return inputs\n"
COUNTS = """
import os

def run(ctx, inputs):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(f"{ctx.step} {ctx.attempt}\\n")
    return ctx.step
"""
WAITS = """
import pathlib, threading

def run(ctx, inputs):
    pathlib.Path("started").touch()
    if not pathlib.Path("go").exists():
        threading.Event().wait()
    return "went"
"""
TIDY = """
import pathlib

def run(ctx, inputs):
    pathlib.Path("tidied").touch()
"""
# a kept run is the default in a project, and these tests are about that
PROJECT: dict[str, str] = {"NODELING_STORE": ""}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    for name, code in (("echo", ECHO), ("counts", COUNTS), ("waits", WAITS), ("tidy", TIDY)):
        write_node(tmp_path, name, code)
    return tmp_path


def call(*args: object, env: dict[str, str] | None = None) -> Ended:
    """Call `nodectl` here, in this process."""
    result = invoke(*args, env=env or PROJECT)
    return Ended(result.exit_code, result.stdout, result.stderr, 0.0)


def listed() -> list[dict[str, Any]]:
    return list(call("runs", "list", "--json").data)


def sound(project: Path) -> None:
    """The project's store is whole and says what its histories say."""
    store = open_store(str(project / ".nodeling" / "runs.db"))
    try:
        assert store.check() == []
        assert verify(store) == []
    finally:
        store.close()


def dying(project: Path, *args: object, at: str) -> Ended:
    return nodectl(*args, cwd=project, env={**PROJECT, "NODELING_DIE_AT": at})


def apart(project: Path, *args: object) -> Ended:
    """Call `nodectl` in a process of its own."""
    return nodectl(*args, cwd=project, env=PROJECT)


# -- where runs are kept


def test_a_run_in_a_project_is_kept_and_shown_as_it_was(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "echo", "inputs": {"x": 1}}]})
    ran = call("run", "flow.json", "--json", "--quiet").data
    (row,) = listed()
    assert {"run_id", "workflow", "status", "started", "ended"} <= row.keys()
    assert (row["run_id"], row["workflow"], row["status"]) == (ran["run_id"], "flow", "succeeded")
    shown = call("runs", "show", row["run_id"][:8], "--json").data
    assert {**shown, "duration_ms": 0} == {**ran, "duration_ms": 0, "steps": shown["steps"]}
    assert shown["steps"]["a"]["status"] == "succeeded"
    assert oct((project / ".nodeling" / "runs.db").stat().st_mode & 0o777) == "0o600"


def test_a_run_outside_a_project_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_node(tmp_path, "echo", ECHO)
    write_workflow(tmp_path, {"steps": [{"name": "a", "node": "echo"}]})
    assert call("run", "flow.json", "--quiet").code == 0
    assert not (tmp_path / ".nodeling" / "runs.db").exists()
    said = call("runs", "list")
    assert (said.code, "--store URL" in said.err) == (69, True)


def test_store_none_keeps_nothing_and_a_store_can_be_named(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "echo"}]})
    assert call("run", "flow.json", "--quiet", "--store", "none").code == 0
    assert listed() == []
    assert not (project / ".nodeling" / "runs.db").exists()
    url = f"sqlite:///{project / 'elsewhere.db'}"
    assert call("run", "flow.json", "--quiet", "--store", url).code == 0
    assert len(call("runs", "list", "--json", "--store", url).data) == 1
    assert call("runs", "list", "--json", env={"NODELING_STORE": url}).data != []


@pytest.mark.parametrize("durability", ["full", "fast", "off"])
def test_durability_is_what_was_asked_for(project: Path, durability: str) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "echo"}]})
    assert call("run", "flow.json", "--quiet", "--durability", durability).code == 0
    store = open_store(str(project / ".nodeling" / "runs.db"), durability)
    try:
        level = store._db.execute("PRAGMA synchronous").fetchone()[0]  # type: ignore[attr-defined]
    finally:
        store.close()
    assert level == {"full": 2, "fast": 1, "off": 0}[durability]


# -- keys


def test_the_same_key_and_input_are_one_run(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "counts"}]})
    first = call("run", "flow.json", "--json", "--key", "k", "--input", '{"x": 1, "y": 2}').data
    again = call("run", "flow.json", "--json", "--key", "k", "--input", '{"y": 2, "x": 1}')
    assert again.data["run_id"] == first["run_id"]
    assert again.data["output"] == first["output"]
    assert (project / "calls").read_text(encoding="utf-8") == "a 1\n"
    refused = call("run", "flow.json", "--key", "k", "--input", '{"x": 2, "y": 2}')
    assert (refused.code, first["run_id"] in refused.err) == (65, True)
    assert len(listed()) == 1


def test_a_key_whose_run_was_cut_short_goes_on_with_it(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "counts"}, {"name": "b", "node": "counts"}]})
    assert dying(project, "run", "flow.json", "--key", "k", at="sent:2").code == -9
    done = call("run", "flow.json", "--key", "k", "--json", "--quiet")
    assert (done.code, done.data["status"]) == (0, "succeeded")
    (row,) = listed()
    assert (row["run_id"], row["recoveries"]) == (done.data["run_id"], 1)
    assert (project / "calls").read_text(encoding="utf-8") == "a 1\nb 2\n"


# -- resuming


def test_a_run_whose_process_was_killed_is_resumed_where_it_was(project: Path) -> None:
    steps = [{"name": name, "node": "counts"} for name in ("a", "b", "c")]
    write_workflow(project, {"steps": steps})
    assert dying(project, "run", "flow.json", at="sent:2").code == -9
    (row,) = listed()
    assert row["status"] == "running"
    shown = call("runs", "show", row["run_id"], "--json").data
    assert {name: step["status"] for name, step in shown["steps"].items()} == {
        "a": "succeeded",
        "b": "running",
        "c": "pending",
    }
    done = call("runs", "resume", row["run_id"], "--json", "--quiet")
    assert (done.code, done.data["output"]) == (0, "c")
    assert (project / "calls").read_text(encoding="utf-8") == "a 1\nb 2\nc 1\n"
    again = call("runs", "resume", row["run_id"])
    assert (again.code, "has ended" in again.err) == (1, True)
    sound(project)


def test_all_that_waits_is_resumed_and_the_rest_left_alone(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "counts"}, {"name": "b", "node": "counts"}]})
    assert call("run", "flow.json", "--quiet").code == 0
    for _ in range(2):
        assert dying(project, "run", "flow.json", at="started:2").code == -9
    done = call("runs", "resume", "--all")
    assert done.code == 0
    assert [line.split()[-1] for line in done.out.splitlines()] == ["succeeded", "succeeded"]
    assert [row["status"] for row in listed()] == ["succeeded"] * 3
    assert "no run waits" in call("runs", "resume", "--all").err


def test_a_run_that_was_cancelled_before_keeps_none_of_the_others_from_being_resumed(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "counts"}, {"name": "b", "node": "counts"}]})
    for _ in range(2):
        assert dying(project, "run", "flow.json", at="started:2").code == -9
    store = open_store(str(project / ".nodeling" / "runs.db"))
    try:
        store.cancel(listed()[-1]["run_id"], "user", "a signal")
    finally:
        store.close()
    done = call("runs", "resume", "--all")
    assert [line.split()[-1] for line in done.out.splitlines()] == ["cancelled", "succeeded"]
    assert done.code == 1
    assert "no run waits" in call("runs", "resume", "--all").err


def test_a_run_that_takes_its_process_with_it_is_dead_after_three_recoveries(project: Path) -> None:
    """FAULTS 62."""
    kills = "import os, signal\n\ndef run(ctx, inputs):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    write_node(project, "kills", kills)
    write_workflow(project, {"steps": [{"name": "a", "node": "kills"}]})
    assert apart(project, "run", "flow.json", "--quiet").code == -9
    for _ in range(3):
        assert apart(project, "runs", "resume", "--all").code == -9
    last = call("runs", "resume", "--all")
    assert (last.code, "out of process" in last.err) == (1, True)
    (row,) = listed()
    assert (row["status"], row["error"]["code"]) == ("dead", "run.dead")
    assert call("runs", "resume", row["run_id"]).code == 1
    assert call("runs", "resume", "--all").code == 0
    sound(project)


def test_an_unsafe_step_in_doubt_suspends_the_run_with_an_exit_code_of_its_own(project: Path) -> None:
    write_node(project, "pays", COUNTS, effects="unsafe")
    write_workflow(project, {"steps": [{"name": "pay", "node": "pays"}, {"name": "b", "node": "counts"}]})
    assert dying(project, "run", "flow.json", at="result:2").code == -9
    done = call("runs", "resume", "--all")
    assert (project / "calls").read_text(encoding="utf-8") == "pay 1\n"
    (row,) = listed()
    assert row["status"] == "suspended"
    assert call("runs", "resume", row["run_id"], "--quiet").code == 75
    assert done.code == 1
    sound(project)


MAY_FAIL = """
import pathlib

def run(ctx, inputs):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(f"{ctx.step} {ctx.attempt}\\n")
    if pathlib.Path(f"broken-{ctx.step}").exists():
        raise ValueError(f"{ctx.step} is broken")
    return ctx.step
"""


def suspending(project: Path) -> None:
    """A workflow that waits for somebody to see to its failures; its first step fails."""
    write_node(project, "may-fail", MAY_FAIL)
    steps: list[dict[str, Any]] = [
        {"name": "load", "node": "may-fail", "needs": []},
        {"name": "after", "node": "may-fail", "needs": [{"step": "load", "on": "done"}]},
        {"name": "mail", "node": "may-fail", "trigger": "on_error"},
        {"name": "last", "node": "may-fail", "trigger": "always"},
    ]
    write_workflow(project, {"settings": {"on_failure": "suspend"}, "steps": steps})
    (project / "broken-load").touch()


def calls_of(project: Path) -> list[str]:
    found = (project / "calls").read_text(encoding="utf-8").splitlines()
    (project / "calls").unlink()
    return found


def test_a_run_that_suspends_on_failure_says_how_to_go_on_and_does(project: Path) -> None:
    suspending(project)
    first = call("run", "flow.json")
    (row,) = listed()
    assert (first.code, row["status"], row["error"]["step"]) == (75, "suspended", "load")
    assert f"`nodectl runs resume {row['run_id']}`" in first.err
    assert calls_of(project) == ["load 1", "mail 1"]
    shown = call("runs", "show", row["run_id"])
    assert "load is broken" in shown.err
    assert f"`nodectl runs resume {row['run_id']}`" in shown.err
    assert "no run waits" in call("runs", "resume", "--all").err  # it is for somebody to say when
    again = call("runs", "resume", row["run_id"], "--json")
    assert (again.code, again.data["status"], calls_of(project)) == (75, "suspended", ["load 1", "mail 1"])
    (project / "broken-load").unlink()
    last = call("runs", "resume", row["run_id"], "--quiet")
    assert (last.code, calls_of(project)) == (0, ["load 1", "after 1", "last 1"])
    assert call("runs", "resume", row["run_id"]).code == 1
    sound(project)


def test_a_step_that_is_not_in_doubt_is_refused_and_the_run_waits_as_before(project: Path) -> None:
    suspending(project)
    assert call("run", "flow.json", "--quiet").code == 75
    (row,) = listed()
    refused = call("runs", "resolve", row["run_id"], "lode", "--done", "5")
    assert (refused.code, "'lode' is not in doubt" in refused.err) == (66, True)
    assert listed()[0]["status"] == "suspended"
    assert "no run waits" in call("runs", "resume", "--all").err
    assert calls_of(project) == ["load 1", "mail 1"]


def test_a_suspended_run_is_cancelled_with_its_always_steps(project: Path) -> None:
    suspending(project)
    assert call("run", "flow.json", "--quiet").code == 75
    calls_of(project)
    (row,) = listed()
    assert call("runs", "cancel", row["run_id"]).code == 0
    assert (listed()[0]["status"], calls_of(project)) == ("cancelled", ["last 1"])
    assert call("runs", "resume", row["run_id"]).code == 1
    sound(project)


@pytest.mark.parametrize(
    "at", [f"{point}:{n}" for point in ("sent", "result", "acknowledged") for n in (1, 2, 3)]
)
def test_a_run_that_was_killed_on_its_way_into_the_suspension_gets_there_when_it_is_resumed(
    project: Path, at: str
) -> None:
    suspending(project)
    died = dying(project, "run", "flow.json", "--quiet", at=at).code
    assert died in (-9, 75)
    (row,) = listed()
    assert call("runs", "resume", row["run_id"], "--quiet").code == 75
    assert listed()[0]["status"] == "suspended"
    (project / "broken-load").unlink()
    assert dying(project, "runs", "resume", row["run_id"], "--quiet", at=at).code in (-9, 0)
    if listed()[0]["status"] == "running":
        assert call("runs", "resume", row["run_id"], "--quiet").code == 0
    assert listed()[0]["status"] == "succeeded"
    sound(project)


def test_a_run_that_is_told_to_end_while_its_handlers_run_is_cancelled_and_not_suspended(
    project: Path,
) -> None:
    suspending(project)
    flow = json.loads((project / "flow.json").read_text(encoding="utf-8"))
    flow["steps"][2]["node"] = "waits"
    write_workflow(project, flow)
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    child.send_signal(signal.SIGTERM)
    assert ended(child).code == 143
    (row,) = listed()
    assert (row["status"], calls_of(project)) == ("cancelled", ["load 1", "last 1"])
    sound(project)


def test_where_nothing_is_kept_a_run_that_would_suspend_says_that_it_fails_instead(project: Path) -> None:
    suspending(project)
    done = call("run", "flow.json", "--store", "none")
    assert (done.code, "instead of suspending it" in done.err) == (1, True)
    assert calls_of(project) == ["load 1", "after 1", "mail 1", "last 1"]


def test_a_run_is_held_by_the_process_that_runs_it(project: Path) -> None:
    """FAULTS 60."""
    write_workflow(project, {"steps": [{"name": "a", "node": "waits"}]})
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    (row,) = listed()
    refused = call("runs", "resume", row["run_id"])
    assert (refused.code, f":{child.pid}:" in refused.err) == (69, True)
    child.send_signal(signal.SIGTERM)
    assert ended(child).code == 143


def test_a_runner_that_was_stopped_for_long_is_not_overtaken_and_goes_on(project: Path) -> None:
    """FAULTS 61, where locks do not run out: nobody else gets the run, and nothing is recorded twice."""
    write_workflow(project, {"steps": [{"name": "a", "node": "waits"}, {"name": "b", "node": "counts"}]})
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    (row,) = listed()
    child.send_signal(signal.SIGSTOP)
    try:
        assert call("runs", "resume", row["run_id"]).code == 69
        assert "no run waits" in call("runs", "resume", "--all").err
        assert "was told to end" in call("runs", "cancel", row["run_id"]).err
    finally:
        child.send_signal(signal.SIGCONT)
    assert ended(child).code == 143
    assert listed()[0]["status"] == "cancelled"
    sound(project)


WRITES = "def run(ctx, inputs):\n    return {'file': ctx.write_blob(b'\\x00raw bytes\\xff' * 1000)}\n"
READS = """
def run(ctx, inputs):
    with ctx.open_blob(inputs["file"]) as file:
        return len(file.read())
"""


def test_a_file_in_an_output_is_there_after_a_resume_and_gone_with_its_run(project: Path) -> None:
    write_node(project, "writes", WRITES)
    write_node(project, "reads", READS)
    reads = {"name": "b", "node": "reads", "inputs": {"file": "${steps.a.output.file}"}}
    write_workflow(project, {"steps": [{"name": "a", "node": "writes"}, reads]})
    assert dying(project, "run", "flow.json", at="sent:2").code == -9
    (row,) = listed()
    kept = list((project / ".nodeling" / "blobs" / row["run_id"]).iterdir())
    assert [file.stat().st_size for file in kept] == [11_000]
    done = call("runs", "resume", row["run_id"], "--json", "--quiet")
    assert (done.code, done.data["output"]) == (0, 11_000)
    store = open_store(str(project / ".nodeling" / "runs.db"))
    store.delete(row["run_id"])
    store.close()
    assert not kept[0].exists()


def test_a_value_too_large_for_memory_is_itself_again_after_a_resume(project: Path) -> None:
    write_node(project, "large", "def run(ctx, inputs):\n    return {'text': 'x' * (17 * 2**20)}\n")
    write_node(project, "size", "def run(ctx, inputs):\n    return len(inputs['text'])\n")
    measure = {"name": "b", "node": "size", "inputs": {"text": "${steps.a.output.text}"}}
    write_workflow(project, {"steps": [{"name": "a", "node": "large"}, measure]})
    assert dying(project, "run", "flow.json", at="sent:2").code == -9
    (row,) = listed()
    done = call("runs", "resume", row["run_id"], "--json", "--quiet")
    assert (done.code, done.data["output"]) == (0, 17 * 2**20)


def test_a_run_whose_process_is_gone_is_listed_with_what_to_do(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "counts"}]})
    assert dying(project, "run", "flow.json", at="sent").code == -9
    (row,) = listed()
    assert (row["status"], row["abandoned"]) == ("running", True)
    for words in (("list",), ("show", row["run_id"])):
        told = call("runs", *words)
        assert told.code == 0
        assert f"the process of run {row['run_id']} is gone" in told.err
        assert f"nodectl runs resume {row['run_id']}" in told.err
    assert call("runs", "resume", row["run_id"], "--quiet").code == 0
    assert "gone" not in call("runs", "list").err
    assert [row["abandoned"] for row in listed()] == [False]


# -- cancelling and signals


def test_a_run_is_cancelled_from_another_process(project: Path) -> None:
    steps = [{"name": "a", "node": "waits"}, {"name": "z", "node": "tidy", "trigger": "always"}]
    write_workflow(project, {"steps": steps})
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    (row,) = listed()
    assert call("runs", "cancel", row["run_id"]).code == 0
    assert ended(child).code == 143
    assert (project / "tidied").exists()
    assert listed()[0]["status"] == "cancelled"
    assert "has ended already" in call("runs", "cancel", row["run_id"]).err
    sound(project)


def test_a_run_whose_process_is_gone_is_ended_where_the_cancel_is(project: Path) -> None:
    steps = [{"name": "a", "node": "counts"}, {"name": "z", "node": "tidy", "trigger": "always"}]
    write_workflow(project, {"steps": steps})
    assert dying(project, "run", "flow.json", at="sent").code == -9
    (row,) = listed()
    done = call("runs", "cancel", row["run_id"])
    assert (done.code, done.out.split()[-1]) == (0, "cancelled")
    assert (project / "tidied").exists()
    assert not (project / "calls").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_order_and_that_is_kept(project: Path, number: int, code: int) -> None:
    """FAULTS 81, the first Ctrl-C; and SIGTERM."""
    steps = [{"name": "a", "node": "waits"}, {"name": "z", "node": "tidy", "trigger": "always"}]
    write_workflow(project, {"steps": steps})
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    child.send_signal(number)
    assert ended(child).code == code
    assert (project / "tidied").exists()
    assert listed()[0]["status"] == "cancelled"
    sound(project)


def test_a_second_interrupt_leaves_at_once_and_the_store_stays_sound(project: Path) -> None:
    """FAULTS 81: what the second one cuts short is cancelled by whoever resumes it."""
    late = WAITS.replace('"started"', '"tidying"')
    write_node(project, "late", late)
    steps = [{"name": "a", "node": "waits"}, {"name": "z", "node": "late", "trigger": "always"}]
    write_workflow(project, {"steps": steps})
    child = process("run", "flow.json", "--quiet", cwd=project, env=PROJECT)
    wait_for(project / "started")
    child.send_signal(signal.SIGINT)
    wait_for(project / "tidying")
    child.send_signal(signal.SIGINT)
    assert ended(child).code == 130
    sound(project)
    (row,) = listed()
    assert row["status"] == "running"
    (project / "go").touch()
    call("runs", "resume", "--all")
    (row,) = listed()
    assert row["status"] == "cancelled"
    sound(project)


# -- several at once


def test_eight_runs_at_once_share_a_new_project(project: Path) -> None:
    """FAULTS 56: each waits for the others' transactions, none fails."""
    write_workflow(project, {"steps": [{"name": f"s{n}", "node": "echo"} for n in range(10)]})
    children = [process("run", "flow.json", "--quiet", cwd=project, env=PROJECT) for _ in range(8)]
    found = [ended(child) for child in children]
    assert [one.code for one in found] == [0] * 8, [one.err for one in found if one.code]
    assert [row["status"] for row in listed()] == ["succeeded"] * 8
    sound(project)


# -- the store's own tools


def test_the_tools_say_that_a_store_is_sound_and_what_is_not(project: Path) -> None:
    assert call("store", "check").out == "nothing was ever kept here\n"
    write_workflow(project, {"steps": [{"name": "a", "node": "echo"}]})
    assert call("run", "flow.json", "--quiet").code == 0
    assert call("store", "check").out == "the store is whole\n"
    assert call("store", "verify").out == "1 run verified\n"
    copy = project / "copy.db"
    assert call("store", "backup", copy).code == 0
    assert call("store", "backup", copy).code == 69
    db = sqlite3.connect(copy)
    db.execute("UPDATE result SET status = 'failed'")
    db.commit()
    db.close()
    bad = call("store", "verify", "--store", f"sqlite:///{copy}", "--json")
    assert (bad.code, bad.data["ok"]) == (1, False)
    assert "its events say" in bad.data["faults"][0]


def test_a_word_that_means_no_run_or_several_is_told_so(project: Path) -> None:
    write_workflow(project, {"steps": [{"name": "a", "node": "echo"}]})
    assert call("runs", "show", "f").code == 66
    keeper = open_store(str(project / ".nodeling" / "runs.db"))
    for run_id in ("abc1", "abc2"):
        keeper.create(NewRun(run_id, "w", "1", b'{"document":{"steps":[]}}', b"{}", 1.0))
    keeper.close()
    said = call("runs", "show", "abc")
    assert (said.code, "abc2, abc1" in said.err) == (66, True)
    assert call("runs", "show", "abc", "--json").data["error"]["code"] == "run.ambiguous"
    assert call("runs", "show", "abc1", "--json").data["status"] == "queued"


@pytest.mark.parametrize("url", ["sqlite:///here.db", "here.db", "sqlite:///{folder}/here.db"])
def test_a_store_is_found_again_under_the_address_it_was_made_with(project: Path, url: str) -> None:
    address = url.format(folder=project)
    path = write_workflow(project, {"steps": [{"name": "a", "node": "echo", "inputs": {}}]})
    assert call("run", path, "--store", address, "--quiet").code == 0
    assert (project / "here.db").is_file()
    assert len(call("runs", "list", "--json", "--store", address).data) == 1
