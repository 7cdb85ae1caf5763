"""What the checker knows before a run: circles, what comes before what, what fits what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling.errors import Fault
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.loaded import load
from nodeling_runtime.workflow.plan import find_cycles


@node(name="make")
def make() -> dict[str, int]:
    raise AssertionError("nothing is run")


@node(name="take")
def take(text: str, count: int = 1) -> str:
    raise AssertionError("nothing is run")


@node(name="any")
def whatever(inputs: Any) -> Any:
    raise AssertionError("nothing is run")


def checked(steps: list[Any], *, strict: bool = False, **more: Any) -> list[Fault]:
    nodes = {"make": make, "take": take, "any": whatever}
    return load(from_data({"steps": steps, **more}, "made"), definitions=nodes, strict=strict).faults


def step(name: str, value: Any = None, kind: str = "any", **keys: Any) -> dict[str, Any]:
    inputs = {} if value is None else {"inputs": {"v": value}}
    return {"name": name, "node": kind, **inputs, **keys}


def codes(faults: list[Fault]) -> list[str]:
    return [fault.code for fault in faults]


@settings(max_examples=150, deadline=None)
@given(graph=st.lists(st.sets(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_circles_are_found_when_there_are_any_and_are_circles(graph: list[set[int]]) -> None:
    size = len(graph)
    sources = [sorted({source % size for source in each} - {i}) for i, each in enumerate(graph)]
    alive, before = set(range(size)), -1
    while len(alive) != before:  # take away what waits for nobody that is left
        before = len(alive)
        alive = {i for i in alive if any(source in alive for source in sources[i])}
    found = find_cycles(sources)
    assert bool(found) == bool(alive)
    members = [i for circle in found for i in circle]
    assert len(members) == len(set(members))
    for circle in found:
        for here, after in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert here in sources[after]


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("${steps.later.output}", "it runs after 'here'"),
        ("${steps.beside.output}", "add 'beside' to `needs`"),
        ("${steps.tidy.output}", "it runs later, as an `always` step"),
        ("${steps.here.output}", "refer to a step that comes before"),
        ("${steps.inside.output}", "read the output of 'holder'"),
    ],
)
def test_a_step_that_does_not_come_before_is_told_with_the_way_out(reference: str, hint: str) -> None:
    faults = checked(
        [
            step("first", needs=[]),
            step("beside", needs=["first"]),
            step("here", reference, needs=["first"]),
            step("later", needs=["here"]),
            {"name": "holder", "node": "sequence", "needs": ["first"], "steps": [step("inside")]},
            step("tidy", trigger="always"),
        ]
    )
    assert [(fault.code, fault.hint) for fault in faults] == [("workflow.no_ancestor", hint)]


@pytest.mark.parametrize("spelling", ["${steps.%s.status}", "${steps.%s?.output}", "${has(steps.%s.output)}"])
def test_status_and_guarded_outputs_of_ancestors_may_always_be_read(spelling: str) -> None:
    steps = [step("a", needs=[]), step("b", spelling % "a", needs=[{"step": "a", "on": "failure"}])]
    assert checked(steps) == []


@pytest.mark.parametrize(
    ("on", "word"), [("failure", "failed"), ("skipped", "was skipped"), (["failure", "skipped"], "failed")]
)
def test_an_output_that_cannot_be_there_is_refused(on: Any, word: str) -> None:
    steps = [step("a", needs=[]), step("b", "${steps.a.output}", needs=[{"step": "a", "on": on}])]
    (fault,) = checked(steps)
    assert fault.code == "expr.no_output" and word in fault.message


@pytest.mark.parametrize("on", ["success", "done", ["success", "failure"]])
def test_an_output_that_may_be_there_is_not(on: Any) -> None:
    assert (
        checked([step("a", needs=[]), step("b", "${steps.a.output}", needs=[{"step": "a", "on": on}])]) == []
    )


def test_handlers_see_every_step_of_the_phases_before() -> None:
    steps = [
        step("a", needs=[]),
        step("b", needs=[]),
        step("mend", "${steps.a?.output ?? steps.b?.output}", trigger="on_error"),
        step("tidy", "${[steps.a.status, steps.mend.status]}", trigger="always"),
    ]
    assert [code for code in codes(checked(steps)) if code != "check.island"] == []


def test_children_see_what_comes_before_their_container_and_no_sibling() -> None:
    children = [step("one", "${steps.first.output}"), step("two", "${ctx.vars.one}")]
    steps = [step("first"), {"name": "all", "node": "parallel", "nodes": children}]
    (fault,) = checked(steps)
    assert fault.pointer == "/steps/1/nodes/1/inputs/v" and "runs beside" in fault.message


def test_a_response_with_several_sources_is_unclear() -> None:
    steps = [step("a", needs=[]), step("b", needs=[]), step("c", "${ctx.response.data}", needs=["a", "b"])]
    (fault,) = checked(steps)
    assert (fault.code, fault.hint) == ("expr.response", "write steps.<name>.output")
    assert checked([step("a"), step("b", "${ctx.response.data}")]) == []


def test_only_listed_environment_variables_may_be_read() -> None:
    assert checked([step("a", "${ctx.env.HOME}")], settings={"env": ["HOME"]}) == []
    (fault,) = checked([step("a", "${ctx.env.HOME}")])
    assert fault.hint == "list it under settings.env"


def test_what_fits_is_silent_what_cannot_is_an_error_what_may_not_is_a_warning_when_asked() -> None:
    made = step("m", kind="make")

    def taking(text: Any, **more: Any) -> list[Any]:
        return [made, {"name": "t", "node": "take", "inputs": {"text": text}, **more}]

    assert checked(taking("${string(steps.m.output.a)}")) == []
    assert codes(checked(taking("${steps.m.output}"))) == ["check.fit"]
    assert codes(checked(taking(7))) == ["check.inputs"]
    schema = {"type": "object", "properties": {"x": {"type": ["string", "null"]}}, "required": ["x"]}
    unsure = taking("${ctx.request.body.x}")
    assert checked(unsure, inputs=schema) == []
    (warning,) = checked(unsure, inputs=schema, strict=True)
    assert (warning.code, warning.severity) == ("check.may_not_fit", "warning")


@pytest.mark.parametrize("condition", ["${1}", "${'true'}", "${[]}", "${null}"])
def test_a_condition_that_gives_no_boolean_is_refused(condition: str) -> None:
    (fault,) = checked([step("a", **{"if": condition})])
    assert fault.code == "document.condition"


def test_islands_and_steps_that_can_never_run_are_warned_of() -> None:
    steps = [
        step("a", needs=[]),
        step("b", needs=["a"]),
        step("alone", needs=[]),
        step("off", needs=["a"], active=False),
        step("never", needs=[{"step": "off", "on": "failure"}]),
    ]
    faults = checked(steps)
    assert sorted(codes(faults)) == ["check.island", "check.unreachable"]
    assert {fault.severity for fault in faults} == {"warning"}


def test_a_variable_that_bears_a_steps_name_is_refused() -> None:
    (fault,) = checked([step("a", set_var="b"), step("b")])
    assert (fault.code, fault.pointer) == ("context.reserved", "/steps/0/set_var")


def test_faults_of_a_circle_do_not_hide_the_rest() -> None:
    steps = [step("a", needs=["b"]), step("b", "${steps.nope.output}", needs=["a"]), step("c", needs=["zz"])]
    assert sorted(codes(checked(steps))) == [
        "workflow.cycle",
        "workflow.unknown_step",
        "workflow.unknown_step",
    ]


def test_a_circle_of_ten_thousand_is_one_fault_and_soon_said() -> None:
    size = 10_000
    (fault,) = checked([step(f"s{i}", needs=[f"s{i - 1 if i else size - 1}"]) for i in range(size)])
    assert fault.code == "workflow.cycle" and "… 9989 more …" in fault.message
    assert fault.message.endswith("→ s0") and len(fault.message) < 200
