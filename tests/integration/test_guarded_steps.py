"""Circuit breakers, outputs that are taken over, and limits on runs: in one process, and in several."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_calls import PATIENCE, process, write_node, write_workflow
from durable_runs import keeper_of, output_of
from nodeling.errors import ConfigError, StoreError
from nodeling_runtime.engine.circuit import SPACE, State, _read, _write
from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.host import execute, in_own_loop
from nodeling_runtime.engine.loaded import load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.recorded import fold
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.sqlite import SqliteStore
from nodeling_runtime.store.verify import verify_run

CALLED = """
from pathlib import Path
from nodeling import NodeError

def run(ctx, inputs):
    with Path(inputs["log"]).open("a") as file:
        file.write(f"{ctx.step}\\n")
    if Path(inputs["log"]).with_name("broken").exists():
        raise NodeError("broken", code=5000)
    ctx.set("wrote", inputs.get("n"))
    return inputs.get("n")
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        write_node(folder, "called", CALLED)
        self.events: list[dict[str, Any]] = []

    def step(self, name: str, **keys: Any) -> dict[str, Any]:
        inputs = {"log": str(self.log), **keys.pop("inputs", {})}
        return {"name": name, "node": "called", "inputs": inputs, **keys}

    def run(self, steps: list[dict[str, Any]], keeper: Keeper | None = None, **document: Any) -> RunOutcome:
        loaded = load_file(write_workflow(self.folder, {"steps": steps, **document}))
        options = run_options({})
        self.events = []
        options.listeners.append(lambda event: self.events.append(dict(event)))
        outcome: RunOutcome = in_own_loop(
            lambda: execute(loaded, options) if keeper is None else run_durably(keeper, loaded, options)
        )
        return outcome

    def calls(self) -> int:
        count = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        self.log.unlink(missing_ok=True)
        return count


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes, none of which outlives its test."""
    found: list[subprocess.Popen[str]] = []
    yield found
    for one in found:
        if one.poll() is None:
            one.kill()
        one.communicate()


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = keeper_of(MemoryStore())
    yield found
    found.close()


# -- circuits


def guarded(project: Project, circuit: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    """Steps one after the other, whatever becomes of them."""
    steps = []
    for number in range(count):
        needs = [] if number == 0 else [{"step": f"s{number - 1}", "on": "done"}]
        steps.append(project.step(f"s{number}", circuit=circuit, on_error="continue", needs=needs))
    return steps


def test_after_so_many_failures_calls_are_refused_unstarted(project: Project, keeper: Keeper) -> None:
    (project.folder / "broken").touch()
    outcome = project.run(guarded(project, {"failures": 2, "cooldown": "10m"}, 4), keeper)
    assert project.calls() == 2
    codes = [record.error.code for record in outcome.records.values() if record.error is not None]
    assert codes == [5000, 5000, "circuit.open", "circuit.open"]
    refused = outcome.records["s3"]
    assert refused.error is not None
    assert (refused.attempts, refused.started_at, refused.error.started) == (0, None, False)
    assert refused.error.details["retry_after_ms"] > 0
    assert [e for e in project.events if e["event"] == "step.started" and e["step"] == "s3"] == []
    assert verify_run(keeper.store, outcome.run_id) == []


def test_the_next_run_is_refused_too_and_a_probe_closes_it(project: Project, keeper: Keeper) -> None:
    (project.folder / "broken").touch()
    circuit = {"failures": 1, "cooldown": "1ms"}
    project.run(guarded(project, {"failures": 1, "cooldown": "10m"}), keeper)
    assert project.calls() == 1
    assert output_of(project.run(guarded(project, {"failures": 1, "cooldown": "10m"}), keeper)) is None
    assert project.calls() == 0
    (project.folder / "broken").unlink()
    assert project.run(guarded(project, circuit), keeper).records["s0"].status == "succeeded"
    assert (project.calls(), keeper.store.read_state(SPACE, "called")) == (1, None)


def test_a_failure_counts_once_all_attempts_are_spent(project: Project, keeper: Keeper) -> None:
    (project.folder / "broken").touch()
    step = project.step("s", circuit={"failures": 2}, retry={"attempts": 3, "delay": 1})
    project.run([step], keeper)
    assert project.calls() == 3
    kept = keeper.store.read_state(SPACE, "called")
    assert len(_read(kept).failures) == 1


def test_without_a_store_the_runs_of_a_process_share_it(project: Project) -> None:
    write_node(project.folder, "alone", CALLED)
    (project.folder / "broken").touch()
    step = {**project.step("s", circuit={"failures": 1, "cooldown": "10m"}), "node": "alone"}
    project.run([step])
    outcome = project.run([step])
    assert project.calls() == 1
    assert outcome.error is not None
    assert outcome.error["code"] == "circuit.open"


def test_of_many_that_wait_for_a_probe_one_is_called(project: Project, tmp_path: Path) -> None:
    (project.folder / "broken").touch()
    steps = guarded(project, {"failures": 1, "cooldown": "1m"})
    loaded = load_file(write_workflow(project.folder, {"steps": steps}))
    keepers = [keeper_of(SqliteStore(tmp_path / "runs.db")) for _ in range(4)]

    def run(keeper: Keeper) -> None:
        in_own_loop(lambda: run_durably(keeper, loaded, run_options({})))

    try:
        keepers[0].store.change_state(SPACE, "called", lambda _kept: _write(State(opened=1.0)))
        threads = [threading.Thread(target=run, args=(one,)) for one in keepers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert project.calls() == 1
    finally:
        for one in keepers:
            one.close()


# -- caches


def test_a_second_run_takes_over_the_output_and_what_was_written(project: Project, keeper: Keeper) -> None:
    behind = project.step("b", inputs={"n": "${ctx.vars.wrote}"})
    steps = [project.step("a", inputs={"n": 7}, cache=True), behind]
    first = project.run(steps, keeper)
    assert (output_of(first), project.calls()) == (7, 2)
    second = project.run(steps, keeper)
    assert (output_of(second), project.calls()) == (7, 1)
    record = second.records["a"]
    assert (record.status, record.reason, record.attempts) == ("succeeded", "cached", 0)
    told = next(event for event in project.events if event["event"] == "step.cached")
    assert (told["run"], told["by"]) == (first.run_id, "a")
    ended = fold(keeper.store.events(second.run_id)).ends["a"]
    assert (ended.status, ended.reason) == ("succeeded", "cached")
    assert verify_run(keeper.store, second.run_id) == []


def test_other_inputs_another_key_and_a_changed_node_are_not_hits(project: Project, keeper: Keeper) -> None:
    def runs(n: int, key: str) -> int:
        project.run([project.step("a", inputs={"n": n}, cache={"key": key})], keeper)
        return project.calls()

    assert [runs(1, "x"), runs(1, "x"), runs(2, "x"), runs(1, "y")] == [1, 0, 1, 1]
    node = project.folder / "nodes" / "called" / "node.py"
    node.write_text(CALLED + "\n# changed\n")
    assert runs(1, "x") == 1


def test_an_entry_ends_with_its_time(project: Project, keeper: Keeper) -> None:
    steps = [project.step("a", cache={"ttl": 1})]
    project.run(steps, keeper)
    project.run(steps, keeper)
    assert project.calls() == 2


def test_a_failure_is_not_kept(project: Project, keeper: Keeper) -> None:
    (project.folder / "broken").touch()
    steps = [project.step("a", cache=True)]
    project.run(steps, keeper)
    (project.folder / "broken").unlink()
    assert project.run(steps, keeper).status == "succeeded"
    assert project.calls() == 2


def test_a_key_is_an_expression_over_what_comes_before(project: Project, keeper: Keeper) -> None:
    steps = [project.step("a", inputs={"n": 1}), project.step("b", cache={"key": "${steps.a.output}"})]
    project.run(steps, keeper)
    project.run(steps, keeper)
    assert project.calls() == 3
    with pytest.raises(ConfigError, match="no step is called 'c'"):
        project.run([project.step("b", cache={"key": "${steps.c.output}"})], keeper)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cache": "1h"}, "`cache` is true or an object of key, ttl"),
        ({"cache": {"tll": 1}}, "did you mean 'ttl'"),
        ({"circuit": {"failures": 0}}, "`failures` is a whole number from 1 up"),
        ({"circuit": {"cooldwn": "1s"}}, "did you mean 'cooldown'"),
    ],
)
def test_faults_of_guards_are_named(project: Project, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project.run([project.step("a", **keys)])
    assert said in str(caught.value)


def test_what_must_happen_each_time_and_containers_have_no_cache(project: Project) -> None:
    write_node(project.folder, "once", CALLED, effects="unsafe")
    container = {"name": "all", "node": "parallel", "nodes": [project.step("x")], "circuit": {}}
    with pytest.raises(ConfigError) as caught:
        project.run([{**project.step("a", cache=True), "node": "once"}, container])
    assert [fault.code for fault in caught.value.faults] == ["document.guard"] * 2


# -- how many runs there may be

WAITS = """
import time
from pathlib import Path

