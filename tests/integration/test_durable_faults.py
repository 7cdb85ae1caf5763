"""What a kept run does when its store, its claim or its clock do not do what they should."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_runs import begin, keeper_of, loaded_from, output_of, resume
from nodeling import Context, Workflow, node
from nodeling.errors import StoreError
from nodeling_runtime.cli.runs.resume import tell_of_trouble
from nodeling_runtime.engine.durable import Keeper, run_durably
from nodeling_runtime.engine.host import in_own_loop
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import OPEN, RunFilter
from nodeling_runtime.store.verify import verify
from nodeling_runtime.store.writer import Writer


class Troubled(MemoryStore):
    """A store that refuses from some append on, for some time or for ever."""

    def __init__(self, after: int, times: int, code: str = "store.full") -> None:
        super().__init__()
        self.after = after
        self.times = times
        self.code = code

    def append(self, batches: Any) -> Any:
        self.after -= 1
        if self.after < 0 and self.times:
            self.times -= 1
            raise StoreError("no room", code=self.code)
        return super().append(batches)


@pytest.fixture
def calls() -> list[str]:
    return []


def chain(calls: list[str]) -> Any:
    """Three steps, and what has been called of them."""

    @node
    def step(ctx: Context) -> str:
        calls.append(ctx.step)
        return ctx.step

    wf = Workflow("chain")
    for name in ("a", "b", "c"):
        wf.step(name, step)
    return loaded_from(wf)


def test_a_disk_that_has_room_again_in_time_costs_a_run_nothing(calls: list[str]) -> None:
    """FAULTS 55: the run stands still meanwhile."""
    keeper = keeper_of(Troubled(after=2, times=4))
    said: list[str] = []
    tell_of_trouble(keeper, said.append)
    try:
        outcome = begin(keeper, chain(calls))
    finally:
        keeper.close()
    assert (outcome.status, calls) == ("succeeded", ["a", "b", "c"])
    assert said == ["nodectl: no room; the run waits 60 s at most, and nothing of it is lost"]
    assert verify(keeper.store) == []


def test_a_disk_that_stays_full_stops_the_run_and_nothing_is_reported_done(calls: list[str]) -> None:
    """FAULTS 55: it is resumed when there is room, and that is no recovery."""
    store = Troubled(after=2, times=10**9)
    keeper = Keeper(store, Writer(store, 0.3), "a test")
    told: list[str] = []
    loaded = chain(calls)
    with pytest.raises(StoreError) as error:
        begin(keeper, loaded, on_event=lambda event: told.append(f"{event['event']} {event.get('step', '')}"))
    keeper.close()
    assert error.value.code == "store.full"
    assert calls == ["a", "b"]
    assert told == ["run.started ", "step.started a", "step.finished a", "step.started b"]
    store.times = 0
    (row,) = store.runs(RunFilter())
    again = keeper_of(store)
    try:
        outcome = resume(again, row.run_id, loaded=loaded)
    finally:
        again.close()
    assert outcome.status == "succeeded"
    assert calls == ["a", "b", "b", "c"]
    assert store.run(row.run_id).recoveries == 0  # type: ignore[union-attr]
    assert verify(store) == []


async def turns() -> None:
    """Let the loop turn a few times."""
    for _ in range(10):
        await asyncio.sleep(0)


class Slow(MemoryStore):
    """A store that begins and lets go of no run before somebody says so on the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.in_time: list[bool] = []

    def create_all(self, news: Any) -> Any:
        self.in_time.append(self.may.wait(30))
        return super().create_all(news)

    def release_all(self, claims: Any) -> None:
        self.in_time.append(self.may.wait(30))
        super().release_all(claims)


def test_the_loop_turns_while_a_run_is_begun_and_let_go(calls: list[str]) -> None:
    store = Slow()
    keeper = keeper_of(store)
    loaded = chain(calls)

    async def beside() -> str:
        run = asyncio.ensure_future(run_durably(keeper, loaded, run_options({})))
        await turns()
        assert not run.done()
        store.may.set()
        return (await run).status

    try:
        assert in_own_loop(beside) == "succeeded"
    finally:
        keeper.close()
    assert store.in_time == [True, True]


def test_a_run_that_is_cancelled_while_it_is_begun_is_let_go(calls: list[str]) -> None:
    store = Slow()
    keeper = keeper_of(store)
    loaded = chain(calls)

    async def cancelled() -> bool:
        run = asyncio.ensure_future(run_durably(keeper, loaded, run_options({})))
        await turns()
        run.cancel()
        await turns()
        store.may.set()
        await asyncio.wait([run])
        return run.cancelled()

    try:
        assert in_own_loop(cancelled)
    finally:
        keeper.close()
    (row,) = store.runs(RunFilter())
    assert (row.owner, calls) == (None, [])


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = keeper_of(MemoryStore())
    yield found
    found.close()


