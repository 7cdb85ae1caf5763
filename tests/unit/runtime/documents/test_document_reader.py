from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeling.errors import ConfigError
from nodeling_runtime.documents import reader
from nodeling_runtime.documents.reader import Document, from_data, parse_document, read_document

VECTORS = json.loads((Path(__file__).parents[2] / "value_vectors.json").read_text(encoding="utf-8"))["decode"]


def faults_of(text: bytes | str, name: str) -> list[tuple[str, int | None, int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, name=name)
    assert caught.value.code == "document.invalid"
    assert all(fault.file == name for fault in caught.value.faults)
    return [(fault.code, fault.line, fault.column, fault.pointer) for fault in caught.value.faults]


def vector_text(vector: dict[str, Any]) -> bytes:
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    text = vector["text"]
    return (text if isinstance(text, str) else "".join(piece * count for piece, count in text)).encode()


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_json_documents_follow_the_value_vectors(vector: dict[str, Any]) -> None:
    raw = vector_text(vector)
    kind = vector.get("document", vector.get("kind"))
    if kind is None:
        assert parse_document(raw, name="v.json").data == vector["value"]
    else:
        assert faults_of(raw, "v.json")[0][0] == f"document.{kind}"


def test_comments_and_last_commas_are_legal_json_here() -> None:
    text = """// first
    {"a": 1, /* two
      lines */ "b": [1, 2, ], // "not": "this"
      "url": "https://example.org/*x*/", "c": "a,]", }
    /* last */"""
    document = parse_document(text, name="a.json")
    assert document.data == {"a": 1, "b": [1, 2], "url": "https://example.org/*x*/", "c": "a,]"}
    assert document.locate("/c", key=True) == (4, 42)


def test_text_that_looks_like_an_odd_comma_is_only_text() -> None:
    assert parse_document('[",,", "[,]", 1,]', name="a.json").data == [",,", "[,]", 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[,]", ("document.syntax", 1, 2, "/0")),
        ("{,}", ("document.syntax", 1, 2, "")),
        ("[1,,2]", ("document.syntax", 1, 4, "/1")),
        ("[1,,]", ("document.syntax", 1, 4, "/1")),
        ('{"a" 1}', ("document.syntax", 1, 6, "")),
        ('{"a":}', ("document.syntax", 1, 6, "/a")),
        ('{"a":1]', ("document.syntax", 1, 7, "")),
        ("[1}", ("document.syntax", 1, 3, "/1")),
        ('{"a":\n "b}', ("document.syntax", 2, 2, "/a")),
        ("{'a': 1}", ("document.syntax", 1, 2, "")),
        ("[1]]", ("document.syntax", 1, 4, "")),
        ("/* open", ("document.syntax", 1, 1, "")),
        ("{} /* open", ("document.syntax", 1, 4, "")),
        ("/*/ {}", ("document.syntax", 1, 1, "")),
        ("# no\n{}", ("document.syntax", 1, 1, "")),
        ('["a\tb"]', ("document.syntax", 1, 2, "/0")),
        ('{"a":[1,{"b":2', ("document.syntax", 1, 15, "/a/1")),
        ("[1:2]", ("document.syntax", 1, 3, "/1")),
    ],
)
def test_a_broken_json_text_is_placed_exactly(text: str, expected: tuple[Any, ...]) -> None:
    assert faults_of(text, "a.json") == [expected]


def test_many_faults_of_one_json_text_are_all_told() -> None:
    text = (
        '{\n  "a": 1,\n  "a": NaN,\n  "big": [99999999999999999999, -Infinity],\n'
        '  "rows": [{"x": 1, "x": 2}],\n  "far": 1e999,\n  "s": "\\udc00", //\n  "t": True\n  "u": bare,\n}'
    )
    assert faults_of(text, "a.json") == [
        ("document.duplicate_key", 3, 3, "/a"),
        ("document.nan", 3, 8, "/a"),
        ("document.integer", 4, 11, "/big/0"),
        ("document.nan", 4, 33, "/big/1"),
        ("document.duplicate_key", 5, 21, "/rows/0/x"),
        ("document.number", 6, 10, "/far"),
        ("document.surrogate", 7, 8, "/s"),
        ("document.syntax", 8, 8, "/t"),
        ("document.syntax", 9, 3, ""),
        ("document.syntax", 9, 8, "/u"),
    ]


def test_a_key_given_twice_names_both_places() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document('{"a": 1,\n "b": {},\n "a": 2}', name="a.json")
    assert str(caught.value.faults[0]) == (
        "a.json:3:2: the key 'a' is given twice, first at line 1, column 2 (at /a); remove or rename one"
    )


def test_a_document_of_nothing_but_faults_is_cut_short() -> None:
    assert len(faults_of("[" + "NaN," * 5000 + "]", "a.json")) == 100
    assert len(faults_of("- .nan\n" * 5000, "a.yaml")) == 100


def test_places_of_values_and_keys_in_json() -> None:
    document = parse_document(
        '{\r\n  "a": {"b/c": [1,\n   {"d~": null}]},\r"e": "\U0001f600", "f": 2}', name="a.json"
    )
    assert document.locate("") == (1, 1)
    assert document.locate("/a") == (2, 8)
    assert document.locate("/a", key=True) == (2, 3)
    assert document.locate("/a/b~1c/0") == (2, 17)
    assert document.locate("/a/b~1c/1/d~0", key=True) == (3, 5)
    assert document.locate("/f", key=True) == (4, 11)
    assert document.locate("/a/b~1c/1", key=True) == (3, 4)


