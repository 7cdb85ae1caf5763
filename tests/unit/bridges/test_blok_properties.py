"""Whatever a document of Blok holds, it converts, or its faults are listed; JavaScript keeps its text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling.errors import ConfigError
from nodeling.formats import Source, Wishes
from nodeling_bridges.blok.hooks import recognises
from nodeling_bridges.blok.javascript import renamed
from nodeling_bridges.blok.load import convert
from nodeling_runtime.documents.reader import parse_document

KEYS = """id name use node type inputs steps nodes conditions condition when then else switch on cases do default forEach
in as mode loop while maxIterations tryCatch try catch finally wait for until subworkflow branch retry maxAttempts factor
set_var spread ephemeral active stop mapper model expression $ref $tpl step path trigger middleware version execution""".split()
TEXTS = st.sampled_from(
    [
        "a",
        "b",
        "@blokjs/expr",
        "@blok-ts/if-else",
        "@blokjs/api-call",
        "mapper",
        "js/ctx.state.a",
        "${a.b}",
        "${",
        "x ${y()} z",
    ]
    + [
        "@trigger",
        "if",
        "else",
        "parallel",
        "module",
        "js/",
        "`${",
        "",
        "$${x}",
        "ctx.prev.data",
        "js/ctx.vars['a'].data",
    ]
)
LEAVES = st.one_of(TEXTS, st.booleans(), st.none(), st.integers(-5, 5_000_000))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)
STEP = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
DOCUMENT = st.fixed_dictionaries(
    {"name": TEXTS, "steps": st.one_of(st.lists(STEP, max_size=4), VALUES)},
    optional={
        "trigger": VALUES,
        "nodes": VALUES,
        "version": VALUES,
        "middleware": VALUES,
        "schemaVersion": TEXTS,
    },
)


@given(DOCUMENT)
@settings(deadline=None, max_examples=400)
def test_any_document_converts_or_lists_its_faults(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    document = parse_document(text, name="any.json")
    source = Source("any.json", text, document.data, document.locate)
    assert recognises(source) in (True, False)
    try:
        found = convert(source, Wishes())
    except ConfigError as error:
        assert error.faults or error.code == "format.invalid"
        assert all(fault.code.startswith("blok.") for fault in error.faults)
        return
    json.dumps(found.document)
    assert all(note.severity == "warning" for note in found.notes)


PIECES = st.sampled_from(
    [
        "ctx",
        ".",
        "?.",
        "state",
        "vars",
        "['a']",
        '["b"]',
        "[0]",
        "`",
        "${",
        "}",
        "{",
        "'",
        '"',
        "\\",
        "/*",
        "*/",
        "//",
        "\n",
    ]
    + [" ", "a", "1.5", "(", ")", "process", "env", "é", "😀", "=>"]
)


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(deadline=None, max_examples=500)
def test_javascript_comes_back_as_it_was_when_nothing_is_renamed(text: str) -> None:
    assert renamed(text, lambda root, members: root + "".join(member.written for member in members)) == text


@pytest.mark.parametrize("piece", ["`${", "${", "/*", "'", '"\\', "`", "ctx.", "${a}", "{", "a?.["])
def test_a_hostile_text_is_read_once_whatever_it_opens(piece: str) -> None:
    text = piece * 10_000
    steps = [{"id": "a", "use": "n", "inputs": {"x": f"js/{text}", "y": text}}]
    document = convert(Source("any.json", "", {"name": "n", "steps": steps}), Wishes()).document
    assert document["steps"][0]["inputs"]["x"].startswith("js/")
