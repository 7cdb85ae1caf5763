"""A part of a run is done again: what failed and what comes behind it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_runs import keeper_of, output_of
from nodeling.errors import ConfigError, StoreError
from nodeling_runtime.dispatch.base import idempotency_key
from nodeling_runtime.engine.again import plan_replay, plan_restart, replay_run, restart_run
from nodeling_runtime.engine.durable import resume_run, run_durably
from nodeling_runtime.engine.host import in_own_loop
from nodeling_runtime.engine.loaded import load_file
from nodeling_runtime.engine.options import run_options
from nodeling_runtime.engine.recorded import fold
from nodeling_runtime.engine.run import RunOutcome
from nodeling_runtime.store.memory import MemoryStore
from nodeling_runtime.store.verify import verify_run

WORK = """
from pathlib import Path
from nodeling import NodeError

def run(ctx, inputs):
    with Path(inputs["log"]).open("a") as file:
        file.write(f"{ctx.step} {ctx.idempotency_key}\\n")
    if Path(inputs["log"]).with_name(f"broken-{inputs.get('id', ctx.step)}").exists():
        raise NodeError("broken", code=4000)
    ctx.set(f"by_{ctx.step}", inputs.get("id", ctx.step))
    return {"step": ctx.step, "saw": ctx.get("level", None), "given": inputs.get("given")}
"""


class Work:
    """A project whose node fails as long as a file says so."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        node = folder / "nodes" / "work"
        node.mkdir(parents=True)
        (node / "config.json").write_text('{"name": "work", "version": "1.0.0", "reads": ["vars.*"]}')
        (node / "node.py").write_text(WORK)
        self.keeper = keeper_of(MemoryStore())

    def step(self, name: str, **keys: Any) -> dict[str, Any]:
        inputs = {"log": str(self.log), **keys.pop("inputs", {})}
        return {"name": name, "node": "work", "inputs": inputs, **keys}

    def breaks(self, *names: str) -> None:
        for name in names:
            (self.folder / f"broken-{name}").touch()

    def mend(self) -> None:
        for file in self.folder.glob("broken-*"):
            file.unlink()

    def begin(self, steps: list[dict[str, Any]], **document: Any) -> RunOutcome:
        file = self.folder / "flow.json"
        file.write_text(json.dumps({"name": "flow", "steps": steps, **document}))
        loaded = load_file(file)
        outcome: RunOutcome = in_own_loop(lambda: run_durably(self.keeper, loaded, run_options({})))
        return outcome

    def restart(self, run_id: str, from_step: str | None = None, **given: Any) -> RunOutcome | None:
        again = plan_restart(self.keeper.store, run_id, from_step)
        if not again.cone.paths:
            return None
        outcome: RunOutcome = in_own_loop(lambda: restart_run(self.keeper, again, run_options({}), given))
        return outcome

    def done(self) -> list[str]:
        """The steps whose nodes were called since this was last asked."""
        found = (
            [line.split(" ")[0] for line in self.log.read_text().splitlines()] if self.log.exists() else []
        )
        self.log.unlink(missing_ok=True)
        return found

    def ends(self, run_id: str) -> dict[str, tuple[float, bytes | None, int]]:
        recorded = fold(self.keeper.store.events(run_id))
        return {
            path: (one.at, None if one.value is None else one.value.data, one.seq)
            for path, one in recorded.ends.items()
        }


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    found = Work(tmp_path)
    yield found
    found.keeper.close()


def fan(work: Work) -> list[dict[str, Any]]:
    branches = [work.step(name, needs=["start"]) for name in "abcd"]
    behind = [work.step(f"after_{name}", needs=[name]) for name in "abcd"]
    joined = work.step("join", needs=[f"after_{name}" for name in "abcd"])
    return [work.step("start", needs=[]), *branches, *behind, joined]


def test_fault_71_the_failed_branch_and_its_successors_run_again_and_nothing_else(work: Work) -> None:
    work.breaks("c")
    first = work.begin(fan(work))
    assert first.status == "failed"
    work.done()
    before = work.ends(first.run_id)
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert second.status == "succeeded"
    assert sorted(work.done()) == ["after_c", "c", "join"]
    after = work.ends(first.run_id)
    kept = {"start", "a", "b", "d", "after_a", "after_b", "after_d"}
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert verify_run(work.keeper.store, first.run_id) == []
    row = work.keeper.store.run(first.run_id)
    assert row is not None
    assert (row.status, row.error) == ("succeeded", None)


def test_fault_71_a_second_restart_does_nothing(work: Work) -> None:
    work.breaks("c")
    first = work.begin(fan(work))
    work.mend()
    work.restart(first.run_id)
    work.done()
    events = len(work.keeper.store.events(first.run_id))
    assert work.restart(first.run_id) is None
    assert work.done() == []
    assert len(work.keeper.store.events(first.run_id)) == events


