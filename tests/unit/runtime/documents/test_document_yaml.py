from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from nodeling.errors import ConfigError
from nodeling_runtime.documents.reader import parse_document


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test runs on the C parser and on the one in Python."""
    if request.param == "python":
        monkeypatch.setattr(yaml, "__with_libyaml__", False)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML is built without libyaml here")
    return str(request.param)


def read(text: str) -> Any:
    return parse_document(text, name="a.yaml").data


def faults_of(text: str) -> list[tuple[str, int | None, int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, name="a.yaml")
    return [(fault.code, fault.line, fault.column, fault.pointer) for fault in caught.value.faults]


def message_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, name="a.yaml")
    return str(caught.value.faults[0])


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        *[
            (word, word)
            for word in ("on", "off", "yes", "no", "y", "n", "On", "NO", "tRue", "nULL", "none", "None")
        ],
        *[
            (word, word)
            for word in ("10:30", "1:2:3", "2024-01-01", "2024-01-01T10:00:00Z", "1.2.3", "1_000")
        ],
        *[
            (word, word)
            for word in ("0b1", "0o8", "0xg", "-0x1F", "+0o7", "1e", "e1", ".", "+", "1.0.0", "-.")
        ],
        *[(word, word) for word in ("=", "a<<b", "1,000", "12e03x", "0x", "inf", "nan", "NaN", "Infinity")],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("0xff", 255),
        ("+12", 12),
        ("-012", -12),
        ("9007199254740991", 2**53 - 1),
        ("000000000000000000000000001", 1),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("+1.5E-2", 0.015),
        ("685.230_15", "685.230_15"),
        ("'on'", "on"),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int 0x10", 16),
        ("!!float 1", 1.0),
        ("!!bool true", True),
        ("!!null ~", None),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("${steps.load.output}", "${steps.load.output}"),
        ('"\\u2028\\U0001F600"', "\u2028\U0001f600"),
    ],
)
def test_scalars_mean_what_the_core_schema_says(scalar: str, value: Any) -> None:
    found = read(f"a: {scalar}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_words_of_older_yaml_are_plain_keys_too() -> None:
    assert read("on: 1\nyes: 2\n10:30: 3\n2024-01-01: 4\n'1': 5\n\"<<\": 6\n=: 7\n") == {
        "on": 1,
        "yes": 2,
        "10:30": 3,
        "2024-01-01": 4,
        "1": 5,
        "<<": 6,
        "=": 7,
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "--- ~\n...\n"])
def test_an_empty_document_is_null(text: str) -> None:
    assert read(text) is None


def test_an_alias_gives_a_copy_of_its_own() -> None:
    data = read("a: &x {list: [1]}\nb: *x\nc: *x")
    data["b"]["list"].append(2)
    assert data == {"a": {"list": [1]}, "b": {"list": [1, 2]}, "c": {"list": [1]}}


def test_an_anchor_may_be_given_again_and_the_last_one_counts() -> None:
    assert read("a: &x 1\nb: *x\nc: &x 2\nd: *x\n") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_an_alias_to_text_may_be_a_key() -> None:
    assert read("- &k key\n- *k : 1\n") == ["key", {"key": 1}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", [("document.duplicate_key", 3, 1, "/a")]),
        ("- {x: 1, x: 2}", [("document.duplicate_key", 1, 10, "/0/x")]),
        ("1: a", [("document.key", 1, 1, "")]),
        ("a:\n  true: b", [("document.key", 2, 3, "/a")]),
        ("~: a", [("document.key", 1, 1, "")]),
        ("a:\n  ? \n  : 1", [("document.key", None, None, "/a")]),
        ("1.5: a", [("document.key", 1, 1, "")]),
        ("!!int 1: a", [("document.key", 1, 1, "")]),
        ("? [a]\n: b", [("document.key", 1, 3, "")]),
        ("? {a: b}\n: c", [("document.key", 1, 3, "")]),
        ("- &k [1]\n- *k : 1", [("document.key", 2, 3, "/1")]),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2", [("document.merge_key", 3, 3, "/c")]),
        ("a: [.nan]", [("document.nan", 1, 5, "/a/0")]),
        ("a: -.inf", [("document.nan", 1, 4, "/a")]),
        ("a: 1e999", [("document.number", 1, 4, "/a")]),
        ("a: 9007199254740992", [("document.integer", 1, 4, "/a")]),
        ("a: " + "7" * 5000, [("document.integer", 1, 4, "/a")]),
        ("a: 0x" + "f" * 5000, [("document.integer", 1, 4, "/a")]),
        ("a: !!python/object/apply:os.system [x]", [("document.tag", 1, 4, "/a")]),
        ("a: !!python/name:os.system", [("document.tag", 1, 4, "/a")]),
        ("a: !local x", [("document.tag", 1, 4, "/a")]),
        ("a: !!binary aGk=", [("document.tag", 1, 4, "/a")]),
        ("a: !!set {b, c}", [("document.tag", 1, 4, "/a")]),
        ("a: !!timestamp 2024-01-01", [("document.tag", 1, 4, "/a")]),
        ("a: !!int x", [("document.tag", 1, 4, "/a")]),
        ("a: !!map [1]", [("document.tag", 1, 4, "/a")]),
        ("a: *b", [("document.alias", 1, 4, "/a")]),
        ("a: &x [1, *x]", [("document.alias", 1, 11, "/a/1")]),
        ("a: &x {b: {c: *x}}", [("document.alias", 1, 15, "/a/b/c")]),
        ("a: 1\n---\nb: 2", [("document.multiple", 2, 1, "")]),
        ("a:\n  b: 1\n\tc: 2", [("document.tab", 3, 1, "/a/b")]),
        ("a:\n\t- b", [("document.tab", 2, 1, "/a")]),
        ("a:\n  - b\n  \t- c\n", [("document.tab", 3, 3, "")]),
        ("a: [1, 2", [("document.syntax", None, None, "")]),
        ("a: 'x", [("document.syntax", None, None, "")]),
        ("a: b: c", [("document.syntax", 1, 5, "")]),
        ("a: \x07", [("document.syntax", 1, 4, "")]),
        ('a: "\\ud800"', [("document.surrogate", 1, None, "")]),
        ("[" * 65 + "]" * 65, [("document.depth", 1, 65, "/0" * 64)]),
        ("a: " * 3, [("document.syntax", 1, None, "")]),
        ("[" * 100_000, [("document.depth", 1, 65, "/0" * 64)]),
        ("- " * 100_000, [("document.depth", 1, 129, "/0" * 64)]),
    ],
)
def test_what_is_not_allowed_is_placed_exactly(text: str, expected: list[Any]) -> None:
    found = faults_of(text)
    for (code, line, column, pointer), want in zip(found, expected, strict=True):
        assert code == want[0]
        assert want[1] in (None, line)
        assert want[2] in (None, column)
        # How far the two parsers have looked ahead when they give up is their own affair.
        by_parser = code in ("document.syntax", "document.surrogate", "document.tab")
        assert by_parser or pointer == want[3]


def test_many_faults_of_one_text_are_all_told() -> None:
    text = "a: 1\na: .nan\n2: x\nrows:\n  - {x: 1, x: 2}\n  - !bad y\nbig: 99999999999999999999\n<<: z\n"
    assert [(code, line) for code, line, _, _ in faults_of(text)] == [
        ("document.duplicate_key", 2),
        ("document.nan", 2),
        ("document.key", 3),
        ("document.duplicate_key", 5),
        ("document.tag", 6),
        ("document.integer", 7),
        ("document.merge_key", 8),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\t- b", "a.yaml:2:1: a tab stands in the indentation (at /a); indent with spaces"),
        (
            "a: 1\na: 2",
            "a.yaml:2:1: the key 'a' is given twice, first at line 1, column 1 (at /a); remove or rename one",
        ),
        ("1: a", 'a.yaml:1:1: the key 1 is a number, keys must be text; write "1"'),
        (
            "a: &x {}\n<<: *x",
            "a.yaml:2:1: the merge key << is no part of YAML 1.2; write the keys out, "
            "or quote it to mean the text",
        ),
        ("a: !!binary x", "a.yaml:1:4: the tag !!binary is not allowed (at /a); remove the tag"),
        ("a: !!int x", "a.yaml:1:4: 'x' is no int, as its tag !!int claims (at /a); remove the tag"),
    ],
)
def test_messages_say_what_where_and_what_to_try(text: str, message: str) -> None:
    assert message_of(text) == message


def test_a_line_separator_inside_quotes_is_text() -> None:
    assert read('a: "b\u2028c"')["a"] == "b\u2028c"


def test_a_tab_inside_text_is_text() -> None:
    assert read("a: |\n  b\n  \tc\nd: 'x\ty'\n") == {"a": "b\n\tc\n", "d": "x\ty"}


# --- Bombs ----------------------------------------------------------------------------------------


def laughs(levels: int, each: int) -> str:
    lines = ["a: &a0 [lol, lol, lol]"]
    lines += [f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * each)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_a_billion_laughs_are_refused_quickly() -> None:
    start = time.perf_counter()
    assert faults_of(laughs(10, 10))[0][0] == "document.alias_bomb"
    assert time.perf_counter() - start < 5


def test_few_aliases_that_multiply_are_refused_too() -> None:
    # Two each at 60 levels is 2**60 values from fewer aliases than the bound.
    assert faults_of(laughs(40, 2))[0][0] == "document.alias_bomb"


def test_a_long_text_repeated_is_refused() -> None:
    text = f"a: &x {'y' * 100_000}\nb: [{', '.join(['*x'] * 50)}]"
    assert faults_of(text)[0][0] == "document.alias_bomb"


def test_a_hundred_aliases_are_allowed_and_one_more_is_not() -> None:
    assert len(read("a: &x 1\nb: [" + ", ".join(["*x"] * 100) + "]")["b"]) == 100
    assert faults_of("a: &x 1\nb: [" + ", ".join(["*x"] * 101) + "]")[0][0] == "document.alias_bomb"


def test_aliases_cannot_build_what_is_too_deep() -> None:
    lines = ["a0: &a0 " + "[" * 30 + "]" * 30]
    lines += [f"a{i}: &a{i} " + "[" * 20 + f"*a{i - 1}" + "]" * 20 for i in range(1, 4)]
    assert faults_of("\n".join(lines))[0][0] == "document.depth"
