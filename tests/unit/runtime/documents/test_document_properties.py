from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodeling.errors import ConfigError
from nodeling.values import InvalidValue, exceeds_depth
from nodeling_runtime.documents.jsonc import read_fast
from nodeling_runtime.documents.jsonc_careful import CarefulReader
from nodeling_runtime.documents.positions import Lines
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.documents.writer import to_text

# Text that one YAML schema or the other takes for something else, and marks that have a meaning.
TEMPTING = [
    *["on", "yes", "~", "null", "Null", "true", "010", "0o10", "0x1f", "1e3", "10:30", "2024-01-01", ".inf"],
    *[
        ".5",
        "1.",
        "1_0",
        "<<",
        "=",
        "-",
        "- a",
        "a: b",
        "#",
        "a #b",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%",
        "@",
        "`",
    ],
    *[
        "'",
        '"',
        "{",
        "[",
        "?",
        "? a",
        "---",
        "...",
        "",
        " ",
        " a",
        "a ",
        "\n",
        "a\nb",
        "a\n\nb\n",
        "\t",
        "a\tb",
    ],
    *["\u2028", "a\u2029b", "\x85", "\ufeff", "\x7f", "\x00", "\U0001f600", "${a.b}", "1" * 20, "089", "+1"],
]
texts = st.one_of(st.sampled_from(TEMPTING), st.text(max_size=12))
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=400)
@given(json_values)
def test_any_value_survives_writing_and_reading_in_both_formats(value: Any) -> None:
    for format in ("json", "yaml"):
        document = parse_document(to_text(value, format), name="a", format=format)  # type: ignore[arg-type]
        assert document.data == value
        assert repr(document.data) == repr(value)


@pytest.mark.parametrize("text", TEMPTING)
@pytest.mark.parametrize("libyaml", [True, False])
def test_tempting_text_survives_as_text_for_old_readers_too(
    text: str, libyaml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = to_text({text: [text], "k": text}, "yaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml and yaml.__with_libyaml__)
    assert parse_document(written, name="a.yaml").data == {text: [text], "k": text}
    if text != "\ufeff":
        assert yaml.safe_load(written) == {text: [text], "k": text}


def test_what_is_written_reads_well() -> None:
    data = {"name": "a", "steps": [{"name": "b", "inputs": {"x": "${a.b}", "on": "yes"}}], "none": None}
    assert to_text(data, "yaml") == (
        "name: a\nsteps:\n- name: b\n  inputs:\n    x: ${a.b}\n    'on': 'yes'\nnone: null\n"
    )
    assert to_text({"ä": [1.0]}, "json") == '{\n  "ä": [\n    1.0\n  ]\n}\n'
    with pytest.raises(InvalidValue):
        to_text({"a": {1}}, "yaml")


def test_shared_parts_are_written_out_and_not_as_aliases() -> None:
    part = {"a": [1]}
    assert "&" not in to_text([part, part], "yaml")


# --- The fast way and the careful one -------------------------------------------------------------

pieces = st.lists(
    st.sampled_from(
        [
            "[",
            "]",
            "{",
            "}",
            ",",
            ",",
            ":",
            '"a"',
            '"b":',
            '"a":1',
            "1",
            "null",
            "NaN",
            "// c\n",
            "/* , */",
            "/*",
        ]
        + [
            "//",
            '"//"',
            '"/*"',
            '",]"',
            "[1,]",
            '{"a":1,}',
            " ",
            "\n",
            '"\\"',
            "\\",
            '"\\ud800"',
            "1e999",
            "-",
        ]
    ),
    max_size=9,
).map("".join)


@settings(deadline=None, max_examples=1500)
@given(pieces)
@example('[",,",1,]')
@example('["//",/**/1]')
@example("[1/2]")
def test_the_fast_way_is_never_surer_than_the_careful_one(text: str) -> None:
    sure, data = read_fast(text)
    careful = CarefulReader(text, Lines(text).at).read()
    if sure:
        assert careful.faults == []
        assert repr(careful.data) == repr(data)


@settings(deadline=None, max_examples=300)
@given(json_values, st.randoms())
def test_comments_and_commas_change_nothing(value: Any, random: Any) -> None:
    text = decorate(json.dumps(value, ensure_ascii=random.random() < 0.5), random)
    careful = CarefulReader(text, Lines(text).at).read()
    assert careful.faults == []
    assert repr(careful.data) == repr(value)
    assert parse_document(text, name="a.json").data == value


def decorate(text: str, random: Any) -> str:
    """The JSON text with comments, and commas before closing marks, put in outside strings."""
    found, inside, escaped, last = [], False, False, ""
    for character in text:
        if not inside and character in "]}" and last not in "[{" and random.random() < 0.5:
            found.append(",")
        if not inside and random.random() < 0.2 and not (character.isalnum() or character in "+-."):
            found.append(random.choice(["/*,*/", '// "x\n', " ", "\r\n", "/***/"]))
        found.append(character)
        if inside:
            inside, escaped = (character != '"' or escaped), character == "\\" and not escaped
        else:
            inside = character == '"'
        if not character.isspace():
            last = character
    return "".join(found)


@settings(deadline=None, max_examples=300)
@given(json_values, st.sampled_from(["json", "yaml"]))
def test_every_value_is_found_where_it_stands(value: Any, format: Any) -> None:
    text = to_text(value, format)
    document = parse_document(text, name="a", format=format)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for pointer, item in walk(value, ""):
        place = document.locate(pointer)
        assert place is not None
        line, column = place
        rest = lines[line - 1][column - 1 :]
        if isinstance(item, bool) or item is None:
            assert rest.startswith({True: "true", False: "false", None: "null"}[item])
        elif isinstance(item, int):
            assert rest.startswith(str(item))


def walk(value: Any, pointer: str) -> Any:
    yield pointer, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{pointer}/{index}")


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40), st.sampled_from(["json", "yaml"]))
def test_any_text_is_read_or_refused_and_nothing_else(text: str, format: Any) -> None:
    try:
        parse_document(text, name="a", format=format)
    except ConfigError as error:
        assert error.faults
        assert all(fault.line and fault.column for fault in error.faults)


