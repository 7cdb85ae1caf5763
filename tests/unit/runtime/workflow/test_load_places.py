"""Where faults are said to stand: the very character, in every way a text can be spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeling import node
from nodeling.errors import Fault
from nodeling_runtime.documents.reader import Format, parse_document
from nodeling_runtime.engine.loaded import Loaded, load


@node(name="work")
def work(inputs: Any) -> Any:
    raise AssertionError("nothing is run")


def loaded(text: str, kind: Format = "yaml", **options: Any) -> Loaded:
    return load(parse_document(text, name=f"flow.{kind}"), definitions={"work": work}, **options)


def faults(text: str, kind: Format = "yaml") -> list[Fault]:
    return [fault for fault in loaded(text, kind).faults if fault.severity == "error"]


def only(text: str, kind: Format = "yaml") -> Fault:
    (fault,) = faults(text, kind)
    return fault


def character(text: str, fault: Fault) -> str:
    """The text from where the fault stands to the end of its line."""
    assert fault.line is not None and fault.column is not None
    return text.splitlines()[fault.line - 1][fault.column - 1 :]


HEAD = "name: x\nsteps:\n- name: a\n  node: work\n  inputs:\n"


@pytest.mark.parametrize(
    "line",
    [
        "    v: ${nope.x}",
        "    v:   ${nope.x}   # with a comment",
        '    v: "${nope.x}"',
        "    v: '${nope.x}'",
        '    v: "before ${nope.x} after"',
        "    v: 'before ${nope.x} after'",
        "    v: before ${nope.x} after",
        "    v: ${1 + 1} and ${nope.x}",
        '    v: "é→😀 ${nope.x}"',
        "    v: $${literal} ${nope.x}",
        "    v: [1, '${nope.x}']",
        "    v: {w: '${nope.x}'}",
        "    v: ${(1 + nope.x)}",
    ],
)
def test_a_reference_is_pointed_at_where_it_begins(line: str) -> None:
    text = f"{HEAD}{line}\n"
    assert character(text, only(text)).startswith("nope.x")


@pytest.mark.parametrize(
    "lines",
    [
        '    v: "\\u0041${nope.x}"',
        "    v: 'it''s ${nope.x}'",
        "    v: |\n      ${nope.x}",
        "    v: >-\n      ${nope.x}",
    ],
)
def test_where_the_file_spells_a_text_otherwise_its_beginning_is_pointed_at(lines: str) -> None:
    text = f"{HEAD}{lines}\n"
    fault = only(text)
    assert (fault.line, fault.column) == (6, 8)


def test_the_same_in_json() -> None:
    text = '{"name": "x", "steps": [\n  {"name": "a", "node": "work", "inputs": {"v": "see ${nope.x}"}}\n]}'
    assert character(text, only(text, "json")).startswith("nope.x")


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("${1 + }", "}"),
        ("${steps.a-b.output}", "a-b.output}"),
        ("${lenght(1)}", "lenght"),
        ("js/ctx.x => 1", "=> 1"),
        ("js/new Date()", "new Date"),
        ("text ${'open}", "'open}"),
    ],
)
def test_an_expression_that_does_not_parse_is_pointed_at_where_it_stops_making_sense(
    expression: str, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeling_runtime.quickjs.engine.javascript_function", lambda: None)  # no such extra
    text = f'{HEAD}    v: "{expression}"\n'
    fault = only(text)
    assert character(text, fault).startswith(at), (str(fault), character(text, fault))


@pytest.mark.parametrize(
    "holder",
    [
        "- name: c\n  node: parallel\n  nodes: []\n  execution: {max_concurrent: '${nope.x}'}\n",
        "- name: c\n  node: parallel\n  inputs: {nodes: [], execution: {min_success: '${nope.x}'}}\n",
        "- name: c\n  node: parallel\n  nodes: []\nnodes: {c: {execution: {min_success: '${nope.x}'}}}\n",
        "- name: c\n  node: for-each\n  in: ${nope.x}\n  do: {name: d, node: work}\n",
        "- name: c\n  node: if-else\n  if: ${nope.x == 1}\n  then: {name: d, node: work}\n",
        "- name: c\n  node: for-each\n  in: []\n  timeout: ${nope.x}\n  do: {name: d, node: work}\n",
        "- name: c\n  node: switch\n  on: ${nope.x}\n  cases: []\n",
        "- name: c\n  node: work\n  if: ${nope.x == 1}\n",
        "- name: c\n  node: work\n  timeout: ${nope.x}\n",
        "- name: c\n  node: work\nnodes: {c: {inputs: {v: '${nope.x}'}}}\n",
        "- name: c\n  node: work\noutput: ${nope.x}\n",
    ],
)
def test_a_containers_expressions_stand_where_they_were_written(holder: str) -> None:
    text = f"name: x\nsteps:\n{holder}"
    assert character(text, only(text)).startswith("nope.x")


def test_a_document_made_in_python_has_pointers_alone() -> None:
    from nodeling_runtime.documents.reader import from_data

    document = from_data({"steps": [{"name": "a", "node": "work", "inputs": {"v": "${nope}"}}]}, "made")
    (fault,) = load(document, definitions={"work": work}).faults
    assert (fault.line, fault.column, fault.pointer) == (None, None, "/steps/0/inputs/v")
    assert str(fault).startswith("made: nothing is called 'nope' here (at /steps/0/inputs/v)")


# -- no fault is the shadow of another one


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name: x\nstep: []\n", "document.unknown_key"),
        ("- {nmae: a, node: work}\n", "document.unknown_key"),
        ("- {name: a, noed: work}\n", "document.unknown_key"),
        (
            "- {name: a, node: work, needs: [{stpe: b}]}\n- {name: b, node: work}\n",
            "document.unknown_key",
        ),
        ("- {name: a, node: for-each, inn: [], do: {name: b, node: work}}\n", "document.unknown_key"),
        ("- {name: a, node: for-each, in: '${1 +}', do: {name: b, node: work}}\n", "expr.syntax"),
        ("- {name: a, node: if-else, if: '${1 +}', then: {name: b, node: work}}\n", "expr.syntax"),
        ("- {name: a, node: parallel, nodes: '${[]}'}\n", "document.type"),
        (
            "- {name: a, node: paralel, nodes: [{name: b, node: work}]}\nnodes: {b: {}}\n",
            "registry.unknown",
        ),
        (
            "- {name: a, node: wrok, inputs: {v: 1}}\n- {name: b, node: work, needs: [a]}\n",
            "registry.unknown",
        ),
        (
            "inputs: 7\nsteps:\n- {name: a, node: work, inputs: {v: '${ctx.request.body.x}'}}\n",
            "document.type",
        ),
        (
            "- {name: a, node: work, needs: [b]}\n- {name: b, node: work, needs: [a]}\n",
            "workflow.cycle",
        ),
    ],
)
def test_one_mistake_is_one_fault(text: str, code: str) -> None:
    assert only(text if not text.startswith("-") else f"steps:\n{text}").code == code


def test_an_unknown_node_hides_nothing_else() -> None:
    text = "steps:\n- {name: a, node: nope, timeout: -1, type: modul, inputs: {v: '${1 +}'}, tiemout: 1}\n"
    codes = {fault.code for fault in faults(text)}
    assert codes == {
        "registry.unknown",
        "document.duration",
        "document.type_word",
        "expr.syntax",
        "document.unknown_key",
    }


def test_a_broken_key_hides_no_other_key_of_its_container() -> None:
    text = (
        "steps:\n- name: a\n  node: for-each\n  in: ${1 +}\n  max_concurrent: 0\n  batch: none\n"
        "  do: {name: b, node: work, timeout: soon}\n"
    )
    assert [fault.pointer for fault in faults(text)] == [
        "/steps/0/in",
        "/steps/0/max_concurrent",
        "/steps/0/batch",
        "/steps/0/do/timeout",
    ]


def test_faults_are_listed_from_top_to_bottom() -> None:
    text = (Path(__file__).parents[3] / "golden" / "every-graph-fault" / "flow.yaml").read_text("utf-8")
    lines = [fault.line or 0 for fault in loaded(text).faults]
    assert len(lines) > 20 and lines == sorted(lines)


# -- what is read as what


def test_everything_a_step_can_say_is_read() -> None:
    text = """
