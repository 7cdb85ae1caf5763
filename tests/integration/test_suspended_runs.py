"""A run that waits for somebody to see to its failures: what goes on, what waits, and what a resume does."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_runs import cut, keeper_of, output_of, resume
from nodeling_runtime.engine.durable import run_durably
from nodeling_runtime.engine.host import in_own_loop
from nodeling_runtime.engine.loaded import load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.recorded import fold
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.engine.stored import stored_result
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.model import Retention, RunFilter
from nodeling_runtime.store.verify import verify_run
from stores import KINDS, Place, place_of

WORK = """
from pathlib import Path
from nodeling import NodeError

def run(ctx, inputs):
    folder = Path(inputs["folder"])
    with (folder / "log").open("a") as file:
        file.write(ctx.step + "\\n")
    if (folder / f"broken-{ctx.step}").exists():
        raise NodeError(f"{ctx.step} is broken", code=4000)
    ctx.set(f"by_{ctx.step}", ctx.idempotency_key)
    return {"step": ctx.step, "error": inputs.get("error")}
"""


class Work:
    """A project whose node fails as long as a file says so, in a place of some kind."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder, self.place, self.log = folder, place, folder / "log"
        node = folder / "nodes" / "work"
        node.mkdir(parents=True)
        (node / "config.json").write_text('{"name": "work", "version": "1.0.0"}')
        (node / "node.py").write_text(WORK)
        self.keeper = keeper_of(place.open())

    def step(self, name: str, **keys: Any) -> dict[str, Any]:
        inputs = {"folder": str(self.folder), **keys.pop("inputs", {})}
        return {"name": name, "node": "work", "inputs": inputs, **keys}

    def breaks(self, *names: str) -> None:
        for name in names:
            (self.folder / f"broken-{name}").touch()

    def mend(self) -> None:
        for file in self.folder.glob("broken-*"):
            file.unlink()

    def begin(self, *steps: dict[str, Any], **settings: Any) -> RunOutcome:
        document = {"name": "flow", "settings": {"on_failure": "suspend", **settings}, "steps": list(steps)}
        file = self.folder / "flow.json"
        file.write_text(json.dumps(document))
        loaded = load_file(file)
        assert [str(fault) for fault in loaded.faults if fault.severity == "error"] == []
        outcome: RunOutcome = in_own_loop(lambda: run_durably(self.keeper, loaded, run_options({})))
        return outcome

    def resume(self, run_id: str) -> RunOutcome:
        return resume(self.keeper, run_id)

    def done(self) -> list[str]:
        """The steps whose nodes were called since this was last asked, sorted."""
        found = sorted(self.log.read_text().split()) if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found

    def status(self, run_id: str) -> str:
        row = self.keeper.store.run(run_id)
        assert row is not None
        return row.status

    def ends(self, run_id: str) -> dict[str, tuple[float, int]]:
        recorded = fold(self.keeper.store.events(run_id))
        return {path: (one.at, one.seq) for path, one in recorded.ends.items()}


@pytest.fixture(params=KINDS)
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Work]:
    yield from opened(tmp_path, place_of(request.param, tmp_path, request))


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Work]:
    yield from opened(tmp_path, place_of("memory", tmp_path, request))


def opened(folder: Path, place: Place) -> Iterator[Work]:
    found = Work(folder, place)
    yield found
    found.keeper.close()
    place.close()


def on(step: str, *words: str) -> dict[str, Any]:
    return {"step": step, "on": list(words)}


def night(work: Work) -> list[dict[str, Any]]:
    """A load that may fail, beside another branch; one step wants either of them, one watches."""
    return [
        work.step("load", needs=[]),
        work.step("other", needs=[]),
        work.step("after_other", needs=["other"]),
        work.step("after_load", needs=[on("load", "done")]),
        work.step("either", needs=[on("load", "done"), on("other", "success")], join="any"),
        work.step("report", needs=["after_load", "after_other"]),
        work.step("mail", trigger="on_error", inputs={"error": "${ctx.error}"}),
        work.step("last", trigger="always"),
    ]


