"""Runs that are looked at from outside: shown, followed, compared, exported, pruned."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli_calls import PATIENCE, invoke, process, write_node, write_workflow
from nodeling_runtime.cli.doctor import Finding, _store
from nodeling_runtime.cli.main import cli

WORK = """
import time
from pathlib import Path
from nodeling import NodeError

def run(ctx, inputs):
    ctx.log(f"{ctx.step} at work", given=inputs.get("n"))
    if inputs.get("wait"):
        while not Path(inputs["wait"]).exists():
            time.sleep(0.01)
    if inputs.get("n") == "broken":
        raise NodeError("broken", code=4000)
    ctx.set("last", inputs.get("n"))
    return inputs.get("n")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NODELING_STORE", f"sqlite:///{tmp_path / 'runs.db'}")
    write_node(tmp_path, "work", WORK)
    return tmp_path


def step(name: str, n: Any = 1, **keys: Any) -> dict[str, Any]:
    return {"name": name, "node": "work", "inputs": {"n": n}, **keys}


def ran(folder: Path, steps: list[dict[str, Any]], code: int = 0, **document: Any) -> str:
    """The id of a run that has ended."""
    found = invoke("run", write_workflow(folder, {"steps": steps, **document}), "--json", "--quiet")
    assert found.exit_code == code, found.output
    return str(json.loads(found.stdout)["run_id"])


def runs(*args: object) -> Result:
    return invoke("runs", *args)


def test_a_run_is_shown_with_what_is_inside_its_steps_and_its_critical_path(folder: Path) -> None:
    fan = {
        "name": "all",
        "node": "parallel",
        "nodes": [step("a"), step("b", "broken")],
        "on_error": "continue",
    }
    run_id = ran(folder, [step("first"), fan, step("end", 7)])
    found = runs("show", run_id[:8])
    assert found.exit_code == 0
    assert json.loads(found.stdout) == 7
    lines = found.stderr.splitlines()
    inside = [line for line in lines if "[4000] broken" in line]
    assert len(inside) == 1
    assert inside[0].index("b ") > next(line for line in lines if " all " in line).index("all ")
    path = lines[-1]
    assert path.startswith("critical path, as measured: first ")
    assert path.index("first") < path.index("all") < path.index("end ")


def test_lists_are_filtered_by_tag_and_time(folder: Path) -> None:
    one = ran(folder, [step("a")], tags=["nightly", "big"])
    ran(folder, [step("a")])

    def ids(*args: object) -> list[str]:
        return [row["run_id"] for row in json.loads(runs("list", "--json", *args).stdout)]

    assert ids("--tag", "nightly") == [one]
    assert ids("--tag", "nightly", "--tag", "small") == []
    assert len(ids("--since", "1h")) == 2
    assert ids("--until", "1h") == []
    assert len(ids("--since", "2001-01-01", "--limit", "1")) == 1
    assert runs("list", "--since", "yesterday").exit_code == 2


def test_logs_are_kept_by_step(folder: Path) -> None:
    run_id = ran(folder, [step("a"), step("b")])
    assert [line.split(" ", 2)[2] for line in runs("logs", run_id).stdout.splitlines()] == [
        "a info: a at work {'given': 1}",
        "b info: b at work {'given': 1}",
    ]
    only = runs("logs", run_id, "--step", "b", "--json").stdout.splitlines()
    assert [json.loads(line)["step"] for line in only] == ["b"]


