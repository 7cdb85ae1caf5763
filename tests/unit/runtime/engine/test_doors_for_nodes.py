"""What a node may ask of the engine, beyond its inputs and its context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeling import Context, NodeError, Workflow, node
from nodeling.errors import ConfigError
from nodeling.testing import run_node
from nodeling.validation import compile_schema

MANIFEST = """{"name": "%s", "version": "1.0.0", %s}"""


def made(folder: Path, name: str, manifest: str, code: str) -> Path:
    """The folder of a node."""
    place = folder / name
    place.mkdir()
    (place / "config.json").write_text(MANIFEST % (name, manifest), encoding="utf-8")
    (place / "node.py").write_text(code, encoding="utf-8")
    return place


KEEPER = """
from nodeling import FlowNode
class Keeper(FlowNode):
    async def handle(self, ctx, inputs, flow):
        return [flow.evaluate(inputs["rows"][name], {"n": 2, "ctx": 1}) for name in inputs["rows"]]
"""
KEEPS = (
    '"flow": true, "config": {"type": "object", "properties": {"rows": {"type": "object", '
    '"additionalProperties": {"x-nodeling": "template", "x-nodeling-names": ["n"]}}}}'
)


def test_a_kept_value_of_any_shape_is_evaluated_with_the_names_it_is_given(tmp_path: Path) -> None:
    folder = made(tmp_path, "keeper", KEEPS, KEEPER)
    rows = {"a": {"x": ["${n + 1}", "${ctx.request.body}"]}, "b": "n is ${n}", "c": 7, "d": "$${n}"}
    outcome = run_node(folder, step={"rows": rows}, request={"body": "hi"})
    assert outcome.output == [{"x": [3, "hi"]}, "n is 2", 7, "${n}"]


def test_a_kept_value_with_an_unknown_name_is_a_fault_at_its_place(tmp_path: Path) -> None:
    folder = made(tmp_path, "keeper", KEEPS, KEEPER)
    workflow = Workflow.from_document(
        {"name": "t", "steps": [{"name": "k", "node": "keeper", "rows": {"a": {"x": ["${m}"]}}}]},
        nodes=[folder],
    )
    with pytest.raises(ConfigError) as caught:
        workflow.run()
    assert [fault.pointer for fault in caught.value.faults] == ["/steps/0/rows/a/x/0"]


def test_json_schema_is_open_to_nodes_and_stays_inside_itself() -> None:
    faults = compile_schema({"properties": {"a": {"type": "integer"}}, "required": ["b"]})({"a": "x"})
    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("", "schema.misfit"),
        ("/a", "schema.misfit"),
    ]
    assert compile_schema(True)(1) == []
    with pytest.raises(ConfigError):
        compile_schema({"$ref": "file:///etc/passwd"}, "mine")


def asks(tmp_path: Path) -> Path:
    manifest = (
        '"config": {"type": "object", "properties": {"key": {"type": "string", "x-nodeling": "secret"}, '
        '"other": {"type": "string"}}}'
    )
    return made(tmp_path, "asks", manifest, "def run(ctx, inputs):\n    return sorted(ctx.secrets)\n")


def test_a_step_gets_the_secrets_that_its_config_names_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = asks(tmp_path)
    monkeypatch.setenv("NODELING_SECRET_ONE", "first-secret")
    monkeypatch.setenv("NODELING_SECRET_TWO", "second-secret")
    steps: list[dict[str, Any]] = [
        {"name": "a", "node": "asks", "config": {"key": "ONE", "other": "TWO"}},
        {"name": "b", "node": "asks", "config": {"key": "TWO"}},
        {"name": "c", "node": "asks"},
    ]
    result = Workflow.from_document({"name": "t", "steps": steps}, nodes=[folder]).run(timeout=30)
    assert [step.output for step in result.steps.values()] == [["ONE"], ["TWO"], []]


def test_a_secret_that_is_missing_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    steps = [{"name": "a", "node": "asks", "config": {"key": "NO_SUCH"}}]
    with pytest.raises(ConfigError, match=r"NO_SUCH \(for asks\)"):
        Workflow.from_document({"name": "t", "steps": steps}, nodes=[asks(tmp_path)]).run()


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("isolation", ["none", "call"])
def test_what_did_nothing_is_tried_again_even_where_that_is_unsafe(
    tmp_path: Path, started: bool, isolation: str
) -> None:
    code = (
        "from nodeling import NodeError\n"
        f"def run(ctx, inputs):\n    raise NodeError('no', code=5000, retryable=True, started={started})\n"
    )
    manifest = f'"effects": "unsafe", "runtime": {{"type": "python", "isolation": "{isolation}"}}'
    folder = made(tmp_path, "careful", manifest, code)
    outcome = run_node(folder, step={"retry": {"attempts": 3, "delay": 1}})
    assert (outcome.code, outcome.attempts) == (5000, 1 if started else 3)


def test_a_node_in_a_process_of_its_own_cannot_end_its_scope(tmp_path: Path) -> None:
    code = "def run(ctx, inputs):\n    ctx.end_scope('stop')\n"
    folder = made(tmp_path, "ender", '"runtime": {"type": "python", "isolation": "call"}', code)
    assert run_node(folder).code == 4010


def test_a_container_may_end_the_scope_that_it_stands_in(tmp_path: Path) -> None:
    code = (
        "from nodeling import FlowNode\n"
        "class Ender(FlowNode):\n"
        "    async def handle(self, ctx, inputs, flow):\n"
        "        ctx.end_scope('stop')\n"
        "        return 1\n"
    )
    folder = made(tmp_path, "ender", '"flow": true, "config": {"type": "object"}', code)
    steps = [{"name": "a", "node": "ender"}, {"name": "b", "node": "ender"}]
    result = Workflow.from_document({"name": "t", "steps": steps}, nodes=[folder]).run(timeout=30)
    assert [(step.status, step.reason) for step in result.steps.values()] == [
        ("succeeded", None),
        ("skipped", "stopped"),
    ]


def test_a_stop_in_a_handler_changes_nothing() -> None:
    @node
    def stops(ctx: Context) -> None:
        ctx.end_scope("stop")

    @node
    def fails() -> None:
        raise NodeError("no")

    steps = [
        {"name": "f", "node": "fails"},
        {"name": "h", "node": "stops", "trigger": "on_error"},
        {"name": "h2", "node": "stops", "trigger": "on_error"},
    ]
    workflow = Workflow.from_document({"name": "t", "steps": steps})
    workflow.definitions.update({"stops": stops, "fails": fails})
    result = workflow.run(timeout=30)
    assert result.status == "failed" and result.steps["h2"].status == "succeeded"