# -- in every kind of store


def test_what_a_failed_step_links_to_waits_and_the_rest_goes_on(work: Work) -> None:
    work.breaks("load")
    first = work.begin(*night(work))
    assert first.status == "suspended"
    assert work.done() == ["after_other", "either", "load", "mail", "other"]
    states = {name: record.status for name, record in first.records.items()}
    assert {name for name, status in states.items() if status == "pending"} == {
        "after_load",
        "report",
        "last",
    }
    assert first.error is not None
    assert (first.error["step"], first.error["message"]) == ("load", "load is broken")
    told = json.loads(first.records["mail"].output.data)["error"]  # type: ignore[union-attr]
    assert (told["step"], told["message"]) == ("load", "load is broken")
    row = work.keeper.store.run(first.run_id)
    assert row is not None
    assert (row.status, row.owner, row.ended, row.error["step"]) == ("suspended", None, None, "load")  # type: ignore[index]
    shown = stored_result(work.keeper.store, first.run_id)
    assert (shown.status, shown.error["step"]) == ("suspended", "load")  # type: ignore[index]
    assert verify_run(work.keeper.store, first.run_id) == []


def test_a_resume_does_the_failed_step_again_and_goes_on_behind_it_and_leaves_the_rest(work: Work) -> None:
    work.breaks("load")
    first = work.begin(*night(work))
    before = work.ends(first.run_id)
    work.done()
    work.mend()
    last = work.resume(first.run_id)
    assert last.status == "succeeded"
    assert work.done() == ["after_load", "last", "load", "report"]
    after = work.ends(first.run_id)
    assert {name: after[name] for name in ("other", "after_other", "either")} == {
        name: before[name] for name in ("other", "after_other", "either")
    }
    assert last.records["mail"].reason == "upstream"
    row = work.keeper.store.run(first.run_id)
    assert row is not None
    assert (row.status, row.error, row.recoveries) == ("succeeded", None, 0)
    assert verify_run(work.keeper.store, first.run_id) == []


def test_a_resume_that_fails_again_suspends_again_and_tells_again(work: Work) -> None:
    work.breaks("load")
    first = work.begin(*night(work))
    work.done()
    for _ in range(4):  # more often than a run may be recovered: being resumed is no recovery
        assert work.resume(first.run_id).status == "suspended"
        assert work.done() == ["load", "mail"]
    work.mend()
    assert work.resume(first.run_id).status == "succeeded"
    assert verify_run(work.keeper.store, first.run_id) == []


def test_cancelling_a_suspended_run_ends_what_waits_and_its_always_steps_still_run(work: Work) -> None:
    work.breaks("load")
    first = work.begin(*night(work))
    work.done()
    store = work.keeper.store
    store.cancel(first.run_id, "cancelled", "a test")
    last = work.resume(first.run_id)
    assert (last.status, work.done()) == ("cancelled", ["last"])
    states = {name: (record.status, record.reason) for name, record in last.records.items()}
    assert states["load"] == ("failed", None)
    assert states["mail"] == ("succeeded", None)
    assert states["after_load"] == states["report"] == ("cancelled", "cancelled")
    assert work.status(first.run_id) == "cancelled"
    assert verify_run(store, first.run_id) == []


def test_a_suspended_run_is_listed_as_open_and_never_pruned(work: Work) -> None:
    work.breaks("load")
    first = work.begin(*night(work))
    store = work.keeper.store
    assert [row.run_id for row in store.runs(RunFilter(statuses=("suspended",)))] == [first.run_id]
    assert store.claim_next("somebody") is None  # nobody takes it up by himself
    store.prune(Retention(seconds=0.0, most_per_workflow=0))
    assert work.status(first.run_id) == "suspended"
    work.mend()
    assert work.resume(first.run_id).status == "succeeded"
    store.prune(Retention(seconds=0.0, most_per_workflow=0))
    assert store.run(first.run_id) is None


# -- what is held


