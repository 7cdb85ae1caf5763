"""Containers inside containers, nodes of every kind inside them, and keys wherever they may stand."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from container_stage import Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling.testing import run_workflow

BASH = """#!/bin/sh
read -r line
printf '%s' "$line"
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """A node that is a shell script: it gives its inputs back as JSON."""
    folder = tmp_path / "nodes" / "shell-echo"
    folder.mkdir(parents=True)
    manifest = {
        "name": "shell-echo",
        "version": "1.0.0",
        "description": "Gives its inputs back.",
        "runtime": {"type": "runtime.bash", "entry": "node.sh", "stdin": "json", "output": "json"},
    }
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "node.sh").write_text(BASH, encoding="utf-8")
    (folder / "node.sh").chmod(0o755)
    return tmp_path / "nodes"


async def on_the_loop(inputs: Any) -> Any:
    return [*inputs["value"], "async"]


def in_a_thread(inputs: Any) -> Any:
    assert threading.current_thread() is not threading.main_thread()
    return [*inputs["value"], "thread"]


KINDS = {"on-the-loop": on_the_loop, "in-a-thread": in_a_thread}


def leaf(name: str, kind: str, value: str) -> dict[str, Any]:
    return {"name": name, "node": kind, "inputs": {"value": value}}


def test_six_levels_mix_every_kind_of_node(nodes: Path) -> None:
    """for-each > parallel > try > sequence > if-else > switch, each with nodes of another kind inside."""
    switch = {
        "name": "level-6",
        "node": "switch",
        "on": "${index}",
        "cases": [
            {"when": 0, "do": leaf("six-a", "on-the-loop", '${steps["five"].output.value}')},
            {"when": [1, 2], "do": leaf("six-b", "in-a-thread", "${steps.five.output.value}")},
        ],
    }
    branch = {"name": "level-5", "node": "if-else", "if": True, "then": [switch]}
    four = [
        leaf("four", "in-a-thread", "${item}"),
        leaf("five", "shell-echo", "${steps.four.output}"),
        branch,
    ]
    guarded = {
        "name": "level-3",
        "node": "try",
        "try": {"name": "level-4", "node": "sequence", "steps": four},
        "finally": leaf("last", "on-the-loop", "${item}"),
    }
    both = {
        "name": "level-2",
        "node": "parallel",
        "nodes": [guarded, leaf("beside", "shell-echo", "${item}")],
    }
    each = {"name": "level-1", "node": "for-each", "in": [["x"], ["y"], ["z"]], "do": both}
    result = run_workflow({"name": "deep", "steps": [each]}, nodes=KINDS, folders=[nodes])
    assert result.status == "succeeded", result.error
    found = [one["results"] for one in result.output["results"]]
    assert found == [
        [["x", "thread", "async"], {"value": ["x"]}],
        [["y", "thread", "thread"], {"value": ["y"]}],
        [["z", "thread", "thread"], {"value": ["z"]}],
    ]


CALM = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
WRAPS = ("sequence", "if-else", "switch", "try", "while", "parallel", "race", "for-each", "map-reduce")


def wrapped(kind: str, number: int, inner: dict[str, Any]) -> dict[str, Any]:
    name = f"c{number}"
    keys: dict[str, Any] = {
        "sequence": {"steps": [inner]},
        "if-else": {"if": True, "then": inner},
        "switch": {"on": 1, "cases": [{"when": 1, "do": inner}]},
        "try": {"try": inner, "finally": {"name": f"f{number}", "node": "log"}},
        "while": {"while": f"${{i{number} < 1}}", "as": f"i{number}", "do": inner},
        "parallel": {"nodes": [inner]},
        "race": {"nodes": [inner]},
        "for-each": {"in": [0], "do": inner},
        "map-reduce": {"in": [0], "map": inner, "reduce": {"name": f"r{number}", "node": "log"}},
    }[kind]
    return {"name": name, "node": kind, **keys}


THREADED = {"sequence", "if-else", "switch", "try", "while", "parallel", "race"}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.lists(st.sampled_from(WRAPS), min_size=1, max_size=6))
def test_any_containers_nest_and_writes_leave_through_those_that_let_them(
    stage: Stage, kinds: list[str]
) -> None:
    step: dict[str, Any] = {"name": "leaf", "node": "put", "inputs": {"left": "here"}}
    for number, kind in enumerate(kinds):
        step = wrapped(kind, number, step)
    result = stage.run([step, {"name": "look", "node": "vars", "inputs": {"keys": ["left"]}}])
    assert result.status == "succeeded", result.error
    assert result.output == ({"left": "here"} if set(kinds) <= THREADED else {})


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.lists(st.sampled_from([k for k in WRAPS if k != "race"]), min_size=1, max_size=6))
def test_a_failure_rises_through_any_containers(stage: Stage, kinds: list[str]) -> None:
    step: dict[str, Any] = {"name": "leaf", "node": "fail", "inputs": {"code": 4567, "message": "deep down"}}
    for number, kind in enumerate(kinds):
        step = wrapped(kind, number, step)
    result = stage.run([step])
    error = result.steps[step["name"]].error
    assert result.status == "failed" and error is not None
    assert "deep down" in error["message"]


