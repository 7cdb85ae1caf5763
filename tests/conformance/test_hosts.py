"""The other half of the kit: children that misbehave, each by its script, against our host."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodeling.testing.conformance import load_behaviours
from nodeling.testing.conformance.hosts import hostile
from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.dispatch.worker import hub
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from worker_calls import Nodes, with_workers

ROWS: list[dict[str, Any]] = json.loads(hostile.FILE.read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"
QUICK = Bounds(crashes=100_000, first_delay=0.0, startup=1.5)
USUAL = Bounds(crashes=100_000, first_delay=0.0)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    yield Nodes(tmp_path)
    hub.close_all()


def test_there_are_enough_of_them_and_each_has_a_rule_and_a_way() -> None:
    assert len({row["id"] for row in ROWS}) == len(ROWS) >= 40
    headings = set(re.findall(r"^## (\d+)\. ", PAGE.read_text(encoding="utf-8"), re.M))
    for row in ROWS:
        assert row["section"].partition(" ")[0] in headings, row["id"]
        assert row["then"] in ("same", "fresh", None), row["id"]
        assert {"code", "output"} & row["expect"].keys(), row["id"]


def test_the_manifest_and_the_misbehaviours_name_each_other() -> None:
    behaviours = {name: one for name, one in load_behaviours().items() if name.startswith("host.")}
    assert {row["id"]: (row["section"], row["text"]) for row in ROWS} == {
        name: (one["section"], one["text"]) for name, one in behaviours.items()
    }


def test_every_word_of_the_scripts_is_one_that_the_child_knows() -> None:
    words = {name.removeprefix("do_") for name in vars(hostile.Child) if name.startswith("do_")}

    def used(actions: list[Any]) -> set[str]:
        inner = [used(action[2]) for action in actions if action[0] == "times"]
        return {action[0] for action in actions}.union(*inner)

    found = set().union(*(used(row.get("hello", [])) | used(row.get("invoke", [])) for row in ROWS))
    assert found == words


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_host_holds_its_ground(nodes: Nodes, row: dict[str, Any]) -> None:
    runtime = {"channel": row.get("channel", "stdio")}
    command = [sys.executable, "-I", "-S", str(Path(hostile.__file__)), row["id"]]
    spec = nodes.command(*command, runtime={"type": "runtime.command", "command": command, **runtime})
    bounds = QUICK if row["id"] == "host.hello-silence" else USUAL

    async def work(dispatcher: WorkerDispatcher) -> list[Outcome]:
        first = await dispatcher.call(nodes.call(spec, "misbehave"))
        if row["then"] is None:
            return [first]
        return [first, *[await dispatcher.call(nodes.call(spec, "behave")) for _ in range(2)]]

    first, *later = with_workers(work, bounds)
    _judge(row["expect"], first)
    pids = [outcome.output.fresh() if outcome.output else outcome.error for outcome in later]
    if row["then"] is not None:
        assert len(set(pids)) == 1 and isinstance(pids[0], int), pids
        assert (first.worker == f"pid {pids[0]}") == (row["then"] == "same"), (first.worker, pids)


def _judge(expect: dict[str, Any], outcome: Outcome) -> None:
    if "output" in expect:
        assert outcome.error is None, outcome.error
        assert outcome.output is not None and outcome.output.fresh() == expect["output"]
        return
    assert outcome.error is not None, outcome.output
    assert outcome.error.code == expect["code"], outcome.error
    said = json.dumps([outcome.error.message, outcome.error.details])
    assert expect.get("says", "") in said