yaml_pieces = st.lists(
    st.sampled_from(
        [
            "a",
            "b: ",
            "- ",
            "\n",
            "\n  ",
            "\n\t",
            "&x ",
            "*x",
            "<<: ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            ": ",
            "? ",
            "!!int ",
        ]
        + [
            "'",
            '"',
            "1",
            "~",
            ".nan",
            "|\n",
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "#",
            "!t ",
            "\\ud800",
            "1e999",
            "\r",
        ]
    ),
    max_size=12,
).map("".join)


@settings(deadline=None, max_examples=800)
@given(yaml_pieces)
def test_near_yaml_is_read_or_refused_and_what_is_read_is_json(text: str) -> None:
    try:
        data = parse_document(text, name="a.yaml").data
    except ConfigError as error:
        assert all(fault.line and fault.column for fault in error.faults)
    else:
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        assert not exceeds_depth(json.dumps(data).encode())


# --- Size -----------------------------------------------------------------------------------------


def big() -> dict[str, Any]:
    steps = [
        {
            "name": f"step-{i}",
            "node": "data-processor",
            "inputs": {"rows": f"${{ctx.rows[{i}:{i + 1}]}}", "n": i},
        }
        for i in range(10_000)
    ]
    return {"name": "big", "steps": steps}


@pytest.mark.parametrize(
    ("name", "before", "bound"), [("a.json", "", 0.3), ("c.json", "// c\n", 0.5), ("a.yaml", "# c\n", 1.5)]
)
def test_ten_thousand_steps_are_read_quickly(name: str, before: str, bound: float) -> None:
    data = big()
    text = before + to_text(data, "yaml" if name.endswith("yaml") else "json")
    times = []
    for _ in range(3):
        start = time.process_time()
        document = parse_document(text, name=name)
        times.append(time.process_time() - start)
    assert document.data == data
    assert min(times) < bound


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 200_000,
        '["' + '\\"' * 200_000,
        "/*" * 200_000,
        "[" + "/*" * 200_000,
        "[1" + "," * 200_000,
        "[" + " " * 400_000 + ",",
        "[1," + " " * 400_000 + "x",
        "1" * 400_000 + "x",
        "[" + "-" * 400_000,
        "[" + "1," * 200_000,
        "'" * 400_000,
    ],
)
@pytest.mark.parametrize("format", ["json", "yaml"])
def test_no_text_takes_longer_than_its_length_allows(text: str, format: Any) -> None:
    start = time.perf_counter()
    try:
        parse_document(text, name="a", format=format)
    except ConfigError:
        pass
    assert time.perf_counter() - start < 5