def test_containers_take_no_permit_of_the_run(stage: Stage) -> None:
    step: dict[str, Any] = {"name": "leaf", "node": "log"}
    for number, kind in enumerate(WRAPS[:6]):
        step = wrapped(kind, number, step)
    assert stage.run([step], max_concurrent=1).status == "succeeded"


CHILDREN = [
    {"name": "one", "node": "echo", "inputs": {"value": 1}},
    {"name": "two", "node": "echo", "inputs": {"value": "${1 + 1}"}},
]
ALL_KEYS = {
    "parallel": {"nodes": CHILDREN, "execution": {"max_concurrent": 1, "timeout": "5s"}},
    "race": {"nodes": CHILDREN, "min_success": 2, "max_concurrent": 1},
    "for-each": {"in": "${[1, 2]}", "do": {"name": "one", "node": "echo", "inputs": {"value": "${item}"}}},
    "if-else": {"if": "${1 == 1}", "then": CHILDREN},
    "switch": {"on": "${1}", "cases": [{"when": 1, "do": CHILDREN}]},
    "sequence": {"steps": CHILDREN},
    "try": {"try": CHILDREN, "finally": {"name": "last", "node": "log"}},
    "while": {"while": "${iteration < 2}", "do": CHILDREN},
    "map-reduce": {
        "in": [1, 2],
        "map": {"name": "one", "node": "echo", "inputs": {"value": "${item}"}},
        "reduce": {"name": "all", "node": "echo", "inputs": {"value": "${results}"}},
    },
}


def without_times(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key != "execution_info"}


@pytest.mark.parametrize("kind", sorted(ALL_KEYS))
def test_keys_on_the_step_under_inputs_and_under_nodes_are_the_same(stage: Stage, kind: str) -> None:
    keys = ALL_KEYS[kind]
    bare = {"name": "work", "node": kind}
    half = dict(list(keys.items())[:1])
    rest = {key: value for key, value in keys.items() if key not in half}
    ways = [
        stage.run([{**bare, **keys}]),
        stage.run([{**bare, "inputs": keys}]),
        stage.run([bare], nodes={"work": keys}),
        stage.run([bare], nodes={"work": {"inputs": keys}}),
        stage.run([{**bare, **half}], nodes={"work": rest}),
    ]
    found = [without_times(result.output) for result in ways]
    assert all(result.status == "succeeded" for result in ways)
    assert found[0] is not None and all(one == found[0] for one in found)


def test_children_have_their_keys_under_nodes_too(stage: Stage) -> None:
    bare = [{"name": "one", "node": "echo"}, {"name": "two", "node": "echo"}]
    nodes = {
        "work": {"nodes": bare, "execution": {"max_concurrent": 2}},
        "one": {"inputs": {"value": "js/ctx.request.body.slice(0, 1)"}},
        "two": {"inputs": {"value": "${ctx.request.body[1:]}"}},
    }
    result = stage.run([{"name": "work", "node": "parallel-execution"}], [1, 2, 3], nodes=nodes)
    assert result.output["results"] == [[1], [2, 3]]


def test_a_thousand_steps_deep_is_no_recursion(stage: Stage) -> None:
    steps = [
        {"name": f"s{i}", "node": "echo", "inputs": {"value": f"${{steps.s{i - 1}.output + 1}}" if i else 0}}
        for i in range(1_000)
    ]
    assert stage.run([{"name": "chain", "node": "sequence", "steps": steps}]).output == 999


def test_a_container_of_ones_own_nests_with_the_others(stage: Stage, tmp_path: Path) -> None:
    """Written against the public API alone: every child twice."""
    folder = tmp_path / "twice"
    folder.mkdir()
    manifest = {
        "name": "twice",
        "version": "1.0.0",
        "flow": True,
        "config": {
            "type": "object",
            "required": ["do"],
            "additionalProperties": False,
            "properties": {"do": {"x-nodeling": "step", "x-nodeling-names": ["turn"]}},
        },
    }
    (folder / "config.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "node.py").write_text(
        "from nodeling import FlowNode, Start\n"
        "from nodeling.flow import outcome_of\n\n"
        "class Twice(FlowNode):\n"
        "    async def handle(self, ctx, inputs, flow):\n"
        "        runs = [flow.start(Start(inputs['do'], key=i, vars={'turn': i})) for i in range(2)]\n"
        "        return [outcome_of(await run.wait()) for run in runs]\n",
        encoding="utf-8",
    )

    @node(name="say", blocking=False)
    def say(inputs: Any) -> Any:
        return inputs["value"]

    inner = {"name": "say", "node": "say", "inputs": {"value": "${string(turn) + string(item)}"}}
    each = {
        "name": "each",
        "node": "for-each",
        "in": [1, 2],
        "do": {"name": "two", "node": "twice", "do": inner},
    }
    result = run_workflow({"name": "own", "steps": [each]}, nodes={"say": say}, folders=[tmp_path])
    assert result.output["results"] == [["01", "11"], ["02", "12"]]
