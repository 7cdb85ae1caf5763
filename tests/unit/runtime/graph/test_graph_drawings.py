"""The drawings of a workflow with every construct, and what holds for the drawing of any workflow."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.loaded import load, load_file
from nodeling_runtime.graph.data import to_data
from nodeling_runtime.graph.dot import draw_dot
from nodeling_runtime.graph.mermaid import draw_mermaid
from nodeling_runtime.graph.outline import Outline, outline
from nodeling_runtime.graph.text import draw_text, visible
from nodeling_runtime.graph.walk import Container, Leaf, walk
from nodeling_runtime.registry import PROJECT, build_registry, register

HERE = Path(__file__).parent


def draw_json(drawing: Outline) -> str:
    return json.dumps(to_data(drawing), indent=2, ensure_ascii=False) + "\n"


FORMS: dict[str, Callable[[Outline], str]] = {
    "txt": draw_text,
    "mmd": draw_mermaid,
    "dot": draw_dot,
    "json": draw_json,
}


@node
def noop(ctx: Any) -> None:
    return None


REGISTRY = build_registry([], installed=True)
register(REGISTRY, noop, PROJECT)


def drawn(steps: list[dict[str, Any]], durations: dict[str, float] | None = None) -> Outline:
    loaded = load(from_data({"name": "w", "steps": steps}, "w"), registry=REGISTRY)
    return outline(loaded.ready(), durations)


def step(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "node": "noop", **keys}


@pytest.fixture(scope="module")
def everything() -> Outline:
    return outline(load_file(HERE / "every_construct.yaml").ready())


@pytest.mark.parametrize("form", FORMS)
def test_a_workflow_with_every_construct_is_drawn_as_it_always_was(everything: Outline, form: str) -> None:
    golden = HERE / "golden" / f"every_construct.{form}"
    text = FORMS[form](everything)
    if os.environ.get("NODELING_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_golden_workflow_uses_every_word_of_a_link_and_every_trigger(everything: Outline) -> None:
    assert {word for edge in everything.edges for word in edge.on} >= {
        "success",
        "failure",
        "done",
        "skipped",
    }
    assert {n.trigger for n in everything.nodes} == {"body", "on_error", "always"}
    assert {n.join for n in everything.nodes} == {"all", "any", "at least 2"}
    assert {group.kind for group in everything.groups} == {"sequence", "graph", "independent"}
    assert {"then", "else", "try", "catch", "finally", "do", "nodes", "workflow"} <= {
        group.label for group in everything.groups
    }


def test_handlers_are_levels_of_their_own(everything: Outline) -> None:
    data = to_data(everything)
    assert data["handlers"] == {"on_error": [["recover"], ["tell"]], "always": [["tidy"]]}
    assert not {"recover", "tell", "tidy"} & {name for wave in data["waves"] for name in wave}


def test_steps_of_an_included_workflow_are_known_by_the_path_of_the_step_that_includes_it(
    everything: Outline,
) -> None:
    assert {"child/in-one", "child/in-two"} <= {n.path for n in everything.nodes}


# -- any graph

NAMES = st.text(min_size=1, max_size=12).filter(
    lambda name: name.strip() == name and "/" not in name and "${" not in name and not name.startswith("js/")
)


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A random DAG; some steps are containers with random children."""
    names = draw(st.lists(NAMES, min_size=1, max_size=9, unique=True))
    top = names[: draw(st.integers(1, len(names)))]
    left = names[len(top) :]
    steps = []
    for i, name in enumerate(top):
        needs = draw(st.lists(st.sampled_from(top[:i]), unique=True, max_size=3)) if i else []
        one = step(name, needs=needs)
        if left and draw(st.booleans()):
            number = draw(st.integers(1, len(left)))
            children, left = left[:number], left[number:]
            one |= {"node": "parallel", "nodes": [step(child) for child in children]}
        steps.append(one)
    return steps


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_every_step_is_drawn_once_in_every_form(steps: list[dict[str, Any]]) -> None:
    drawing = drawn(steps)
    names = [one["name"] for one in steps] + [c["name"] for one in steps for c in one.get("nodes", [])]
    assert sorted(n.name for n in drawing.nodes) == sorted(names)
    ids = sorted(n.id for n in drawing.nodes)
    assert ids == list(range(len(names)))
    marks = [mark.node.id for _, mark in walk(drawing) if isinstance(mark, (Leaf, Container))]
    assert sorted(marks) == ids
    mermaid = re.findall(r"^ *(?:subgraph c|n)(\d+)[\[(]", draw_mermaid(drawing), re.MULTILINE)
    dot = re.findall(r"^ *n(\d+) \[", draw_dot(drawing), re.MULTILINE)
    assert sorted(map(int, mermaid)) == sorted(map(int, dot)) == ids
    tree = draw_text(drawing).partition("\n\n")[2].partition("\n\n")[2].splitlines()
    written = [re.sub(r"  \[(noop|parallel)\].*", "", line).lstrip(" ") for line in tree if "  [" in line]
    assert sorted(written) == sorted(visible(name) for name in names)
    assert sorted(each["name"] for each in to_data(drawing)["steps"]) == sorted(names)


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_every_link_is_drawn_and_leads_to_a_later_wave(steps: list[dict[str, Any]]) -> None:
    data = to_data(drawn(steps))
    wave = {name: number for number, names in enumerate(data["waves"], 1) for name in names}
    wanted = {(source, one["name"]) for one in steps for source in one["needs"]}
    assert {(link["from"], link["to"]) for link in data["links"]} == wanted
    assert all(wave[source] < wave[target] for source, target in wanted)
    for one in steps:
        assert wave[one["name"]] == 1 + max((wave[source] for source in one["needs"]), default=0)
    assert data["depth"] == max(wave.values())
    assert data["max_width"] == max(len(names) for names in data["waves"])


