"""Values with files in them: what goes over a wire and back, and what is read when."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling.protocol_blobs import escape_blobs, put_aside, resolve_blobs
from nodeling.values import decode, encode
from nodeling_runtime.blob_values import BlobRecord, BlobValue, RunBlobs
from nodeling_runtime.blobs import Blob, BlobFault, write
from nodeling_runtime.dispatch.blob_folder import BlobFolder
from nodeling_runtime.dispatch.worker.call_blobs import CallBlobs
from nodeling_runtime.engine.unread import judgeable
from nodeling_runtime.expressions.compiler import compile_expression
from nodeling_runtime.expressions.record import Names

KEYS = st.sampled_from(["$blob", "$$blob", "$$$blob", "blob", "path", "a"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(string.ascii_letters + '$"\\é', max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
)


@pytest.fixture(scope="module")
def folder() -> Iterator[BlobFolder]:
    made = BlobFolder()
    yield made
    made.remove()


@given(value=VALUES, place=VALUES)
@settings(max_examples=200, deadline=None)
def test_what_goes_over_a_wire_and_back_is_what_it_was(folder: BlobFolder, value: Any, place: Any) -> None:
    blobs = RunBlobs()
    files = [
        blobs.add(write([b"abc"], "text/plain", "raw")),
        blobs.add(write([encode(value)])),
    ]
    whole = blobs.value_of([value, files[0].reference(), {"in": files[1].reference(), "place": place}])
    call = CallBlobs(folder, blobs)
    sent = decode(call.wire(whole, takes_blobs=True))
    there = resolve_blobs(sent, folder.path)  # as a node reads it
    assert there == [value, files[0].reference(), {"in": value, "place": place}]
    back = put_aside(decode(encode(there)), folder.path, limit=60)  # as a node that copied it answers
    received = call.received(encode(back), decode(encode(back)))
    assert received.fresh() == [value, files[0].reference(), {"in": value, "place": place}]
    assert isinstance(received, BlobValue) and files[0].name in received.blobs
    call.release()
    folder.tidy()
    assert os.listdir(folder.path) == []


@given(value=VALUES)
@settings(max_examples=200, deadline=None)
def test_without_files_escaping_and_reading_are_each_others_reverse(value: Any) -> None:
    assert resolve_blobs(escape_blobs(value), None) == value


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    decoded = Blob.decoded
    monkeypatch.setattr(Blob, "decoded", lambda self: found.append(self.name) or decoded(self))
    return found


def two_files() -> tuple[RunBlobs, BlobValue]:
    blobs = RunBlobs()
    one, two = ([f"{name} {i}" for i in range(500)] for name in ("one", "two"))
    files = [blobs.add(write([encode(rows)])) for rows in (one, two)]
    value = blobs.value_of({"one": files[0].reference(), "list": [files[1].reference()], "n": 3})
    assert isinstance(value, BlobValue)
    return blobs, value


EXPRESSIONS = {
    "v.n": (3, 0),
    "v.n + 1": (4, 0),
    "v.one[2]": ("one 2", 1),
    "size(v.list[0])": (500, 1),
    "has(v.one) && !has(v.two)": (True, 0),
    "v?.two ?? v.n": (3, 0),
    "v.list.map(x, size(x))": ([500], 1),
    "size(v.one) + size(v.list[0])": (1000, 2),
}


@pytest.mark.parametrize("source", EXPRESSIONS)
def test_an_expression_reads_the_files_it_looks_into(reads: list[str], source: str) -> None:
    wanted, count = EXPRESSIONS[source]
    _blobs, value = two_files()
    assert compile_expression(source).evaluate(Names({"v": value.readable()})) == wanted
    assert len(set(reads)) == count


class Keeping(Names):
    keeps_deferred = True


@pytest.mark.parametrize("source", ["v", "v.one", "v.list", "true ? v.one : v.n", "v.two ?? v.one"])
def test_an_expression_that_only_names_a_value_gives_it_unread(reads: list[str], source: str) -> None:
    _blobs, value = two_files()
    found = compile_expression(source).evaluate(Keeping({"v": value.readable()}))
    assert isinstance(found, BlobRecord)
    assert reads == []
    plain = compile_expression(source).evaluate(Names({"v": value.readable()}))
    assert plain == found.read()


SCHEMAS: list[tuple[Any, int]] = [
    (True, 0),
    ({}, 0),
    ({"type": "object"}, 0),
    ({"type": "object", "properties": {"n": {"type": "integer"}, "one": {"title": "rows"}}}, 0),
    ({"type": "object", "additionalProperties": {"description": "any"}}, 0),
    ({"properties": {"one": {"type": "array"}}}, 1),
    ({"properties": {"list": {"items": {"type": "array"}}}}, 1),
    ({"additionalProperties": {"type": "array"}}, 1),
    ({"minProperties": 1}, 1),
    ({"anyOf": [True]}, 1),
    ({"$ref": "#/$defs/x", "$defs": {"x": True}}, 1),
    ({"const": 1}, 1),
]


@pytest.mark.parametrize(("schema", "looks"), SCHEMAS, ids=[json.dumps(one) for one, _ in SCHEMAS])
def test_a_schema_that_says_nothing_of_a_file_does_not_read_it(
    reads: list[str], schema: Any, looks: int
) -> None:
    _blobs, value = two_files()
    found = judgeable(schema, value.surface())
    assert bool(reads) is bool(looks)
    assert found == (value.fresh() if looks else {"one": None, "list": [None], "n": 3})


def test_a_file_goes_with_the_last_value_that_refers_to_it() -> None:
    blobs = RunBlobs()
    blob = blobs.add(write([b"[1]"]))
    path, value, other = blob.path, blobs.of_blob(blob), blobs.value_of([blob.reference()])
    assert isinstance(other, BlobValue)
    del blob, value
    assert os.path.exists(path)
    part = other.part(other.brief()[0])
    del other
    assert os.path.exists(path)
    del part
    assert not os.path.exists(path)


def test_a_closed_run_keeps_what_its_result_refers_to() -> None:
    blobs = RunBlobs()
    kept, gone = (blobs.of_blob(blobs.add(write([b"[1]"]))) for _ in range(2))
    blobs.close([kept, None])
    assert kept.fresh() == [1]
    with pytest.raises(BlobFault, match="is gone"):
        gone.fresh()


def test_a_link_is_the_same_bytes_and_a_hash_that_is_theirs(tmp_path: Any) -> None:
    blob = write([b"ab", b"c"], "text/plain", "raw")
    blob.link_to(str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"abc"
    assert blob.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileExistsError):
        blob.link_to(str(tmp_path / "copy"))


def test_a_file_without_a_value_in_it_says_so_to_whoever_reads(reads: list[str]) -> None:
    blobs = RunBlobs()
    value = blobs.of_blob(blobs.add(write([b"[1," + b" " * 2000])))
    assert orjson.loads(value.skeleton)["$blob"]["size"] == 2003
    with pytest.raises(BlobFault, match="no JSON value"):
        value.shared()