name: whole
version: 2.0.0
author: me
tags: [a]
settings: {max_concurrent: 3, timeout: 10m, cleanup_timeout: 5s, on_failure: stop, env: [HOME]}
estimated_duration: 2h
steps:
- {name: a, node: work, needs: [], retry: 3, timeout: 500, deadline: 1m, on_error: continue, merge: deep}
- name: b
  node: work
  needs: [{step: a, on: [failure, skipped], if: "${ctx.run.status != 'x'}"}]
  join: any
  retry: {attempts: 2, delay: 1s, max_delay: 2s, on: [9001, crash]}
  set_var: bee
  stop: true
- {name: c, node: work, trigger: on_error, recover: true, active: false}
"""
    result = loaded(text)
    assert result.faults == []
    workflow = result.workflow
    assert workflow is not None
    first, second, third = workflow.scope.steps
    assert (workflow.name, workflow.version, workflow.labels) == (
        "whole",
        "2.0.0",
        {"author": "me", "tags": ["a"]},
    )
    settings = workflow.settings
    assert (settings.max_concurrent, settings.timeout_ms, settings.cleanup_timeout_ms) == (3, 600_000, 5_000)
    assert (settings.estimated_duration_ms, settings.env) == (7_200_000, ("HOME",))
    assert workflow.scope.stop_on_failure and not workflow.scope.ordered
    assert (first.retry.attempts, first.timeout_ms, first.deadline_ms) == (3, 500, 60_000)
    assert (first.continues, first.merge, first.links) == (True, "deep", ())
    assert second.links is not None and second.links[0].on == {"failure", "skipped"}
    assert second.links[0].condition is not None and second.needed == 1
    assert (second.retry.delay_ms, second.retry.max_delay_ms, second.retry.on) == (
        1_000,
        2_000,
        (9001, "crash"),
    )
    assert (second.set_var, second.stops) == ("bee", True)
    assert (third.trigger, third.recovers, third.active) == ("on_error", True, False)


@pytest.mark.parametrize(
    ("needs", "ordered"),
    [("", True), ("  needs: []\n", False), ("  needs: [a]\n", False), ("  needs: a\n", False)],
)
def test_any_needs_at_all_makes_a_graph(needs: str, ordered: bool) -> None:
    result = loaded(f"steps:\n- {{name: a, node: work}}\n- name: b\n  node: work\n{needs}")
    assert result.workflow is not None and result.workflow.scope.ordered is ordered


@pytest.mark.parametrize("key", ["x-mine", "x-"])
def test_keys_for_others_are_passed_over(key: str) -> None:
    assert faults(f"steps:\n- {{name: a, node: work, {key}: 1}}\n{key}: 2\n") == []


@pytest.mark.parametrize("word", ["yes", "on", "Off", "no"])
def test_words_that_were_booleans_once_are_told_what_to_write(word: str) -> None:
    hint = only(f"steps:\n- {{name: a, node: work, if: {word}}}\n").hint
    assert hint == f"write {'true' if word in ('yes', 'on') else 'false'}"


def test_suspending_is_for_the_whole_run_and_does_not_go_with_recovering() -> None:
    found = loaded("settings: {on_failure: suspend}\nsteps:\n- {name: a, node: work}\n")
    assert found.faults == []
    assert found.workflow is not None and found.workflow.settings.suspends
    inner = "steps:\n- {name: a, node: sequence, on_failure: suspend, steps: [{name: b, node: work}]}\n"
    fault = only(inner)
    assert (fault.pointer, character(inner, fault)[:7]) == ("/steps/0/on_failure", "suspend")
    both = (
        "settings: {on_failure: suspend}\nsteps:\n- {name: a, node: work}\n"
        "- {name: b, node: work, trigger: on_error, recover: true}\n"
    )
    fault = only(both)
    assert (fault.pointer, character(both, fault)[:7]) == ("/steps/1/recover", "recover")
