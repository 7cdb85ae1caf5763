"""Whatever stands in a document, loading and checking end, and say where each fault is."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling.errors import ConfigError
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.engine.loaded import load
from nodeling_runtime.registry import Registry, build_registry

REGISTRY: list[Registry] = []


@node(name="work")
def work(text: str, count: int = 1) -> dict[str, int]:
    raise AssertionError("nothing is run")


def registry() -> Registry:
    if not REGISTRY:
        from nodeling_runtime.registry import PROJECT, register

        REGISTRY.append(build_registry())
        register(REGISTRY[0], work, PROJECT)
    return REGISTRY[0]


def step(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "node": "work", "inputs": {"text": "a"}, **keys}


EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "version": "1.0.0",
    "estimated_duration": "1m",
    "settings": {"max_concurrent": 2, "timeout": "1m", "on_failure": "stop", "env": ["HOME"]},
    "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "output": {"all": "${steps.a.output}"},
    "steps": [
        step("a", needs=[], retry={"attempts": 2, "delay": "1s", "on": [9001, "timeout"]}, timeout="5s"),
        step("b", needs=["a"], **{"if": "${steps.a.output.x > 1}"}, on_error="continue", set_var="bb"),
        step("c", needs=[{"step": "a", "on": ["failure", "skipped"], "if": True}, "b"], join={"at_least": 1}),
        {
            "name": "d",
            "node": "parallel",
            "needs": ["c"],
            "execution": {"max_concurrent": 2, "timeout": 100, "min_success": 1},
            "nodes": [step("d1", parameters={"count": 2}), step("d2", active=False)],
        },
        {"name": "e", "node": "for-each", "needs": ["d"], "in": "${[1, 2]}", "as": "row", "do": step("e1")},
        {
            "name": "f",
            "node": "if-else",
            "needs": ["e"],
            "conditions": [
                {"type": "if", "condition": "ctx.request.body.n === 1", "steps": [step("f1")]},
                {"type": "else", "steps": [step("f2")]},
            ],
        },
        {
            "name": "g",
            "node": "switch",
            "needs": ["f"],
            "on": "js/ctx.vars.bb",
            "cases": [{"when": [1, 2], "do": step("g1")}],
            "default": step("g2"),
        },
        {"name": "h", "node": "while", "needs": ["g"], "while": "${iteration < 3}", "do": step("h1")},
        {"name": "i", "node": "try", "needs": ["h"], "try": step("i1"), "catch": step("i2"), "merge": "deep"},
        {"name": "j", "node": "subworkflow", "needs": ["i"], "workflow": "nowhere.yaml", "inputs": {}},
        step("k", trigger="on_error", recover=True),
        step("l", trigger="always", stop=False),
    ],
    "nodes": {"d1": {"config": {}}, "a": {"config": {"x": 1}}},
}

WORDS = st.sampled_from(
    ["a", "b", "d1", "steps", "success", "stop", "parallel", "module", "local", "runtime.python3"]
    + ["work@^9", "@", "", "/"]
)
EXPRESSIONS = st.sampled_from(
    [
        "${steps.a.output}",
        "${steps.zz.output.x}",
        "${ctx.request.body.n}",
        "${item",
        "${1 +}",
        "js/",
        "js/new X()",
        "$${",
        "${steps.a-b}",
        '${steps["a"]["output"][0:2]}',
        "${[x for]}",
        "${nope(1)}",
        "text ${row} text",
        "${ctx.response.data}",
        "${steps}",
        "${ctx}",
        "${steps[ctx.run.id].output}",
    ]
)
NUMBERS = st.integers(-2, 3) | st.floats(-1, 1)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=4) | WORDS | EXPRESSIONS
KEYS = WORDS | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)
TOP = st.sampled_from(["settings", "nodes", "inputs", "output", "name"])


def places(data: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    for path in found:
        here = data
        for part in path:
            here = here[part]
        if isinstance(here, dict):
            found.extend((*path, key) for key in here)
        elif isinstance(here, list):
            found.extend((*path, i) for i in range(len(here)))
    return found[1:]


PLACES = places(EVERYTHING)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """The document with a few of its values replaced, removed, moved or renamed."""
    data = copy.deepcopy(EVERYTHING)
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(PLACES))
        here: Any = data
        try:
            for part in path:
                here = here[part]
            kind = draw(st.integers(0, 3))
            if kind == 0:
                here[last] = draw(VALUES)
            elif kind == 1:
                del here[last]
            elif kind == 2 and isinstance(here, dict):
                here[draw(WORDS | st.text(max_size=5))] = here.pop(last)
            else:
                *other, end = draw(st.sampled_from(PLACES))
                there: Any = data
                for part in other:
                    there = there[part]
                here[last] = copy.deepcopy(there[end])
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return data


def test_the_whole_document_has_no_fault_but_the_file_that_is_not_there() -> None:
    loaded = load(parse_document(json.dumps(EVERYTHING), name="x.json"), registry=registry())
    assert [fault.code for fault in loaded.faults if fault.severity == "error"] == ["document.not_found"]


@settings(max_examples=250, deadline=None)
@given(data=spoilt(), strict=st.booleans())
def test_a_spoilt_document_is_told_where_and_never_breaks_the_reader(data: Any, strict: bool) -> None:
    text = json.dumps(data, indent=1)
    try:
        document = parse_document(text, name="x.json")
    except ConfigError as error:
        faults = list(error.faults)
    else:
        faults = load(document, registry=registry(), strict=strict).faults
    lines = text.split("\n")
    for fault in faults:
        assert fault.file == "x.json" and fault.message and "\n" not in str(fault)
        assert fault.line is not None and fault.column is not None
        assert 1 <= fault.line <= len(lines)
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1
        json.dumps(fault.to_json())


@settings(max_examples=150, deadline=None)
@given(data=VALUES)
def test_any_value_at_all_is_a_workflow_or_is_told_why_not(data: Any) -> None:
    text = json.dumps(data)
    try:
        loaded = load(parse_document(text, name="x.json"), registry=registry())
    except ConfigError:
        return
    assert any(fault.severity == "error" for fault in loaded.faults)


@settings(max_examples=100, deadline=None)
@given(steps=VALUES, more=st.dictionaries(TOP, VALUES))
def test_any_steps_at_all_are_steps_or_are_told_why_not(steps: Any, more: dict[str, Any]) -> None:
    text = json.dumps({"steps": steps, **more})
    try:
        load(parse_document(text, name="x.json"), registry=registry())
    except ConfigError as error:
        assert error.faults
