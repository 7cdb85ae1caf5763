"""A run goes on from wherever its history ends: every prefix of a history leads to the same end.

No process is killed here; that is `test_killed_runs`. A store is given the first events of a run, as it would
hold them had the runner died right behind them, and the run is resumed from there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_calls import write_node
from durable_runs import (
    begin,
    check_run,
    cut,
    effects,
    extra_effects,
    keeper_of,
    loaded_from,
    output_of,
    resume,
)
from nodeling import Context, NodeError, Workflow, node
from nodeling.errors import StoreError
from nodeling_runtime.dispatch.base import idempotency_key
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.durable import Keeper
from nodeling_runtime.engine.loaded import Loaded, load, load_file
from nodeling_runtime.engine.stored import stored_result
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import Batch, Claim, Event, Fact
from nodeling_runtime.store.verify import verify_run

Document = dict[str, Any]


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which the fixture's nodes count their effects."""
    file = tmp_path / "effects"
    monkeypatch.setenv("EFFECTS", str(file))
    return file


ECHO = "def run(ctx, inputs):\n    return inputs\n"


class Project:
    """A folder with nodes, and a workflow file in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node("echo", ECHO)

    def node(self, name: str, code: str, **manifest: Any) -> None:
        """Write a node."""
        folder = self.folder / "nodes" / name
        folder.mkdir(parents=True, exist_ok=True)
        data = {"name": name, "version": "1.0.0", **manifest}
        (folder / "config.json").write_text(json.dumps(data), encoding="utf-8")
        (folder / "node.py").write_text(code, encoding="utf-8")

    def load(self, document: Document) -> Loaded:
        """Write the workflow and load its file."""
        file = self.folder / "flow.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        return load_file(file)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = keeper_of(MemoryStore())
    yield found
    found.close()


def resumed_from(keeper: Keeper, run_id: str, kept: int, **settings: Any) -> tuple[MemoryStore, Any]:
    """Resume a run whose history was cut behind its first `kept` events."""
    store = MemoryStore()
    cut(keeper.store, run_id, kept, store)
    store.abandon()
    mine = keeper_of(store)
    try:
        return store, resume(mine, run_id, **settings)
    finally:
        mine.close()


def cuts_of(keeper: Keeper, run_id: str) -> Iterator[tuple[int, Event]]:
    events = keeper.store.events(run_id)
    for kept in range(2, len(events)):
        yield kept, events[kept - 1]


def test_every_prefix_of_a_history_leads_to_the_same_end(keeper: Keeper, done: Path) -> None:
    whole = begin(keeper)
    expected = json.dumps(output_of(whole))
    assert whole.status == "succeeded"
    assert check_run(keeper.store, whole.run_id, effects(done)) == []
    for kept, last in cuts_of(keeper, whole.run_id):
        done.unlink()
        store, outcome = resumed_from(keeper, whole.run_id, kept)
        where = f"cut behind {kept} ({last.kind} {last.path})"
        assert (outcome.status, json.dumps(output_of(outcome))) == ("succeeded", expected), where
        found = effects(done)
        assert check_run(store, whole.run_id, found) == [], where
        assert extra_effects(whole.run_id, store.attempts(whole.run_id), found) == [], where
        known = {
            event.path for event in keeper.store.events(whole.run_id)[:kept] if event.kind == "step.ended"
        }
        again = {one.path for one in store.attempts(whole.run_id) if one.epoch > 1} & known
        assert again == set(), where
        done.touch()


def test_what_was_recorded_stays_byte_for_byte(keeper: Keeper, done: Path) -> None:
    whole = begin(keeper)
    before = keeper.store.events(whole.run_id)
    store, _ = resumed_from(keeper, whole.run_id, len(before) // 2)
    after = store.events(whole.run_id)
    kept = len(before) // 2
    assert [(e.kind, e.at, e.path, e.value, e.delta) for e in after[2:kept]] == [
        (e.kind, e.at, e.path, e.value, e.delta) for e in before[2:kept]
    ]


# -- small workflows, made here


def history(keeper: Keeper, run_id: str) -> list[tuple[str, str]]:
    return [(event.kind, event.path) for event in keeper.store.events(run_id)]


def cut_before(keeper: Keeper, run_id: str, kind: str, path: str) -> int:
    """How many events stand before this one."""
    return history(keeper, run_id).index((kind, path))


def test_a_start_is_written_before_the_call_and_with_the_result_that_caused_it(keeper: Keeper) -> None:
    batches: list[list[str]] = []
    append = keeper.store.append

    def counted(found: Any) -> Any:
        batches.extend([f"{fact.kind} {fact.path}" for fact in batch.facts] for batch in found)
        return append(found)

    keeper.store.append = counted  # type: ignore[method-assign]
    seen: dict[str, list[str]] = {}

    @node
    def look(name: str) -> str:
        seen[name] = [fact for batch in batches for fact in batch]
        return name

    wf = Workflow("chain")
    for name in ("a", "b", "c"):
        wf.step(name, look, inputs={"name": name})
    begin(keeper, loaded_from(wf))
    assert seen["a"] == ["step.started a"]
    assert seen["b"][-2:] == ["step.ended a", "step.started b"]
    assert ["step.ended a", "step.started b"] in batches
    assert ["step.ended b", "step.started c"] in batches
    assert batches[-1] == ["step.ended c", "run.ended "]


def test_a_recovery_does_not_eat_the_retries(keeper: Keeper) -> None:
    tries: list[int] = []

    @node
    def fails(ctx: Context) -> None:
        tries.append(ctx.attempt)
        raise NodeError("no", code=5000)

    wf = Workflow("tries")
    wf.step("only", fails, retry={"attempts": 2, "delay": 1})
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    assert tries == [1, 2]
    tries.clear()
    kept = cut_before(keeper, run_id, "step.started", "only") + 1
    store, outcome = resumed_from(keeper, run_id, kept, loaded=loaded)
    assert tries == [2, 3]  # the first died with its runner; two tries are left
    assert outcome.status == "failed"
    assert [(one.attempt, one.state) for one in store.attempts(run_id)] == [
        (1, "lost"),
        (2, "failed"),
        (3, "failed"),
    ]


def test_a_back_off_that_was_begun_is_waited_for_to_its_end_and_not_anew(keeper: Keeper) -> None:
    tries: list[int] = []

    @node
    def fails_once(ctx: Context) -> int:
        tries.append(ctx.attempt)
        if ctx.attempt == 1:
            raise NodeError("no", code=5000)
        return ctx.attempt

    wf = Workflow("waits")
    wf.step("only", fails_once, retry={"attempts": 2, "delay": 20})
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    tries.clear()
    kept = cut_before(keeper, run_id, "step.retry", "only") + 1
    store, outcome = resumed_from(keeper, run_id, kept, loaded=loaded)
    assert (outcome.status, output_of(outcome)) == ("succeeded", 2)
    assert tries == [2]
    assert store.timers(run_id) == []


@pytest.mark.parametrize("effects", ["idempotent", "unsafe"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_call_that_was_lost_has_failed_where_the_step_says_so(
    keeper: Keeper, project: Project, effects: str, inside: bool
) -> None:
    calls = project.folder / "calls"
    tells = f"with open({str(calls)!r}, 'a') as file:\n        file.write(ctx.step + ' ')"
    code = f"def run(ctx, inputs):\n    {tells}\n    return ctx.step\n"
    project.node("work", code, effects=effects)
    pay: dict[str, Any] = {"name": "pay", "node": "work", "on_lost": "fail"}
    if inside:
        pay = {"name": "all", "node": "sequence", "steps": [{"name": "one", "node": "work"}, pay]}
    after = {"name": "after", "node": "work", "needs": [{"step": pay["name"], "on": "failure"}]}
    loaded = project.load({"steps": [{**pay, "needs": []}, after]})
    run_id = begin(keeper, loaded).run_id
    calls.unlink()
    path = "all/pay" if inside else "pay"
    kept = cut_before(keeper, run_id, "step.ended", path)
    store, outcome = resumed_from(keeper, run_id, kept, loaded=loaded)
    assert (outcome.status, calls.read_text(encoding="utf-8")) == ("succeeded", "after ")
    (end,) = [one for one in store.results(run_id) if one.path == path]
    assert (end.status, end.error["code"]) == ("failed", "run.lost")  # type: ignore[index]
    assert [(one.attempt, one.state) for one in store.attempts(run_id) if one.path == path] == [(1, "failed")]
    assert verify_run(store, run_id) == []


def test_an_unsafe_call_that_was_lost_is_made_again_where_the_step_says_so(
    keeper: Keeper, project: Project
) -> None:
    project.node("work", "def run(ctx, inputs):\n    return ctx.attempt\n", effects="unsafe")
    loaded = project.load({"steps": [{"name": "pay", "node": "work", "on_lost": "again"}]})
    run_id = begin(keeper, loaded).run_id
    kept = cut_before(keeper, run_id, "step.ended", "pay")
    store, outcome = resumed_from(keeper, run_id, kept, loaded=loaded)
    assert (outcome.status, output_of(outcome)) == ("succeeded", 2)
    assert [one.state for one in store.attempts(run_id)] == ["lost", "succeeded"]


def test_an_unsafe_step_that_may_have_run_is_in_doubt_and_nothing_goes_on(keeper: Keeper) -> None:
    calls: list[str] = []

    @node(effects="unsafe")
    def pays() -> str:
        calls.append("paid")
        return "paid"

    @node
    def after() -> str:
        calls.append("after")
        return "after"

    wf = Workflow("pays")
    wf.step("pay", pays)
    wf.step("after", after)
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    calls.clear()
    kept = cut_before(keeper, run_id, "step.ended", "pay")
    store, outcome = resumed_from(keeper, run_id, kept, loaded=loaded)
    assert (outcome.status, calls) == ("suspended", [])
    assert [one.state for one in store.attempts(run_id)] == ["in_doubt"]
    row = store.run(run_id)
    assert row is not None
    assert (row.status, row.owner) == ("suspended", None)
    assert stored_result(store, run_id).steps["pay"].status == "in_doubt"
    again = keeper_of(store)
    try:
        assert resume(again, run_id, loaded=loaded).status == "suspended"
    finally:
        again.close()
    assert store.run(run_id).recoveries == 1  # type: ignore[union-attr]  # being asked again is no recovery


def test_a_decision_is_not_made_anew(
    keeper: Keeper, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEATHER", "rain")
    loaded = project.load(
        {
            "name": "decides",
            "settings": {"env": ["WEATHER"]},
            "steps": [
                {"name": "wet", "node": "echo", "needs": [], "if": "${ctx.env.WEATHER == 'rain'}"},
                {"name": "dry", "node": "echo", "needs": [], "if": "${ctx.env.WEATHER != 'rain'}"},
                {
                    "name": "links",
                    "node": "echo",
                    "needs": [{"step": "wet", "if": "${ctx.env.WEATHER == 'rain'}"}],
                },
                {"name": "last", "node": "echo", "needs": [{"step": "links", "on": "any"}]},
            ],
        }
    )
    run_id = begin(keeper, loaded).run_id
    monkeypatch.setenv("WEATHER", "sun")
    kept = cut_before(keeper, run_id, "step.started", "wet")
    _, outcome = resumed_from(keeper, run_id, kept)
    assert ended(outcome) == {"wet": "succeeded", "dry": "skipped", "links": "skipped", "last": "succeeded"}
    kept = cut_before(keeper, run_id, "step.started", "last")
    _, outcome = resumed_from(keeper, run_id, kept)
    assert ended(outcome)["links"] == "succeeded"


def ended(outcome: Any) -> dict[str, str]:
    return {name: record.status for name, record in outcome.records.items()}


def test_the_cancel_of_another_process_is_honoured_before_anything_starts(keeper: Keeper) -> None:
    calls: list[str] = []

    @node
    def step(name: str) -> str:
        calls.append(name)
        return name

    wf = Workflow("ends")
    wf.step("first", step, inputs={"name": "first"})
    wf.step("second", step, inputs={"name": "second"})
    wf.step("tidy", step, inputs={"name": "tidy"}, trigger="always")
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    calls.clear()
    store = MemoryStore()
    cut(keeper.store, run_id, cut_before(keeper, run_id, "step.started", "second"), store)
    store.abandon()
    store.cancel(run_id, "cancelled", "somebody")
    mine = keeper_of(store)
    try:
        outcome = resume(mine, run_id, loaded=loaded)
    finally:
        mine.close()
    assert (outcome.status, calls) == ("cancelled", ["tidy"])
    assert {name: record.status for name, record in outcome.records.items()} == {
        "first": "succeeded",
        "second": "cancelled",
        "tidy": "succeeded",
    }


def test_the_deadline_of_a_resumed_run_is_the_one_it_had(keeper: Keeper) -> None:
    @node
    async def step() -> int:
        return 1

    wf = Workflow("late")
    wf.step("first", step)
    wf.step("second", step)
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded, timeout=60).run_id
    store = MemoryStore()
    cut(keeper.store, run_id, 4, store)
    store.abandon()
    kept = store._runs[run_id]
    first = kept.events[0]
    kept.events[0] = Event(
        run_id, 1, 0, first.kind, first.at - 3_600, "", 0, first.data
    )  # it was begun an hour ago
    mine = keeper_of(store)
    try:
        outcome = resume(mine, run_id, loaded=loaded)
    finally:
        mine.close()
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error["details"]["limit"] == "run_timeout"
    assert outcome.records["second"].status == "cancelled"


def test_a_cleanup_that_its_process_did_not_live_to_see_has_its_time_anew(keeper: Keeper) -> None:
    @node
    async def step() -> int:
        await asyncio.sleep(0.05)
        return 1

    wf = Workflow("tidies")
    wf.step("first", step)
    wf.step("tidy", step, trigger="always")
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    store = MemoryStore()
    cut(keeper.store, run_id, 3, store)
    an_hour_ago = time.time() - 3_600
    ending = {"reason": "cancelled", "how": "cancel", "limit_ms": None}
    claim = Claim(run_id, "the one who died", 1)
    store.append([Batch(claim, (Fact("scope.cancelled", an_hour_ago, "", ending),))])
    store.abandon()
    mine = keeper_of(store)
    try:
        outcome = resume(mine, run_id, loaded=loaded)
    finally:
        mine.close()
    assert outcome.status == "cancelled"
    assert {name: record.status for name, record in outcome.records.items()} == {
        "first": "cancelled",
        "tidy": "succeeded",
    }


def test_a_file_that_a_store_cannot_keep_is_told_of_when_it_is_made(keeper: Keeper) -> None:
    @node
    def writes(ctx: Context) -> Any:
        return {"file": ctx.write_blob(b"\x00raw\xff")}

    wf = Workflow("files")
    wf.step("first", writes)
    heard: list[Any] = []
    outcome = begin(keeper, loaded_from(wf), on_event=heard.append)
    assert outcome.status == "succeeded"
    (said,) = [event for event in heard if event["event"] == "step.log"]
    assert (said["step"], said["level"]) == ("first", "warning")
    assert "keeps no files" in said["message"]
    logged = [event.data for event in keeper.store.events(outcome.run_id) if event.kind == "step.log"]
    assert [line["message"] for line in logged] == [said["message"]]


@pytest.mark.parametrize("isolation", [None, "worker"])
def test_what_a_node_says_may_hold_half_a_character(
    keeper: Keeper, tmp_path: Path, isolation: str | None
) -> None:
    code = (
        "def run(ctx, inputs):\n"
        "    ctx.log.info('caf\\udce9')\n"
        "    if inputs['sets']:\n        ctx.set('caf\\udce9', 1)\n        return 1\n"
        "    raise ValueError('caf\\udce9')\n"
    )
    runtime = {} if isolation is None else {"runtime": {"isolation": isolation}}
    write_node(tmp_path, "odd", code, **runtime)
    for sets, error in ((True, 4006), (False, 4000)):
        document = {"name": "odd", "steps": [{"name": "a", "node": "odd", "inputs": {"sets": sets}}]}
        loaded = load(from_data(document, "odd.json"), base=tmp_path, folders=[tmp_path / "nodes"])
        outcome = begin(keeper, loaded)
        assert outcome.error is not None
        assert (outcome.status, outcome.error["code"]) == ("failed", error)
        assert "\\udce9" in outcome.error["message"] or "lone surrogate" in outcome.error["message"]
        assert verify_run(keeper.store, outcome.run_id) == []


STRAYS = """
from pathlib import Path
from nodeling import FlowNode, Start