def test_a_failure_that_somebody_takes_up_suspends_nothing(here: Work) -> None:
    here.breaks("load", "quiet")
    done = here.begin(
        here.step("load", needs=[]),
        here.step("mend", needs=[on("load", "failure")]),
        here.step("quiet", needs=[], on_error="continue"),
        here.step("after_quiet", needs=[on("quiet", "failure")]),
    )
    assert (done.status, here.done()) == ("succeeded", ["after_quiet", "load", "mend", "quiet"])


def test_a_failure_whose_handler_fails_waits_at_the_handler(here: Work) -> None:
    here.breaks("load", "mend")
    first = here.begin(
        here.step("load", needs=[]),
        here.step("mend", needs=[on("load", "failure")]),
        here.step("after", needs=[on("mend", "done")]),
    )
    assert (first.status, here.done()) == ("suspended", ["load", "mend"])
    (here.folder / "broken-mend").unlink()
    last = here.resume(first.run_id)
    assert (last.status, here.done()) == ("succeeded", ["after", "load", "mend"])


def test_steps_in_order_wait_at_the_one_that_failed(here: Work) -> None:
    here.breaks("b")
    first = here.begin(*map(here.step, "abc"))
    assert (first.status, here.done()) == ("suspended", ["a", "b"])
    here.mend()
    last = here.resume(first.run_id)
    assert (last.status, here.done(), output_of(last)["step"]) == ("succeeded", ["b", "c"], "c")


def test_two_failures_are_both_done_again_and_the_mail_goes_out_once_for_both(here: Work) -> None:
    here.breaks("a", "b")
    first = here.begin(
        here.step("a", needs=[]), here.step("b", needs=[]), here.step("mail", trigger="on_error")
    )
    assert (first.status, here.done()) == ("suspended", ["a", "b", "mail"])
    error = first.error or {}
    assert {error["step"], *(one["step"] for one in error["others"])} == {"a", "b"}
    (here.folder / "broken-a").unlink()
    assert here.resume(first.run_id).status == "suspended"
    assert here.done() == ["a", "b", "mail"]
    here.mend()
    assert here.resume(first.run_id).status == "succeeded"
    assert here.done() == ["b"]


def test_a_mail_that_cannot_be_sent_changes_nothing_about_the_rest(here: Work) -> None:
    here.breaks("a", "mail")
    first = here.begin(here.step("a", needs=[]), here.step("mail", trigger="on_error"))
    assert (first.status, first.records["mail"].status) == ("suspended", "failed")
    (here.folder / "broken-a").unlink()
    assert here.resume(first.run_id).status == "succeeded"


def test_of_a_container_only_what_failed_in_it_is_done_again(here: Work) -> None:
    here.breaks("two")
    inner = [
        here.step("one", needs=[]),
        here.step("two", needs=[]),
        here.step("three", needs=["two"]),
        here.step("either", needs=["one", "two"], join="any"),
    ]
    first = here.begin(
        {"name": "worklet", "node": "sequence", "steps": inner, "needs": []},
        here.step("after", needs=["worklet"]),
    )
    assert (first.status, here.done()) == ("suspended", ["either", "one", "two"])
    here.mend()
    last = here.resume(first.run_id)
    assert (last.status, here.done()) == ("succeeded", ["after", "three", "two"])
    assert verify_run(here.keeper.store, first.run_id) == []


def test_the_time_of_a_run_that_goes_on_begins_anew(here: Work) -> None:
    here.breaks("a")
    first = here.begin(here.step("a"), timeout="10m")
    store = here.keeper.store
    assert fold(store.events(first.run_id)).created == store.run(first.run_id).created  # type: ignore[union-attr]
    here.mend()
    assert here.resume(first.run_id).status == "succeeded"
    restarted = next(event for event in store.events(first.run_id) if event.kind == "run.restarted")
    assert fold(store.events(first.run_id)).created == restarted.at


def test_without_a_store_a_failure_ends_the_run(here: Work) -> None:
    import nodeling

    here.breaks("load")
    file = here.folder / "flow.json"
    steps = [
        here.step("load", needs=[]),
        here.step("after", needs=["load"]),
        here.step("l", trigger="always"),
    ]
    file.write_text(json.dumps({"name": "f", "settings": {"on_failure": "suspend"}, "steps": steps}))
    result = nodeling.run(file)
    assert (result.status, here.done()) == ("failed", ["l", "load"])
    assert result.steps["after"].reason == "upstream"