def test_a_restart_that_fails_again_can_be_restarted_again(work: Work) -> None:
    work.breaks("c")
    first = work.begin(fan(work))
    assert work.restart(first.run_id).status == "failed"  # type: ignore[union-attr]
    work.mend()
    work.done()
    assert work.restart(first.run_id).status == "succeeded"  # type: ignore[union-attr]
    assert sorted(work.done()) == ["after_c", "c", "join"]
    gens = [(one.gen, one.status) for one in work.keeper.store.results(first.run_id) if one.path == "c"]
    assert gens == [(0, "failed"), (1, "failed"), (2, "succeeded")]


def test_a_restarted_step_has_another_idempotency_key(work: Work) -> None:
    work.breaks("c")
    first = work.begin([work.step("c")])
    work.mend()
    work.restart(first.run_id)
    keys = [line.split(" ")[1] for line in work.log.read_text().splitlines()]
    assert keys == [idempotency_key(first.run_id, "c", gen) for gen in (0, 1)]


@pytest.mark.parametrize(
    "strategy", [{}, {"max_concurrent": 1}, {"error_handling": "continue-partial", "min_success": 4}]
)
def test_of_a_parallel_container_only_the_failed_branch_runs_again(
    work: Work, strategy: dict[str, Any]
) -> None:
    work.breaks("b")
    container = {
        "name": "all",
        "node": "parallel",
        "nodes": [work.step(name) for name in "abcd"],
        "execution": strategy,
    }
    first = work.begin([container, work.step("after")])
    assert first.status == "failed"
    succeeded = [
        path
        for path, one in fold(work.keeper.store.events(first.run_id)).ends.items()
        if one.status == "succeeded"
    ]
    before = work.ends(first.run_id)
    work.done()
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert second.status == "succeeded"
    assert sorted(work.done()) == sorted(
        ({"a", "b", "c", "d"} - {path[4:] for path in succeeded}) | {"after"}
    )
    after = work.ends(first.run_id)
    assert {path: after[path] for path in succeeded} == {path: before[path] for path in succeeded}
    output = second.records["all"].output
    assert output is not None
    assert [one["step"] for one in json.loads(output.data)["results"]] == ["a", "b", "c", "d"]
    assert verify_run(work.keeper.store, first.run_id) == []


def test_of_a_loop_over_items_only_the_failed_ones_run_again(work: Work) -> None:
    work.breaks("2")
    body = work.step("one", inputs={"id": "${item}"})
    loop = {
        "name": "each",
        "node": "for-each",
        "in": [1, 2, 3, 4],
        "do": body,
        "max_concurrent": 1,
        "error_handling": "continue-partial",
        "min_success": 4,
    }
    first = work.begin([loop])
    assert (first.status, len(work.done())) == ("failed", 4)
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert (second.status, work.done()) == ("succeeded", ["one"])
    assert len(output_of(second)["results"]) == 4


def test_a_sequence_goes_on_from_its_failed_step(work: Work) -> None:
    work.breaks("b")
    first = work.begin([{"name": "seq", "node": "sequence", "steps": [work.step(name) for name in "abc"]}])
    assert work.done() == ["a", "b"]
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert (second.status, work.done()) == ("succeeded", ["b", "c"])


def test_try_and_catch_are_done_again_with_what_comes_behind_the_failure(work: Work) -> None:
    work.breaks("b", "handler")
    step = {
        "name": "t",
        "node": "try",
        "try": [work.step("a"), work.step("b")],
        "catch": work.step("handler"),
        "finally": work.step("last"),
    }
    first = work.begin([step])
    assert first.status == "failed"
    work.done()
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert second.status == "succeeded"
    assert "handler" not in (found := work.done())
    assert found[-2:] == ["b", "last"]


def test_handlers_of_the_old_generation_are_superseded_and_stay_readable(work: Work) -> None:
    work.breaks("a")
    first = work.begin(
        [work.step("a"), work.step("handler", trigger="on_error"), work.step("end", trigger="always")]
    )
    assert work.done() == ["a", "handler", "end"]
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert (second.status, work.done()) == ("succeeded", ["a", "end"])
    gens = {(one.path, one.gen): one.status for one in work.keeper.store.results(first.run_id)}
    assert gens["handler", 0] == "succeeded"
    assert gens["handler", 1] == "skipped"


def test_a_restart_from_a_step_does_that_and_all_behind_it(work: Work) -> None:
    first = work.begin(fan(work))
    work.done()
    second = work.restart(first.run_id, "b")
    assert second is not None
    assert sorted(work.done()) == ["after_b", "b", "join"]


def test_variables_set_by_hand_hide_what_was_written_before(work: Work) -> None:
    first = work.begin([work.step("a", set_var="level"), work.step("b"), work.step("c")])
    work.done()
    second = work.restart(first.run_id, "b", level=5)
    assert second is not None
    assert output_of(second)["saw"] == 5
    with pytest.raises(ConfigError, match="is a step's name"):
        work.restart(first.run_id, "b", a=5)