def longest(steps: list[dict[str, Any]], weight: Callable[[str], float]) -> float:
    """The heaviest path, by walking every path there is."""
    after = {one["name"]: [t["name"] for t in steps if one["name"] in t["needs"]] for one in steps}

    def best(name: str) -> float:
        return weight(name) + max((best(target) for target in after[name]), default=0.0)

    return max(best(one["name"]) for one in steps)


@given(graphs(), st.lists(st.integers(0, 1_000), min_size=9, max_size=9), st.booleans())
@settings(deadline=None, max_examples=80)
def test_the_critical_path_is_a_path_and_none_is_heavier(
    steps: list[dict[str, Any]], times: list[int], measured: bool
) -> None:
    durations = {one["name"]: float(ms) for one, ms in zip(steps, times, strict=False)} if measured else None
    path = to_data(drawn(steps, durations))["critical_path"]

    def weight(name: str) -> float:
        return 1.0 if durations is None else durations[name]

    needs = {one["name"]: one["needs"] for one in steps}
    assert all(source in needs[target] for source, target in zip(path, path[1:], strict=False))
    assert sum(map(weight, path)) == pytest.approx(longest(steps, weight))


def test_an_ordered_scope_shows_the_links_that_its_order_means() -> None:
    data = to_data(drawn([step("a"), step("b"), step("c")]))
    links = [(link["from"], link["to"], link["implicit"]) for link in data["links"]]
    assert links == [("a", "b", True), ("b", "c", True)]


# -- size

SIZE = 10_000


@pytest.mark.parametrize("shape", ["chain", "ordered", "fan", "children"])
def test_ten_thousand_steps_are_drawn_in_every_form_in_under_two_seconds(shape: str) -> None:
    names = [f"s{i}" for i in range(SIZE)]
    steps = {
        "chain": [step(name, needs=names[i - 1 : i] if i else []) for i, name in enumerate(names)],
        "ordered": [step(name) for name in names],
        "fan": [step("first", needs=[]), *[step(name, needs=["first"]) for name in names]],
        "children": [{"name": "p", "node": "parallel", "nodes": [step(name) for name in names]}],
    }[shape]
    workflow = load(from_data({"name": "w", "steps": steps}, "w"), registry=REGISTRY).ready()
    for draw in FORMS.values():
        began = time.process_time()
        text = draw(outline(workflow))
        assert time.process_time() - began < 2
        assert f"s{SIZE - 1}" in text


def test_containers_nest_as_deep_as_a_document_may() -> None:
    inner: list[dict[str, Any]] = [step("bottom")]
    for level in range(25):
        inner = [{"name": f"level-{level}", "node": "sequence", "steps": inner}]
    drawing = drawn(inner)
    assert draw_mermaid(drawing).count("subgraph") == 50
    assert draw_dot(drawing).count("subgraph") == 50


# -- hostile names

HOSTILE = [
    'a"b',
    "a]b[c",
    "a)b(c",
    "a\nb",
    "a\\",
    "a\\nb",
    "\\N\\G",
    "</script><script>alert(1)</script>",
    "%%{init: {}}%%",
    "`a`",
    "#quot;",
    "end",
    "a --> b",
    "style x fill:#34;",
    "\u202eevil",
    "a;b",
    "a|b",
    "$$x$$ $$$",
    "\x1b[2J",
]
HOSTILE = [name.replace("/", "∕") for name in HOSTILE]


def read_dot(quoted: str) -> list[str]:
    """The lines of a quoted string as Graphviz reads them; any escape but those we write is a fault."""
    lines = [""]
    for token in re.findall(r"\\.|[^\\]", quoted):
        if token == "\\n":
            lines.append("")
        else:
            assert len(token) == 1 or token[1] in '\\"'
            lines[-1] += token[-1]
    return lines


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_label(name: str) -> None:
    drawing = drawn([step(name, needs=[]), step("next", needs=[name])])
    plain = drawn([step("plain", needs=[]), step("next", needs=["plain"])])
    for draw in (draw_mermaid, draw_dot, draw_text):
        assert draw(drawing).count("\n") == draw(plain).count("\n")
    label = re.fullmatch(r'  n0\["(.*)<br/>noop"\]', draw_mermaid(drawing).splitlines()[1])
    assert label is not None
    assert not set(re.sub(r"#\d+;", "", label[1])) & set('"#;<>{}|`\\%$:&*')
    said = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label[1])
    assert "$$" not in said
    assert said.replace("\u200b", "") == visible(name)
    box = next(line for line in draw_dot(drawing).splitlines() if line.startswith("  n0 ["))
    quoted = re.fullmatch(r'  n0 \[label="((?:[^"\\]|\\.)*)"\];', box)
    assert quoted is not None
    lines = read_dot(quoted[1])
    assert lines == [visible(name), "noop"]
    assert all(letter.isprintable() or letter == "\n" for letter in draw_text(drawing))


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_visible_text_is_one_printable_line(text: str) -> None:
    assert visible(text).isprintable()


def test_a_long_condition_is_cut_in_drawings_and_whole_in_data() -> None:
    long = "${" + " || ".join(["true"] * 200) + "}"
    drawing = drawn([step("a", needs=[]), step("b", needs=["a"], **{"if": long})])
    for draw in (draw_text, draw_mermaid, draw_dot):
        assert max(map(len, draw(drawing).splitlines())) < 700
    assert to_data(drawing)["steps"][1]["if"] == long