# -- any graph, any failures


def drawn(work: Work, chance: random.Random) -> list[dict[str, Any]]:
    """Steps in random order of declaration, some inside containers, with links that no failure handles."""
    names = [f"s{number}" for number in range(chance.randint(2, 9))]
    steps = []
    for number, name in enumerate(names):
        sources = chance.sample(names[:number], chance.randint(0, min(number, 3)))
        needs = [on(source, chance.choice(["success", "success", "done", "any"])) for source in sources]
        step = work.step(name, needs=needs, merge="last")
        if len(needs) > 1 and chance.random() < 0.5:
            step["join"] = "any"
        if chance.random() < 0.25:
            inner = [work.step(f"{name}-a", needs=[]), work.step(f"{name}-b", needs=[f"{name}-a"])]
            step = {**step, "node": "sequence", "steps": inner}
            step.pop("inputs")
        steps.append(step)
    chance.shuffle(steps)
    return steps


@pytest.mark.parametrize("seed", range(40))
def test_whatever_failed_on_the_way_the_run_ends_as_if_nothing_had(here: Work, seed: int) -> None:
    chance = random.Random(f"suspended {seed}")
    steps = drawn(here, chance)
    wanted = {name: record.status for name, record in here.begin(*steps).records.items()}
    leaves = [one["name"] for step in steps for one in step.get("steps", [step])]
    clean = here.done()
    here.breaks(*chance.sample(leaves, chance.randint(1, len(leaves))))
    outcome = here.begin(*steps)
    run_id, calls, succeeded = outcome.run_id, Counter(here.done()), set[str]()
    for _ in range(len(leaves) + 1):
        assert verify_run(here.keeper.store, run_id) == []
        if outcome.status != "suspended":
            break
        broken = sorted(file.name.removeprefix("broken-") for file in here.folder.glob("broken-*"))
        succeeded |= {name for name in calls if name not in broken}
        for name in chance.sample(broken, chance.randint(1, len(broken))):
            (here.folder / f"broken-{name}").unlink()
        outcome = here.resume(run_id)
        calls = Counter(here.done())
        assert succeeded.isdisjoint(calls)  # what has succeeded is never called again
    assert outcome.status == "succeeded"
    assert {name: record.status for name, record in outcome.records.items()} == wanted
    assert sorted(succeeded | set(calls)) == clean


# -- killed at any moment


def test_cut_short_after_any_event_the_run_is_suspended_all_the_same_and_then_goes_on(here: Work) -> None:
    """Whoever dies on the way into the suspension, or out of it, leaves a run that goes on from there."""
    here.breaks("load")
    first = here.begin(*night(here))
    here.mend()
    here.resume(first.run_id)
    source = here.keeper.store
    history = source.events(first.run_id)
    suspended = next(event.seq for event in history if event.kind == "run.suspended")
    restarted = next(event.seq for event in history if event.kind == "run.restarted")
    for kept in range(2, len(history) + 1):
        here.done()
        here.breaks("load")
        store = MemoryStore()
        cut(source, first.run_id, kept, store)
        if kept == len(history):
            continue
        store.abandon()
        keeper = keeper_of(store)
        try:
            if kept < suspended:
                outcome = resume(keeper, first.run_id)
                assert outcome.status == "suspended", kept
                seen = {event.path for event in history[:kept] if event.kind == "step.ended"}
                assert seen.isdisjoint(here.done()), kept
            here.mend()
            last = resume(keeper, first.run_id)
            assert last.status == "succeeded", kept
            assert verify_run(store, first.run_id) == [], kept
            if kept <= restarted:
                states = {name: record.status for name, record in last.records.items()}
                assert states.pop("mail") == "skipped", kept
                assert set(states.values()) == {"succeeded"}, kept
        finally:
            keeper.close()