def test_places_of_values_and_keys_in_yaml() -> None:
    document = parse_document(
        "# c\na:\n  b/c: [1, {d: 2}]\n  'e': |\n    text\n  f: &x {g: 1}\n  h: *x\n", name="a.yaml"
    )
    assert document.locate("") == (2, 1)
    assert document.locate("/a", key=True) == (2, 1)
    assert document.locate("/a") == (3, 3)
    assert document.locate("/a/b~1c/1/d") == (3, 16)
    assert document.locate("/a/e", key=True) == (4, 3)
    assert document.locate("/a/e") == (4, 8)
    assert document.locate("/a/h") == (7, 6)
    assert document.locate("/a/h/g") == (7, 6)


@pytest.mark.parametrize("text", ['{"a": {"b": [1]}}', "{a:  {b: [1]}}"])
def test_a_pointer_to_nothing_gives_its_nearest_parent(text: str) -> None:
    document = parse_document(text, name="a.yaml" if "a:" in text else "a.json")
    assert document.locate("/a/x/y") == (1, 7) if '"' in text else (1, 6)
    assert document.locate("/a/b/7") == document.locate("/a/b")
    assert document.locate("/a/b/-1") == document.locate("/a/b")
    assert document.locate("/a/b/0/deeper") == document.locate("/a/b/0")
    assert document.locate("/a/b/" + "9" * 5000) == document.locate("/a/b")


def test_positions_are_not_looked_for_until_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    careful = reader._careful
    monkeypatch.setattr(reader, "_careful", lambda *args: calls.append(args) or careful(*args))
    document = parse_document('{"a": [1, 2]}', name="a.json")
    assert calls == []
    assert document.locate("/a/0") == (1, 8)
    assert document.locate("/a/1") == (1, 11)
    assert len(calls) == 1


def test_a_fault_carries_file_line_and_column() -> None:
    document = parse_document("steps:\n  - nmae: x\n", name="flow.yaml")
    fault = document.fault(
        "step.key", "unknown key nmae", "/steps/0/nmae", hint="did you mean name?", key=True
    )
    assert str(fault) == "flow.yaml:2:5: unknown key nmae (at /steps/0/nmae); did you mean name?"
    assert document.fault("x", "y", "/steps", severity="warning").severity == "warning"


def test_data_made_in_python_is_copied_and_has_no_lines() -> None:
    data = {"a": (1, 2)}
    document = from_data(data, "<python>")
    assert document.data == {"a": [1, 2]}
    assert document.locate("/a") is None
    assert str(document.fault("x", "wrong", "/a")) == "<python>: wrong (at /a)"


def test_data_made_in_python_follows_the_profile() -> None:
    with pytest.raises(ConfigError) as caught:
        from_data({"a": [{1, 2}]}, "<python>")
    assert [(fault.code, fault.pointer) for fault in caught.value.faults] == [("document.type", "/a/0")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", "{}", {}),
        ("a.JSONC", "[1,]", [1]),
        ("a.yml", "a: 1", {"a": 1}),
        ("a.yaml", "{a: 1}", {"a": 1}),
        ("<stdin>", ' \n{"a": 1,}', {"a": 1}),
        ("<stdin>", "// c\n[]", []),
        ("<stdin>", "a: on", {"a": "on"}),
        ("flow.txt", "- 1", [1]),
    ],
)
def test_the_suffix_or_else_the_content_says_what_a_document_is(name: str, text: str, expected: Any) -> None:
    assert parse_document(text, name=name).data == expected


def test_a_file_is_read_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    path.write_bytes(b'{"a": [1],}')
    document = read_document(path)
    assert isinstance(document, Document)
    assert (document.data, document.name, document.locate("/a")) == ({"a": [1]}, str(path), (1, 7))


def test_a_missing_file_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text("a: 1", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "worfklow.yaml")
    assert caught.value.code == "document.not_found"
    assert caught.value.faults[0].code == "document.not_found"
    assert caught.value.faults[0].hint == f"did you mean {tmp_path / 'workflow.yaml'}?"


@pytest.mark.parametrize("name", ["missing/folder.json", "file.json/under.json", "."])
def test_what_is_no_file_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / name)
    assert caught.value.code == "document.not_found"


def test_a_document_too_large_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reader, "MAX_BYTES", 2**20)
    path = tmp_path / "a.json"
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(ConfigError, match="larger than 1 MiB") as caught:
        read_document(path)
    assert caught.value.faults[0].code == "document.too_large"


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_bytes_that_are_not_utf8_are_placed(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(b'{"\xc3\xa4":\n "\xc3\xa4\xe9"}', name=name)
    fault = caught.value.faults[0]
    assert (fault.code, fault.line, fault.column) == ("document.encoding", 2, 4)
    assert "0xe9 at offset 11 " in fault.message


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_a_byte_order_mark_is_refused_by_name(name: str) -> None:
    assert faults_of(b"\xef\xbb\xbf{}", name) == [("document.encoding", 1, 1, "")]


def test_a_lone_surrogate_in_the_text_itself_is_placed() -> None:
    assert faults_of('["\n\ud800"]', "a.json") == [("document.surrogate", 2, 1, "")]