class Strays(FlowNode):
    async def handle(self, ctx, inputs, flow):
        word = Path(ctx.env["WHICH"]).read_text(encoding="utf-8")
        child = inputs["left"] if word == "left" else inputs["right"]
        vars = {"item": word} if word == "other" else {}
        return (await flow.start(Start(child, vars=vars)).wait()).output
"""
TWO_STEPS = {
    "type": "object",
    "properties": {"left": {"x-nodeling": "step"}, "right": {"x-nodeling": "step"}},
}


@pytest.mark.parametrize(("before", "after"), [("left", "right"), ("right", "other")])
def test_a_container_that_strays_from_its_history_is_told_so(
    keeper: Keeper, project: Project, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    """It asks a file which child to start and what to give it, so a resume meets another answer."""
    monkeypatch.setattr("nodeling_runtime.engine.gate.PATIENCE_SECONDS", 0.2)
    which = project.folder / "which"
    monkeypatch.setenv("WHICH", str(which))
    project.node("strays", STRAYS, flow=True, config=TWO_STEPS, env=["WHICH"])
    child = {"node": "echo"}
    loaded = project.load(
        {
            "name": "strays",
            "steps": [
                {
                    "name": "odd",
                    "node": "strays",
                    "left": {"name": "one", **child},
                    "right": {"name": "two", **child},
                }
            ],
        }
    )
    which.write_text(before, encoding="utf-8")
    run_id = begin(keeper, loaded).run_id
    which.write_text(after, encoding="utf-8")
    _, outcome = resumed_from(keeper, run_id, cut_before(keeper, run_id, "step.ended", "odd"))
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error["code"] == "container.nondeterministic"


# -- what is pinned


def test_a_run_keeps_the_workflow_that_it_began_with(keeper: Keeper, project: Project) -> None:
    """FAULTS 72: the file is changed while the run is running."""
    document = {"name": "w", "steps": [{"name": "a", "node": "echo"}, {"name": "b", "node": "echo"}]}
    run_id = begin(keeper, project.load(document)).run_id
    (project.folder / "flow.json").write_text('{"steps": []}', encoding="utf-8")
    _, outcome = resumed_from(keeper, run_id, cut_before(keeper, run_id, "step.started", "b"))
    assert ended(outcome) == {"a": "succeeded", "b": "succeeded"}


def test_a_run_keeps_the_workflows_that_it_includes(keeper: Keeper, project: Project) -> None:
    inner = project.folder / "inner.json"
    inner.write_text(
        json.dumps({"name": "inner", "steps": [{"name": "deep", "node": "echo", "inputs": {"say": "kept"}}]}),
        encoding="utf-8",
    )
    steps = [{"name": "a", "node": "echo"}, {"name": "sub", "node": "subworkflow", "workflow": "inner.json"}]
    run_id = begin(keeper, project.load({"name": "outer", "steps": steps})).run_id
    inner.unlink()
    _, outcome = resumed_from(keeper, run_id, cut_before(keeper, run_id, "step.started", "sub"))
    assert output_of(outcome) == {"say": "kept"}


@pytest.mark.parametrize(
    ("version", "policy", "goes_on"),
    [
        ("1.0.1", "compatible", True),
        ("1.0.1", "same", False),
        ("1.0.0", "same", False),  # the same version with other code
        ("2.0.0", "compatible", False),
        ("2.0.0", "any", True),
    ],
)
def test_a_changed_node_blocks_the_resume_unless_the_policy_lets_it(
    keeper: Keeper, project: Project, version: str, policy: Any, goes_on: bool
) -> None:
    """FAULTS 73."""
    steps = [{"name": "a", "node": "echo"}, {"name": "b", "node": "echo"}]
    run_id = begin(keeper, project.load({"name": "w", "steps": steps})).run_id
    project.node("echo", ECHO + "\n# changed\n", version=version)
    kept = cut_before(keeper, run_id, "step.started", "b")
    if goes_on:
        store, outcome = resumed_from(keeper, run_id, kept, policy=policy)
        assert outcome.status == "succeeded"
        (changed,) = [event for event in store.events(run_id) if event.kind == "definition.changed"]
        assert changed.data["nodes"][0]["is"]["version"] == version
    else:
        with pytest.raises(StoreError) as error:
            resumed_from(keeper, run_id, kept, policy=policy)
        assert error.value.code == "run.blocked_version"
        assert "echo" in error.value.message


# -- keys


def test_the_key_of_a_step_is_the_same_over_attempts_and_recoveries(keeper: Keeper) -> None:
    keys: list[str] = []

    @node
    def asks(ctx: Context) -> None:
        keys.append(ctx.idempotency_key)
        raise NodeError("no", code=5000)

    wf = Workflow("asks")
    wf.step("only", asks, retry={"attempts": 2, "delay": 1})
    loaded = loaded_from(wf)
    run_id = begin(keeper, loaded).run_id
    resumed_from(keeper, run_id, cut_before(keeper, run_id, "step.started", "only") + 1, loaded=loaded)
    assert len(keys) == 4
    assert set(keys) == {idempotency_key(run_id, "only", 0)}


# -- a history that is too long


def test_a_history_without_end_ends_the_run(
    keeper: Keeper, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 77."""
    monkeypatch.setattr("nodeling_runtime.engine.journal.MANY_EVENTS", 50)
    monkeypatch.setattr("nodeling_runtime.engine.journal.MOST_EVENTS", 100)
    monkeypatch.setattr("nodeling_runtime.engine.run_log.MOST_EVENTS", 100)
    told: list[Any] = []
    loop = {"name": "loop", "node": "while", "while": "${true}", "do": {"name": "again", "node": "echo"}}
    outcome = begin(keeper, project.load({"name": "endless", "steps": [loop]}), on_event=told.append)
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error["code"] == "run.history_limit"
    assert [e["events"] for e in told if e["event"] == "run.long_history"] == [50, 100]
    assert len(keeper.store.events(outcome.run_id)) < 130


# -- values


def test_a_secret_is_not_kept(keeper: Keeper, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODELING_SECRET_TOKEN", "hunter2-hunter2")
    leaks = "def run(ctx, inputs):\n    ctx.set('t', ctx.secrets['TOKEN'])\n    return dict(ctx.secrets)\n"
    project.node("leaks", leaks, secrets=["TOKEN"])
    outcome = begin(keeper, project.load({"name": "leak", "steps": [{"name": "a", "node": "leaks"}]}))
    assert outcome.status == "succeeded"
    kept = b"".join((e.value or b"") + (e.delta or b"") for e in keeper.store.events(outcome.run_id))
    assert b"hunter2" not in kept
    assert b"***" in kept