def test_events_are_counted_from_one_and_may_be_taken_up_behind_any(folder: Path) -> None:
    run_id = ran(folder, [step("a")])
    events = [json.loads(line) for line in runs("events", run_id, "--json").stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("run.created", "run.ended")
    assert [
        json.loads(line)["seq"] for line in runs("events", run_id, "--json", "--after", 2).stdout.splitlines()
    ] == [event["seq"] for event in events[2:]]
    assert len(runs("events", run_id).stdout.splitlines()) == len(events)


def test_the_context_says_who_wrote_what(folder: Path) -> None:
    run_id = ran(folder, [step("a", 1), step("b", 2)])
    found = json.loads(runs("context", run_id, "--json").stdout)
    assert [(one["key"], one["value"], one["by"]) for one in found if one["key"] == "last"] == [
        ("last", 1, "a"),
        ("last", 2, "b"),
    ]
    assert [one["key"] for one in found] == ["a", "last", "b", "last"]
    assert len(runs("context", run_id, "last").stdout.splitlines()) == 2
    missing = runs("context", run_id, "lust")
    assert (missing.exit_code, "did you mean 'last'?" in missing.stderr) == (66, True)


def test_two_runs_are_compared_step_by_step(folder: Path) -> None:
    one = ran(folder, [step("a", 1), step("b", 1)])
    same = ran(folder, [step("a", 1), step("b", 1)])
    other = ran(folder, [step("a", 2), step("c", 1)])
    assert runs("diff", one, same).exit_code == 0
    found = runs("diff", one, other, "--json")
    assert found.exit_code == 1
    steps = {row["path"]: row["differs"] for row in json.loads(found.stdout)["steps"]}
    assert steps == {"a": ["output"], "b": ["presence"], "c": ["presence"]}
    assert "3 of 3 steps differ" in runs("diff", one, other).stdout


def test_an_export_holds_everything(folder: Path) -> None:
    run_id = ran(folder, [step("a", 5)])
    document = json.loads(runs("export", run_id).stdout)
    assert (document["format"], document["run"]["status"]) == ("nodeling.run/1", "succeeded")
    assert document["definition"]["document"]["steps"][0]["name"] == "a"
    assert [event["value"] for event in document["events"] if event["kind"] == "step.ended"] == [5]
    target = folder / "run.json"
    assert runs("export", run_id, "-o", target).exit_code == 0
    assert json.loads(target.read_text()) == document
    assert runs("export", run_id, "-o", folder / "no" / "run.json").exit_code == 69


def test_only_runs_that_have_ended_are_pruned(folder: Path) -> None:
    ids = [ran(folder, [step("a")]) for _ in range(3)]
    assert json.loads(runs("prune", "--keep", 1, "--dry-run", "--json").stdout)["would_delete"] == ids[1::-1]
    assert len(json.loads(runs("list", "--json").stdout)) == 3
    assert json.loads(runs("prune", "--keep", 1, "--json").stdout)["deleted"] == ids[1::-1]
    assert [row["run_id"] for row in json.loads(runs("list", "--json").stdout)] == [ids[2]]
    assert json.loads(runs("prune", "--older-than", "1h", "--json").stdout)["deleted"] == []
    assert invoke("store", "check").exit_code == 0


def test_a_run_that_is_not_there_is_answered_with_the_nearest(folder: Path) -> None:
    run_id = ran(folder, [step("a")])
    word = run_id[:7] + ("0" if run_id[7] != "0" else "1")
    found = runs("show", word)
    assert (found.exit_code, f"did you mean {run_id}" in found.stderr) == (66, True)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    found: list[subprocess.Popen[str]] = []
    yield found
    for one in found:
        if one.poll() is None:
            one.kill()
        one.communicate()


def test_a_run_is_watched_from_another_process_until_its_end(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    go = folder / "go"
    waits = {"name": "waits", "node": "work", "inputs": {"n": 1, "wait": str(go)}}
    started.append(process("run", write_workflow(folder, {"steps": [waits]}), cwd=folder))
    assert started[0].stderr is not None
    assert any("waits started" in line for line in iter(started[0].stderr.readline, ""))
    (row,) = json.loads(runs("list", "--json").stdout)
    verbs = (["watch"], ["logs", "--follow"], ["events", "--follow", "--json"])
    started.extend(process("runs", verb[0], row["run_id"], *verb[1:], cwd=folder) for verb in verbs)
    watch = started[1]
    assert watch.stderr is not None
    assert any("waits started" in line for line in iter(watch.stderr.readline, ""))
    go.touch()
    said = [one.communicate(timeout=PATIENCE) for one in started[1:]]
    assert [one.wait(PATIENCE) for one in started] == [0, 0, 0, 0]
    assert "waits succeeded" in said[0][1]
    assert f"run {row['run_id']} is succeeded" in said[0][1]
    assert "waits at work" in said[1][0]
    assert json.loads(said[2][0].splitlines()[-1])["kind"] == "run.ended"


def test_a_store_is_brought_to_this_programs_schema(folder: Path) -> None:
    assert invoke("store", "migrate").exit_code != 0
    ran(folder, [step("a")])
    found = invoke("store", "migrate")
    assert (found.exit_code, "has this program's schema" in found.stdout) == (0, True)


def test_the_doctor_looks_at_the_store(folder: Path) -> None:
    def found() -> Finding:
        (finding,) = _store()  # the whole examination asks every toolchain for its version
        return finding

    assert "nothing was kept yet" in found().detail
    ran(folder, [step("a")])
    assert (found().state, found().detail) == ("ok", "whole; 0 runs have not ended")
    (folder / "runs.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert found().state == "failed"


def test_the_steps_of_an_item_stand_below_it_and_an_always_step_waits_for_the_body(folder: Path) -> None:
    loop = {"name": "each", "node": "for-each", "in": [1], "do": [step("p"), step("q")]}
    run_id = ran(folder, [step("first"), loop, step("end", trigger="always")])
    lines = runs("show", run_id).stderr.splitlines()
    words = ("each ", "p [0]", "q ")
    places = [next(line.index(word) for line in lines[2:] if word in line) for word in words]
    assert places == sorted(set(places))
    assert lines[-1].index("first ") < lines[-1].index("each ") < lines[-1].index("end ")
    writes = json.loads(runs("context", run_id, "--json").stdout)
    assert [one["key"] for one in writes if one["key"] != "last"] == ["first", "each", "end"]


@pytest.mark.parametrize("words", ["runs show", "runs restart", "runs diff x", "store verify"])
def test_a_shell_is_offered_the_runs_that_are_kept(folder: Path, words: str) -> None:
    run_id = ran(folder, [step("a")])
    line = f"nodectl {words} {run_id[:3]}"
    asked = {"_NODECTL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert CliRunner().invoke(cli, [], env=asked).stdout == f"plain,{run_id}\n"
