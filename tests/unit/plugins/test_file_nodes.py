"""The nodes that read, write and find files: what they give, and what they leave behind."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import NodeError, Workflow
from nodeling.testing import FakeContext, NodeOutcome
from nodeling_nodes import _files
from nodeling_nodes.csv_read.node import run as read_csv

Shipped = Callable[..., NodeOutcome]
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=5) | st.just('a"b,c')
TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6)
)


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith("."))


@settings(max_examples=60, deadline=None)
@given(table=TABLE, delimiter=st.sampled_from([",", ";", "\t", "|"]))
def test_what_csv_writers_write_is_read(table: list[list[str]], delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    width = len(table[0]) if table else 1
    names = [f"c{i}" for i in range(width)]
    writer.writerows([names, *table])
    found = read_csv(FakeContext(), {"text": text.getvalue(), "delimiter": delimiter, "empty": "text"})
    assert found["rows"] == [dict(zip(names, row, strict=True)) for row in table]
    assert found["columns"] == names and found["bad"] == []


def test_a_written_file_reads_back_the_same(shipped: Shipped, here: Path) -> None:
    rows = [
        {"id": 1, "name": 'a "b", c\nd', "ok": True, "n": 2.5},
        {"id": 2, "name": "é", "ok": False, "n": None},
    ]
    written = shipped("csv-write", {"path": "out/rows.csv", "rows": rows})
    assert written.output["bytes"] == (here / "out/rows.csv").stat().st_size
    types = {"id": "integer", "ok": "boolean", "n": "number"}
    assert shipped("csv-read", {"path": "out/rows.csv", "types": types}).output["rows"] == rows
    assert shipped("csv-read", {"path": "out/rows.csv", "types": "infer"}).output["rows"] == rows
    assert left_behind(here) == []


def test_every_bad_row_has_its_line_even_behind_lines_in_quotes(shipped: Shipped, here: Path) -> None:
    text = 'a,b\n"x\ny",1\n\n2\nz,w\n"p\nq",no\n'
    found = shipped("csv-read", {"text": text, "types": {"b": "integer"}, "bad_rows": "skip"}).output
    assert [(one["line"], one["message"]) for one in found["bad"]] == [
        (5, "1 field where 2 are wanted"),
        (6, "b: 'w' is no integer"),
        (7, "b: 'no' is no integer"),
    ]
    kept = shipped("csv-read", {"text": text, "types": {"b": "integer"}, "bad_rows": "keep-text"}).output
    assert kept["rows"][1] == {"a": "2", "b": None} and kept["bad_count"] == 3


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        (b"a,b\n1\n", {}, "x.csv:2: 1 field where 2 are wanted"),
        (b"a\n\xff\n", {}, "it is no utf-8"),
        (b'a\n"x\n', {}, "unexpected end of data"),
        (b"a,a\n", {}, "two columns are called 'a'"),
        (b"a,\n", {}, "a column has no name"),
        (b"name\n", {"columns": ["nmae"]}, "there is no column 'nmae'"),
        (b"n\n99999999999999999999\n", {"types": {"n": "integer"}}, "is no integer"),
        (b"n\nnan\n", {"types": {"n": "number"}}, "is no number"),
        (b"d\n2031-13-01\n", {"types": {"d": "date"}}, "is no date"),
        (b"a\n1\n", {"encoding": "utf-99"}, "there is no encoding 'utf-99'"),
    ],
)
def test_what_is_wrong_with_csv_is_said_with_its_place(
    shipped: Shipped, here: Path, data: bytes, more: dict[str, Any], said: str
) -> None:
    (here / "x.csv").write_bytes(data)
    outcome = shipped("csv-read", {"path": "x.csv", **more})
    assert outcome.code == 4001
    assert said in (outcome.error or {})["message"]


@pytest.mark.parametrize("delimiter", ["\n", '"'])
def test_a_delimiter_that_cannot_be_one_is_refused(shipped: Shipped, here: Path, delimiter: str) -> None:
    read = shipped("csv-read", {"text": "a\n", "delimiter": delimiter})
    written = shipped("csv-write", {"path": "x.csv", "rows": [{"a": 1}], "delimiter": delimiter})
    assert {read.code, written.code} <= {4001, None}
    assert left_behind(here) == []


def test_csv_is_bounded_in_rows_and_bytes(shipped: Shipped, here: Path) -> None:
    (here / "x.csv").write_text("a\n1\n2\n3\n", encoding="utf-8")
    for more, named in (({"max_rows": 2}, "max_rows"), ({"max_bytes": 3}, "max_bytes")):
        outcome = shipped("csv-read", {"path": "x.csv", **more})
        assert outcome.code == 4005 and named in (outcome.error or {})["message"]


def test_headers_comments_and_marks_are_read(shipped: Shipped, here: Path) -> None:
    (here / "x.csv").write_bytes(b"\xef\xbb\xbfpreface\n# note\na;b\n1;2\n")
    inputs = {"path": "x.csv", "skip_lines": 1, "comment": "#", "delimiter": ";"}
    assert shipped("csv-read", inputs).output["rows"] == [{"a": "1", "b": "2"}]
    assert shipped("csv-read", {"text": "1,2\n", "header": False}).output["columns"] == [
        "column_1",
        "column_2",
    ]
    assert shipped("csv-read", {"text": "1,2\n", "header": ["x", "y"]}).output["rows"] == [
        {"x": "1", "y": "2"}
    ]
    assert shipped("csv-read", {"text": "id\n007\n", "types": "infer"}).output["rows"] == [{"id": "007"}]


def test_formulas_can_be_guarded(shipped: Shipped, here: Path) -> None:
    shipped("csv-write", {"path": "x.csv", "rows": [{"a": "=1+1", "b": -1}], "guard_formulas": True})
    assert (here / "x.csv").read_text(encoding="utf-8") == "a,b\n'=1+1,-1\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(shipped: Shipped, here: Path) -> None:
    (here / "x.csv").write_text("old", encoding="utf-8")
    outcome = shipped("csv-write", {"path": "x.csv", "rows": [{"a": "é"}], "encoding": "ascii"})
    assert outcome.code == 4001 and "ascii cannot write" in (outcome.error or {})["message"]
    assert (here / "x.csv").read_text(encoding="utf-8") == "old"
    kept = shipped("json-write", {"path": "x.csv", "data": 1, "keep": True})
    assert kept.code == 4001 and "exists already" in (kept.error or {})["message"]
    assert left_behind(here) == []


def test_a_file_keeps_its_mode_and_a_link_its_target(here: Path) -> None:
    (here / "real").write_text("old", encoding="utf-8")
    os.chmod(here / "real", 0o640)
    (here / "link").symlink_to("real")
    with _files.replacing("link") as file:
        file.write(b"new")
    assert (here / "link").is_symlink() and (here / "real").read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE((here / "real").stat().st_mode) == 0o640


def test_a_pipe_and_a_folder_are_no_files_to_read(here: Path) -> None:
    os.mkfifo(here / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(NodeError, match="no plain file|cannot be read"):
            _files.opened(name)
    with pytest.raises(NodeError, match="null byte"):
        _files.opened("a\0b")


def test_json_is_written_and_read(shipped: Shipped, here: Path) -> None:
    data = {"é": [1, 2.5, None, True], "deep": {"a": "b"}}
    shipped("json-write", {"path": "a/b/x.json", "data": data})
    assert shipped("json-read", {"path": "a/b/x.json"}).output["data"] == data
    shipped("json-write", {"path": "x.jsonl", "data": [1, {"a": 2}]})
    assert (here / "x.jsonl").read_text(encoding="utf-8") == '1\n{"a":2}\n'
    assert shipped("json-read", {"path": "x.jsonl"}).output["data"] == [1, {"a": 2}]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": 1,\n "b": }', "x.json:2:7: "),
        (b"[NaN]", "NaN is no JSON"),
        (b"\xff", "x.json:1: it is no UTF-8"),
        (b"[" * 100_000, "x.json:1: "),
    ],
)
def test_what_is_no_json_is_said_with_its_place(shipped: Shipped, here: Path, data: bytes, said: str) -> None:
    (here / "x.json").write_bytes(data)
    outcome = shipped("json-read", {"path": "x.json"})
    assert outcome.code == 4001 and said in (outcome.error or {})["message"]


def test_bad_lines_can_be_left_out(shipped: Shipped, here: Path) -> None:
    (here / "x.jsonl").write_text('1\n\n{"a"\n3\n', encoding="utf-8")
    found = shipped("json-read", {"path": "x.jsonl", "bad_lines": "skip"}).output
    assert found["data"] == [1, 3] and [one["line"] for one in found["bad"]] == [3]
    assert shipped("json-read", {"path": "x.jsonl"}).code == 4001


def test_a_missing_file_is_named_with_where_it_was_looked_for(shipped: Shipped, here: Path) -> None:
    error = shipped("json-read", {"path": "gone.json"}).error or {}
    assert error["code"] == 4004 and error["message"] == "there is no file gone.json"
    assert str(here) in error["details"]["hint"]


def test_files_are_found_sorted_and_described(shipped: Shipped, here: Path) -> None:
    for name, size in (
        ("in/b.csv", 3),
        ("in/a.csv", 5),
        ("in/sub/c.csv", 1),
        ("in/.hidden.csv", 1),
        ("in/x.tmp", 1),
    ):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(b"x" * size)
    found = shipped("files", {"pattern": ["*.csv", "**/*"], "root": "in", "exclude": ["*.tmp"]}).output
    assert [one["path"] for one in found["files"]] == ["in/a.csv", "in/b.csv", "in/sub/c.csv"]
    assert found["bytes"] == 9 and found["files"][0]["stem"] == "a"
    by_size = shipped("files", {"pattern": "**/*.csv", "root": "in", "sort": "size"}).output
    assert [one["size"] for one in by_size["files"]] == [1, 3, 5]
    assert shipped("files", {"pattern": "*", "root": "in", "kind": "folder"}).output["count"] == 1
    assert shipped("files", {"pattern": "*", "root": "in", "hidden": True}).output["count"] == 4


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"pattern": "../*"}, 4001, "leads out of the folder"),
        ({"pattern": "/etc/*"}, 4001, "leads out of the folder"),
        ({"pattern": "*", "max": 1}, 4005, "more than 1 fit, its `max`"),
        ({"pattern": "*.csv", "min": 1}, 4004, "`min` is 1"),
        ({"pattern": "*", "root": "nowhere"}, 4004, "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_found_is_said(
    shipped: Shipped, here: Path, inputs: dict[str, Any], code: int, said: str
) -> None:
    for name in ("a", "b"):
        (here / name).write_text("", encoding="utf-8")
    outcome = shipped("files", inputs)
    assert outcome.code == code and said in (outcome.error or {})["message"]


def test_a_workflow_reads_transforms_and_writes(here: Path) -> None:
    (here / "sales.csv").write_text("cat,amount\na,1.5\nb,2\na,3\n", encoding="utf-8")
    steps = [
        {"name": "read", "node": "csv-read", "inputs": {"path": "sales.csv", "types": {"amount": "number"}}},
        {
            "name": "sum",
            "node": "transform",
            "in": "${steps.read.output.rows}",
            "operations": [
                {"group": {"by": {"cat": "${item.cat}"}, "aggregate": {"total": {"sum": "${item.amount}"}}}}
            ],
        },
        {"name": "save", "node": "json-write", "inputs": {"path": "out.json", "data": "${steps.sum.output}"}},
    ]
    result = Workflow.from_document({"name": "test", "steps": steps}).run(timeout=30)
    assert result.status == "succeeded", result.error
    assert json.loads((here / "out.json").read_text(encoding="utf-8")) == [
        {"cat": "a", "total": 4.5},
        {"cat": "b", "total": 2.0},
    ]
