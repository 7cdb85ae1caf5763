"""`stop` ends the workflow wherever it stands; a key of its own makes a step's call happen once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nodeling
from cli_calls import invoke, write_node
from nodeling.errors import ConfigError

PROJECT = {"NODELING_STORE": ""}
TELLS = """
def run(ctx, inputs):
    with open("calls", "a", encoding="utf-8") as file:
        file.write(ctx.step + "\\n")
    return {"by": ctx.step, **inputs}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    write_node(tmp_path, "tell", TELLS)
    write_node(tmp_path, "pay", TELLS, effects="unsafe")
    return tmp_path


def one(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "use": "tell", "inputs": {}, **more}


def old(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "node": "tell", "type": "module", **more}


def write(project: Path, steps: list[Any], **more: Any) -> Path:
    path = project / "flow.json"
    document = {"name": "flow", "version": "1.0.0", "trigger": {"manual": {}}, "steps": steps, **more}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def ran(path: Path, body: Any = None) -> tuple[list[str], Any]:
    """Which nodes were called, and the output; the native document gives the same."""
    found = []
    native = path.with_name("native.yaml")
    native.write_text(invoke("convert", path).stdout, encoding="utf-8")
    assert invoke("check", native).exit_code == 0
    for file in (path, native):
        result = nodeling.run(file, body)
        assert result.status == "succeeded", result.error
        calls = path.with_name("calls")
        found.append((calls.read_text(encoding="utf-8").split(), result.output))
        calls.unlink()
    assert found[0] == found[1]
    return found[0]


def branch(name: str, *then: Any, when: str = "ctx.request.body.x === 1") -> dict[str, Any]:
    return {"id": name, "branch": {"when": when, "then": list(then), "else": [one(f"{name}-else")]}}


def by(name: str) -> dict[str, str]:
    return {"by": name}


def test_a_step_that_stops_is_the_last_one_of_the_workflow(project: Path) -> None:
    path = write(project, [one("a"), one("b", stop=True), one("c")])
    assert ran(path) == (["a", "b"], by("b"))


def test_a_stop_in_a_branch_ends_the_workflow_and_its_output_is_the_workflows(project: Path) -> None:
    path = write(project, [one("a"), branch("if", one("b", stop=True), one("c")), one("d")])
    assert ran(path, {"x": 1}) == (["a", "b"], by("b"))
    assert ran(path, {"x": 2}) == (["a", "if-else", "d"], by("d"))


def test_a_stop_deep_inside_ends_every_list_around_it(project: Path) -> None:
    deep = branch("inner", one("b", stop=True), one("c"))
    tried = {"id": "try", "tryCatch": {"try": [deep, one("d")], "catch": [one("e")], "finally": [one("f")]}}
    path = write(project, [branch("outer", tried, one("g")), one("h")])
    assert ran(path, {"x": 1}) == (["b", "f"], by("b"))
    assert ran(path, {"x": 2}) == (["outer-else", "h"], by("h"))


def test_a_step_that_stops_and_is_not_active_stops_nothing(project: Path) -> None:
    path = write(project, [branch("if", one("b", stop=True, active=False), one("c")), one("d")])
    assert ran(path, {"x": 1}) == (["c", "d"], by("d"))


def test_a_stop_in_a_loop_ends_its_round_and_says_so(project: Path) -> None:
    inner = branch("if", one("odd", stop=True), one("never"), when="ctx.state.item === 1")
    loop = {
        "id": "each",
        "forEach": {"in": {"$ref": {"step": "@trigger", "path": ["body"]}}, "do": [inner, one("last")]},
    }
    path = write(project, [loop, one("after")])
    assert ran(path, [1, 2, 1]) == (["odd", "if-else", "last", "odd", "after"], by("after"))
    assert "`stop` inside a loop ends its round" in invoke("check", path).output


def test_a_mark_of_one_round_is_gone_in_the_next(project: Path) -> None:
    inner = branch("if", one("first", stop=True), one("never"), when="ctx.state.roundIndex === 0")
    count = {"id": "n", "use": "@blokjs/expr", "inputs": {"expression": "(ctx.state.n ?? 0) + 1"}}
    loop = {"id": "round", "loop": {"while": "(ctx.state.n ?? 0) < 2", "do": [count, inner, one("last")]}}
    path = write(project, [loop, one("after")])
    assert ran(path) == (["first", "if-else", "last", "after"], by("after"))


def test_the_first_generation_stops_before_the_step_wherever_that_is(project: Path) -> None:
    nodes = {"if": {"conditions": [
        {"type": "if", "condition": "ctx.request.body.x === 1", "steps": [old("a"), old("b", stop=True), old("c")]},
        {"type": "else", "steps": [old("d")]},
    ]}}  # fmt: skip
    path = write(
        project,
        [old("z"), {"name": "if", "node": "@blok-ts/if-else", "type": "module"}, old("e")],
        nodes=nodes,
    )
    assert ran(path, {"x": 1}) == (["z", "a"], by("a"))
    assert ran(path, {"x": 2}) == (["z", "d", "e"], by("e"))