def test_a_runner_that_was_overtaken_records_nothing_and_starts_nothing(
    keeper: Keeper, calls: list[str]
) -> None:
    """FAULTS 60 and 61: whoever claims the run next is the only one who writes."""
    store = keeper.store
    assert isinstance(store, MemoryStore)
    cancelled: list[bool] = []
    goes_on = asyncio.Event()

    @node
    async def overtaken(ctx: Context) -> str:
        calls.append(ctx.step)
        if ctx.step == "b":
            await goes_on.wait()
            store.abandon()
            store.claim(ctx.run_id, "somebody else")
        return ctx.step

    @node
    async def beside(ctx: Context) -> None:
        goes_on.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    wf = Workflow("taken")
    wf.step("a", overtaken, needs=[])
    wf.step("long", beside, needs=[])
    wf.step("b", overtaken, needs=["a"])
    wf.step("c", overtaken, needs=["b"])
    wf.step("tidy", overtaken, trigger="always")
    began = time.monotonic()
    with pytest.raises(StoreError) as error:
        begin(keeper, loaded_from(wf))
    assert error.value.code == "store.fenced"
    assert "somebody else" in error.value.message
    assert (calls, cancelled) == (["a", "b"], [True])
    assert time.monotonic() - began < 50
    (row,) = store.runs(RunFilter())
    assert (row.owner, row.status) == ("somebody else", "running")
    assert {result.path for result in store.results(row.run_id)} == {"a"}
    assert verify(store) == []


def test_a_jump_of_the_wall_clock_changes_no_timeout(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, calls: list[str]
) -> None:
    """FAULTS 63: durations are monotonic."""
    real = time.time
    jumped: list[float] = [0.0]
    monkeypatch.setattr("nodeling_runtime.engine.run.time.time", lambda: real() + jumped[0])

    @node
    async def jumps(ctx: Context) -> str:
        calls.append(ctx.step)
        jumped[0] = 3_600.0 if ctx.step == "a" else -3_600.0
        await asyncio.sleep(0.01)
        return ctx.step

    wf = Workflow("clock")
    wf.step("a", jumps, timeout=30_000, deadline=60_000)
    wf.step("b", jumps, timeout=30_000, retry={"attempts": 2, "delay": 5})
    outcome = begin(keeper, loaded_from(wf), timeout=60)
    assert (outcome.status, calls) == ("succeeded", ["a", "b"])
    assert all(0 <= record.duration_ms < 30_000 for record in outcome.records.values())


def test_a_cancelled_parent_takes_everything_below_it_along(keeper: Keeper, tmp_path: Path) -> None:
    """FAULTS 74: each child has a terminal result in the store."""
    import json

    from nodeling_runtime.engine.durable import run_durably
    from nodeling_runtime.engine.loaded import load_file
    from nodeling_runtime.engine.options import run_options

    folder = tmp_path / "nodes" / "waits"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"name": "waits"}', encoding="utf-8")
    waits = "import asyncio\n\nasync def run(ctx, inputs):\n    await asyncio.sleep(600)\n"
    (folder / "node.py").write_text(waits, encoding="utf-8")
    inner = {"name": "inner", "steps": [{"name": "deep", "node": "waits"}, {"name": "next", "node": "waits"}]}
    (tmp_path / "inner.json").write_text(json.dumps(inner), encoding="utf-8")
    children = [
        {"name": "sub", "node": "subworkflow", "workflow": "inner.json"},
        {"name": "beside", "node": "waits"},
    ]
    outer = {"name": "outer", "steps": [{"name": "all", "node": "parallel", "nodes": children}]}
    (tmp_path / "outer.json").write_text(json.dumps(outer), encoding="utf-8")
    loaded = load_file(tmp_path / "outer.json")
    started = threading.Event()

    def heard(event: Any) -> None:
        if event["event"] == "step.started" and event["step"].endswith("/deep"):
            started.set()

    async def cancelled() -> Any:
        task = asyncio.ensure_future(run_durably(keeper, loaded, run_options({"on_event": heard})))
        while not started.is_set():
            await asyncio.sleep(0.005)
        task.cancel()
        return await task

    outcome = in_own_loop(cancelled)
    assert outcome.status == "cancelled"
    found = {result.path: result.status for result in keeper.store.results(outcome.run_id)}
    assert found == {
        "all/sub/deep": "cancelled",
        "all/sub/next": "cancelled",
        "all/sub:inner": "cancelled",
        "all/sub": "cancelled",
        "all/beside": "cancelled",
        "all": "cancelled",
    }
    assert keeper.store.runs(RunFilter(statuses=OPEN)) == []
    assert verify(keeper.store) == []


def test_a_history_costs_the_loop_little(keeper: Keeper) -> None:
    """A bound with much slack; `benchmarks` measures it."""

    @node(blocking=False)
    def step() -> int:
        return 1

    wf = Workflow("many")
    for number in range(200):
        wf.step(f"s{number}", step, needs=[])
    outcome = begin(keeper, loaded_from(wf))
    assert outcome.status == "succeeded"
    assert output_of(outcome) is not None
    assert len(keeper.store.events(outcome.run_id)) == 2 + 2 * 200 + 1