def test_a_restart_cut_short_is_resumed_and_does_nothing_twice(work: Work) -> None:
    work.breaks("c")
    first = work.begin(fan(work))
    work.mend()
    work.done()
    again = plan_restart(work.keeper.store, first.run_id)
    store = work.keeper.store
    assert isinstance(store, MemoryStore)
    claim = store.reclaim(first.run_id, "one who dies")
    from nodeling_runtime.store.model import Batch, Fact

    store.append(
        [Batch(claim, (Fact("run.restarted", 1.0, data={"by": "x", "gen": 1, **again.cone.to_json()}),))]
    )
    store.abandon()
    with pytest.raises(StoreError, match="has nothing to restart yet"):
        plan_restart(store, first.run_id)
    outcome = in_own_loop(lambda: resume_run(work.keeper, first.run_id, run_options({})))
    assert outcome.status == "succeeded"
    assert sorted(work.done()) == ["after_c", "c", "join"]


def test_a_step_that_is_not_there_is_answered_with_the_nearest(work: Work) -> None:
    first = work.begin([work.step("alpha")])
    with pytest.raises(ConfigError) as caught:
        plan_restart(work.keeper.store, first.run_id, "alfa")
    assert caught.value.hint == "did you mean 'alpha'?"


def test_a_replay_is_a_new_run_that_takes_over_what_was_done_before(work: Work) -> None:
    first = work.begin([work.step("a"), work.step("b"), work.step("c")])
    before = work.keeper.store.events(first.run_id)
    work.done()
    again = plan_replay(work.keeper.store, first.run_id, "b")
    second = in_own_loop(lambda: replay_run(work.keeper, again, run_options({}), {"given": 7}))
    assert second.run_id != first.run_id
    assert (second.status, work.done()) == ("succeeded", ["b", "c"])
    given = second.records["b"].output
    assert given is not None
    assert json.loads(given.data)["given"] == 7
    assert work.keeper.store.events(first.run_id) == before
    assert work.ends(second.run_id)["a"][:2] == work.ends(first.run_id)["a"][:2]
    assert verify_run(work.keeper.store, second.run_id) == []


def test_a_failed_item_of_several_steps_goes_on_where_it_failed(work: Work) -> None:
    work.breaks("2")
    body = [work.step("first"), work.step("second", inputs={"id": "${item}"}), work.step("third")]
    loop = {
        "name": "each",
        "node": "for-each",
        "in": [1, 2, 3],
        "do": body,
        "error_handling": "continue-partial",
        "min_success": 3,
    }
    first = work.begin([loop])
    assert (first.status, len(work.done())) == ("failed", 8)
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert (second.status, work.done()) == ("succeeded", ["second", "third"])
    assert verify_run(work.keeper.store, first.run_id) == []


def test_a_while_loop_goes_on_in_the_round_in_which_it_failed(work: Work) -> None:
    work.breaks("2")
    loop = {
        "name": "rounds",
        "node": "while",
        "while": "${iteration < 4}",
        "max_iterations": 10,
        "do": [work.step("before"), work.step("turn", inputs={"id": "${iteration}"})],
    }
    first = work.begin([loop])
    assert first.status == "failed"
    done = work.done()
    work.mend()
    second = work.restart(first.run_id)
    assert second is not None
    assert second.status == "succeeded"
    assert len(done) + len(work.done()) == 2 * 4 + 1


def test_every_kind_of_node_is_given_the_key_and_another_one_after_a_restart(work: Work) -> None:
    folder = work.folder / "nodes" / "key"
    folder.mkdir()
    (folder / "config.json").write_text('{"name": "key", "version": "1.0.0"}')
    (folder / "node.py").write_text("def run(ctx, inputs):\n    return ctx.idempotency_key\n")
    program = work.folder / "nodes" / "program"
    program.mkdir()
    command = ["printenv", "NODELING_IDEMPOTENCY_KEY"]
    runtime = {"type": "runtime.command", "command": command, "protocol": "exec", "output": "text"}
    (program / "config.json").write_text(
        json.dumps({"name": "program", "version": "1.0.0", "runtime": runtime})
    )
    inside = {"name": "inside", "node": "key"}
    steps = [
        {"name": "here", "node": "key"},
        {"name": "worker", "node": "key", "type": "runtime.python3"},
        {"name": "program", "node": "program"},
        {"name": "all", "node": "parallel", "nodes": [inside]},
    ]
    first = work.begin(steps)
    second = work.restart(first.run_id, "here")
    assert second is not None
    for generation, outcome in enumerate((first, second)):
        assert outcome.status == "succeeded", outcome.error
        given = {name: record.output for name, record in outcome.records.items() if record.output is not None}
        found = {name: json.loads(output.data) for name, output in given.items()}
        assert found["all"]["results"] == [idempotency_key(first.run_id, "all/inside", generation)]
        for name in ("here", "worker", "program"):
            assert found[name].strip() == idempotency_key(first.run_id, name, generation), name


def test_a_restart_may_begin_at_a_step_inside_an_item(work: Work) -> None:
    body = [work.step("first"), work.step("second")]
    run = work.begin([{"name": "each", "node": "for-each", "in": [1, 2], "do": body}])
    work.done()
    again = work.restart(run.run_id, "each[1]/second")
    assert again is not None
    assert (again.status, work.done()) == ("succeeded", ["second"])