def test_the_condition_of_a_loop_counts_its_rounds_and_those_of_an_inner_loop_anew(project: Path) -> None:
    inner = {"id": "j", "loop": {"while": "ctx.state['jIndex'] < 2", "do": [one("x")]}}
    outer = {
        "id": "i",
        "loop": {"while": "ctx.state.iIndex <= ctx.request.body.last", "do": [one("a"), inner]},
    }
    path = write(project, [outer, one("after")])
    assert ran(path, {"last": 1}) == (["a", "x", "x", "a", "x", "x", "after"], by("after"))
    assert ran(path, {"last": -1}) == (["after"], by("after"))


def test_an_error_of_a_name_that_is_never_tried_again_is_not(project: Path) -> None:
    fails = TELLS.replace("    return", "    raise ValueError('no')\n    return")
    (project / "nodes" / "tell" / "node.py").write_text(fails, encoding="utf-8")
    for names, tries in ((["ValueError"], 1), (["KeyError"], 2)):
        retry = {"maxAttempts": 2, "minTimeoutInMs": 1, "factor": 3, "nonRetryableErrorNames": names}
        assert nodeling.run(write(project, [one("a", retry=retry)])).status == "failed"
        calls = project / "calls"
        assert calls.read_text(encoding="utf-8").split() == ["a"] * tries
        calls.unlink()


# -- idempotency


def keyed(node: str = "pay", **more: Any) -> list[Any]:
    key = {"$tpl": ["order-", {"$ref": {"step": "@trigger", "path": ["body", "order"]}}]}
    inputs = {"note": {"$ref": {"step": "@trigger", "path": ["body", "note"]}}}
    return [{"id": "charge", "use": node, "inputs": inputs, "idempotencyKey": key, **more}]


def asked(order: int, note: str) -> Any:
    body = json.dumps({"order": order, "note": note})
    done = invoke("run", "flow.json", "--json", "--input", body, env=PROJECT)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["output"]["note"]


def test_what_was_done_under_a_key_is_done_once_and_its_output_is_taken(project: Path) -> None:
    write(project, keyed())
    assert [asked(1, "a"), asked(1, "b"), asked(2, "c"), asked(1, "d")] == ["a", "a", "c", "a"]
    assert (project / "calls").read_text(encoding="utf-8").split() == ["charge", "charge"]


def test_a_key_belongs_to_its_step_and_its_workflow(project: Path) -> None:
    write(project, [*keyed(), {**keyed()[0], "id": "again"}])
    asked(1, "a")
    path = write(project, keyed())
    path.write_text(
        path.read_text(encoding="utf-8").replace('"name": "flow"', '"name": "other"'), encoding="utf-8"
    )
    assert asked(1, "b") == "b"
    assert (project / "calls").read_text(encoding="utf-8").split() == ["charge", "again", "charge"]


def test_a_key_holds_for_a_day_or_as_long_as_it_says(project: Path) -> None:
    def ttl(**more: Any) -> Any:
        write(project, keyed(**more))
        return nodeling.load(project / "flow.json").document["steps"][0]["cache"]["ttl"]

    assert (ttl(), ttl(idempotencyKeyTTL="10m"), ttl(idempotencyKeyTTL=500)) == ("24h", "10m", 500)


def test_a_call_that_failed_is_made_again_under_its_key(project: Path) -> None:
    fails = (
        "import pathlib\n\ndef run(ctx, inputs):\n    assert pathlib.Path('up').exists()\n    return inputs\n"
    )
    (project / "nodes" / "pay" / "node.py").write_text(fails, encoding="utf-8")
    write(project, keyed())
    assert invoke("run", "flow.json", "--input", '{"order": 1, "note": "a"}', env=PROJECT).exit_code == 1
    (project / "up").touch()
    assert [asked(1, "b"), asked(1, "c")] == ["b", "b"]


def test_a_key_that_is_about_no_call_is_told(project: Path) -> None:
    path = write(
        project, [{**branch("if", one("b")), "idempotencyKey": "x"}, one("c", idempotencyKeyTTL="1h")]
    )
    said = invoke("check", path).output
    assert "idempotencyKey" in said
    assert "`idempotencyKeyTTL` says nothing without an `idempotencyKey`" in said


def test_a_key_that_does_not_resolve_fails_its_step(project: Path) -> None:
    write(project, keyed())
    assert invoke("run", "flow.json", "--input", '{"note": "a"}', env=PROJECT).exit_code == 1


def test_any_inputs_needs_a_key_to_go_by() -> None:
    steps = [{"name": "a", "node": "assign", "inputs": {"set": {}}, "cache": {"any_inputs": True}}]
    with pytest.raises(ConfigError) as refused:
        nodeling.load({"name": "x", "steps": steps}).run()
    assert [fault.pointer for fault in refused.value.faults] == ["/steps/0/cache/any_inputs"]
