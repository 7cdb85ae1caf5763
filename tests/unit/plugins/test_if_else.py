"""`if-else`: one of several lists of steps, by conditions asked in order."""

from __future__ import annotations

from typing import Any

import pytest
from container_stage import Stage


def say(name: str, value: Any = None) -> dict[str, Any]:
    return {"name": name, "node": "log", "inputs": {"say": name if value is None else value}}


@pytest.mark.parametrize(("body", "wanted"), [(5, "big"), (1, "small")])
def test_the_condition_decides_between_then_and_else(stage: Stage, body: int, wanted: str) -> None:
    step = {
        "name": "choose",
        "node": "if-else",
        "if": "${ctx.request.body > 3}",
        "then": [say("big")],
        "else": say("small"),
    }
    result = stage.run([step], body)
    assert result.output == wanted
    assert stage.told == [wanted]


def test_without_else_it_gives_null(stage: Stage) -> None:
    result = stage.run([{"name": "choose", "node": "if-else", "if": False, "then": [say("yes")]}])
    assert (result.status, result.output, stage.told) == ("succeeded", None, [])


BLOK = [
    {"type": "if", "condition": "ctx.request.body.kind === 'a'", "steps": [say("first")]},
    {"type": "else if", "condition": 'ctx.request.body.kind.toLowerCase() === "b"', "steps": [say("second")]},
    {"type": "else", "steps": [say("third-a"), say("third-b")]},
]


@pytest.mark.parametrize(
    ("kind", "told"), [("a", ["first"]), ("B", ["second"]), ("c", ["third-a", "third-b"])]
)
def test_conditions_are_javascript_and_the_first_that_holds_wins(
    stage: Stage, kind: str, told: list[str]
) -> None:
    result = stage.run([{"name": "choose", "node": "if-else", "conditions": BLOK}], {"kind": kind})
    assert stage.told == told
    assert result.output == told[-1]


@pytest.mark.parametrize("alias", ["@blok-ts/if-else", "@nanoservice-ts/if-else"])
def test_it_answers_to_its_old_names_with_conditions_under_nodes(stage: Stage, alias: str) -> None:
    steps = [{"name": "choose", "node": alias, "type": "module"}]
    result = stage.run(steps, {"kind": "a"}, nodes={"choose": {"conditions": BLOK}})
    assert result.output == "first"


@pytest.mark.parametrize("entry", [{"type": "if", "condition": ""}, {"type": "if"}])
def test_a_condition_without_text_holds(stage: Stage, entry: dict[str, Any]) -> None:
    result = stage.run(
        [{"name": "choose", "node": "if-else", "conditions": [{**entry, "steps": [say("yes")]}]}]
    )
    assert result.output == "yes"


def test_no_condition_holds_and_null_is_given(stage: Stage) -> None:
    entry = {"type": "if", "condition": "1 === 2", "steps": [say("never")]}
    assert stage.run([{"name": "choose", "node": "if-else", "conditions": [entry]}]).output is None


@pytest.mark.parametrize(
    "conditions",
    [
        [{"type": "else", "steps": [say("a")]}],
        [
            {"type": "if", "condition": "true", "steps": [say("a")]},
            {"type": "else", "steps": [say("b")]},
            {"type": "if", "condition": "true", "steps": [say("c")]},
        ],
    ],
)
def test_the_order_of_the_entries_is_kept_to(stage: Stage, conditions: list[Any]) -> None:
    result = stage.run([{"name": "choose", "node": "if-else", "conditions": conditions}])
    error = result.steps["choose"].error
    assert error is not None and error["code"] == 4002
    assert stage.told == []


def test_a_condition_that_gives_no_boolean_fails_the_step(stage: Stage) -> None:
    step = {"name": "choose", "node": "if-else", "if": "${ctx.request.body}", "then": [say("a")]}
    result = stage.run([step], "text")
    error = result.steps["choose"].error
    assert result.status == "failed" and error is not None
    assert stage.told == []


def test_a_condition_that_raises_fails_the_step(stage: Stage) -> None:
    step = {"name": "choose", "node": "if-else", "if": "${ctx.request.body.x.y > 1}", "then": [say("a")]}
    result = stage.run([step], {})
    error = result.steps["choose"].error
    assert error is not None and error["code"] == "expr.no_such_key"


def test_the_writes_of_the_branch_leave(stage: Stage) -> None:
    result = stage.run(
        [
            {
                "name": "choose",
                "node": "if-else",
                "if": True,
                "then": [{"name": "write", "node": "put", "inputs": {"a": 1}}],
            },
            {"name": "after", "node": "vars", "inputs": {"keys": ["a"]}},
        ]
    )
    assert result.output == {"a": 1}


def test_a_failure_in_the_branch_is_the_steps_failure(stage: Stage) -> None:
    bad = {"name": "bad", "node": "fail", "inputs": {"code": 4444}}
    result = stage.run([{"name": "choose", "node": "if-else", "if": True, "then": [bad]}])
    error = result.steps["choose"].error
    assert error is not None and (error["code"], error["details"]["step"]) == (4444, "bad")


def test_the_steps_own_condition_is_not_its_key_if(stage: Stage) -> None:
    """`if` belongs to the container here: a step that holds nothing is not skipped, it chooses."""
    result = stage.run([{"name": "choose", "node": "if-else", "if": False, "then": [say("a")]}])
    assert result.steps["choose"].status == "succeeded"


def test_javascript_that_cannot_be_lowered_is_refused_by_its_construct(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeling_runtime.quickjs.engine.javascript_function", lambda: None)  # no such extra
    entry = {"type": "if", "condition": "new Date() > 1", "steps": [say("a")]}
    said = stage.refusals([{"name": "choose", "node": "if-else", "conditions": [entry]}])
    assert len(said) == 1 and said[0].startswith("new ")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("", None), ("x", "yes"), (0, None), (1, "yes"), ([], "yes"), ({}, "yes"), (None, None)],
)
def test_bare_javascript_has_javascripts_truth(stage: Stage, value: Any, wanted: str | None) -> None:
    entry = {"type": "if", "condition": "ctx.request.body.x", "steps": [say("yes")]}
    result = stage.run([{"name": "choose", "node": "if-else", "conditions": [entry]}], {"x": value})
    assert result.output == wanted


def test_a_fault_in_bare_javascript_stands_at_its_own_character(stage: Stage, tmp_path: Any) -> None:
    from nodeling_runtime.engine.loaded import load_file

    file = tmp_path / "flow.yaml"
    file.write_text(
        "name: x\nsteps:\n- name: choose\n  node: if-else\n  conditions:\n"
        "  - {type: if, condition: ctx.reqest.body === 1, steps: {name: a, node: parallel, nodes: []}}\n"
    )
    (fault,) = load_file(file).faults
    assert fault.code == "expr.no_such_key"
    line = file.read_text().splitlines()[5]
    assert (fault.line, fault.column) == (6, line.index("ctx.reqest") + 1)