def run(ctx, inputs):
    Path(inputs["folder"], f"began-{ctx.run_id}").touch()
    while not Path(inputs["folder"], "go").exists():
        time.sleep(0.01)
    return 1
"""


def limited(project: Project, when_full: str | None) -> Path:
    write_node(project.folder, "waits", WAITS)
    settings = {"max_runs": 1, **({} if when_full is None else {"when_full": when_full})}
    step = {"name": "w", "node": "waits", "inputs": {"folder": str(project.folder)}}
    return write_workflow(project.folder, {"settings": settings, "steps": [step]})


def until_one_has_begun(project: Project, first: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while not list(project.folder.glob("began-*")):
        assert first.poll() is None, "the run has ended"
        assert time.monotonic() < until, "no run has begun"
        time.sleep(0.01)


def test_one_run_too_many_waits_for_its_turn(project: Project, started: list[subprocess.Popen[str]]) -> None:
    file = limited(project, None)
    started.append(process("run", file, "--store", project.folder / "runs.db", "--quiet", cwd=project.folder))
    until_one_has_begun(project, started[0])
    started.append(process("run", file, "--store", project.folder / "runs.db", cwd=project.folder))
    assert started[1].stderr is not None
    assert any("waits for its turn" in line for line in iter(started[1].stderr.readline, ""))
    assert len(list(project.folder.glob("began-*"))) == 1
    (project.folder / "go").touch()
    assert [one.wait(PATIENCE) for one in started] == [0, 0]
    assert len(list(project.folder.glob("began-*"))) == 2


def test_one_run_too_many_is_refused(project: Project, started: list[subprocess.Popen[str]]) -> None:
    file = limited(project, "refuse")
    started.append(process("run", file, "--store", project.folder / "runs.db", "--quiet", cwd=project.folder))
    until_one_has_begun(project, started[0])
    started.append(process("run", file, "--store", project.folder / "runs.db", "--json", cwd=project.folder))
    out, _ = started[1].communicate(timeout=PATIENCE)
    assert (started[1].returncode, json.loads(out)["error"]["code"]) == (1, "run.limit")
    (project.folder / "go").touch()
    assert started[0].wait(PATIENCE) == 0


def test_the_oldest_run_makes_room(project: Project, started: list[subprocess.Popen[str]]) -> None:
    file = limited(project, "cancel_oldest")
    started.append(process("run", file, "--store", project.folder / "runs.db", "--quiet", cwd=project.folder))
    until_one_has_begun(project, started[0])
    started.append(process("run", file, "--store", project.folder / "runs.db", "--quiet", cwd=project.folder))
    assert started[0].wait(PATIENCE) == 143
    (project.folder / "go").touch()
    assert started[1].wait(PATIENCE) == 0


def test_a_limit_on_runs_that_are_kept_nowhere_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        project.run([project.step("a")], settings={"max_runs": 1})
    assert caught.value.code == "run.no_store"


def test_a_run_that_waits_is_no_run_that_may_be_claimed(project: Project, keeper: Keeper) -> None:
    from nodeling_runtime.store.model import NewRun, RunLimit

    for name in ("one", "two"):
        keeper.store.create(NewRun(name, "w", "1", b"{}", b"{}", 1.0, owner="me", limit=RunLimit(1)))
    with pytest.raises(StoreError) as caught:
        keeper.store.claim("two", "me")
    assert caught.value.code == "run.limit"


def test_fault_84_lines_beyond_the_bound_are_not_kept(
    project: Project, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeling_runtime.engine.journal.MOST_LOGS", 5)
    code = "def run(ctx, inputs):\n    for n in range(100):\n        ctx.log(str(n))\n    return n\n"
    write_node(project.folder, "talks", code)
    outcome = project.run([{"name": "a", "node": "talks"}], keeper)
    assert outcome.status == "succeeded"
    kept = [event for event in keeper.store.events(outcome.run_id) if event.kind == "step.log"]
    assert [event.data["message"] for event in kept] == [
        *("0", "1", "2", "3"),
        "5 lines were logged; what follows is not kept",
    ]
    assert sum(1 for event in project.events if event["event"] == "step.log") == 100
