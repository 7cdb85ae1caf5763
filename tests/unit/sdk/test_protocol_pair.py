"""Both ends together: whatever happens in whatever order, each call ends exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling.protocol import (
    CODES,
    FEATURES,
    BlobError,
    BlobRef,
    Failed,
    HostConnection,
    Invoke,
    NodeConnection,
    Output,
    Released,
    Violation,
    blobs_in,
    error_body,
    escape_blobs,
    read_error,
    unescape_blobs,
)
from nodeling.protocol_blobs import open_blob, write_blob
from nodeling.testing.conformance.wire_schema import frame_fault
from nodeling.values import decode, encode

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "id", "$blob", "$$blob"]), inner)
    ),
    max_leaves=8,
)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "call",
                "to-node",
                "to-host",
                "result",
                "error",
                "again",
                "cancel",
                "answer",
                "chunk",
                "log",
                "ping",
            ]
        ),
        st.integers(0, 10_000),
    ),
    max_size=60,
)


class Pair:
    """Two connections and the bytes between them that have not arrived."""

    def __init__(self) -> None:
        sdk = {"name": "t", "version": "1", "language": "python"}
        self.host = HostConnection()
        self.node = NodeConnection(name="n", version="1", sdk=sdk, features=FEATURES, max_concurrency=5)
        self.to_node, self.to_host = bytearray(self.host.hello()), bytearray()
        self.running: list[Any] = []
        self.sent: set[int] = set()
        self.heard: list[int] = []
        self.freed: list[int] = []
        self.flow(10**6)

    def flow(self, many: int) -> None:
        self.deliver_node(many)
        self.deliver_host(many)

    def deliver_node(self, many: int) -> None:
        data = bytes(self.to_node[:many])
        del self.to_node[:many]
        for event in self.node.receive(data):
            if isinstance(event, Invoke):
                self.running.append(event.id)
        self.to_host += self.node.take()

    def deliver_host(self, many: int) -> None:
        data = bytes(self.to_host[:many])
        del self.to_host[:many]
        for event in self.host.receive(data):
            assert not isinstance(event, Violation)
            if isinstance(event, (Output, Failed)):
                self.heard.append(event.id)
                if not isinstance(event, Failed) or event.is_released:
                    self.freed.append(event.id)
            elif isinstance(event, Released):
                self.freed.append(event.id)

    def act(self, what: str, n: int) -> None:
        host, node = self.host, self.node
        some = sorted(self.sent)[n % len(self.sent)] if self.sent else 0
        mine = self.running[n % len(self.running)] if self.running else None
        if what == "call" and host.has_room:
            id, frame = host.invoke("n", b"[1]")
            self.sent.add(id)
            self.to_node += frame
        elif what in ("to-node", "to-host"):
            (self.deliver_node if what == "to-node" else self.deliver_host)(n % 200)
        elif what in ("result", "error") and mine is not None:
            self.end(mine, what)
        elif what == "again":
            self.to_host += node.result(some, b"2")
        elif what == "cancel":
            self.to_node += host.cancel(some)
        elif what == "answer" and host.answer(some):
            self.heard.append(some)
        elif what in ("chunk", "log"):
            self.to_host += node.chunk(some, n % 2, b"0") if what == "chunk" else node.log(some, "info", "x")
        elif what == "ping":
            self.to_node += host.ping()

    def end(self, id: Any, what: str) -> None:
        self.running.remove(id)
        self.to_host += self.node.result(id, b"1") if what == "result" else self.node.error(id, 4000, "no")


@given(ACTIONS)
@settings(deadline=None, max_examples=300)
def test_every_caller_hears_once_and_every_slot_is_freed_once(actions: list[tuple[str, int]]) -> None:
    pair = Pair()
    for what, n in actions:
        pair.act(what, n)
        assert pair.host.inflight == len(pair.sent) - len(pair.freed) <= 5
    pair.flow(10**6)
    for id in list(pair.running):
        pair.end(id, "result")
    pair.flow(10**6)
    assert sorted(pair.heard) == sorted(pair.freed) == sorted(pair.sent)
    assert pair.node.inflight == pair.host.inflight == 0


@given(VALUES, VALUES)
@settings(deadline=None, max_examples=200)
def test_a_value_arrives_as_it_went_and_every_frame_fits_its_schema(there: Any, back: Any) -> None:
    pair = Pair()
    id, frame = pair.host.invoke("n", encode(there))
    assert frame_fault(json.loads(frame), "host") is None
    (call,) = pair.node.receive(frame)
    assert isinstance(call, Invoke) and call.input == there
    answer = pair.node.result(id, encode(back), vars={"k": encode(there), "gone": None}, metrics={"m": 1})
    assert frame_fault(json.loads(answer)) is None
    (event,) = pair.host.receive(answer)
    assert isinstance(event, Output) and event.value == back and decode(event.data) == back
    assert event.vars == {"k": encode(there), "gone": None}


@given(VALUES)
@settings(deadline=None, max_examples=200)
def test_a_users_own_key_is_escaped_on_the_way_out_and_back_as_it_was(value: Any) -> None:
    sent = json.loads(encode(escape_blobs(value)))
    assert list(blobs_in(sent)) == [] and unescape_blobs(sent) == value


def test_a_reference_is_not_escaped() -> None:
    reference = BlobRef({"$blob": {"path": "p", "size": 1, "encoding": "raw"}})
    sent = escape_blobs({"file": reference, "mine": {"$blob": 1}})
    assert sent == {"file": dict(reference), "mine": {"$$blob": 1}}
    assert list(blobs_in(sent)) == [reference["$blob"]]


def test_a_blob_is_written_whole_and_read_with_care(tmp_path: Any) -> None:
    reference = write_blob(str(tmp_path), b"[1]")
    with open_blob(str(tmp_path), reference) as file:
        assert file.read() == b"[1]"
    assert [path.name for path in tmp_path.iterdir()] == [reference["$blob"]["path"]]
    for wrong in (
        {"path": "../x"},
        {"path": "/etc/passwd"},
        {"path": ""},
        {"path": "a\0b"},
        {"path": 1},
        {"size": 9},
    ):
        with pytest.raises(BlobError):
            open_blob(str(tmp_path), {"$blob": {**reference["$blob"], **wrong}})


def test_an_error_fits_its_limits_and_never_carries_a_hosts_code() -> None:
    cause: dict[str, Any] = {"message": "0"}
    for depth in range(1, 9):
        cause = {"message": str(depth), "cause": cause}
    body = error_body(9003, "m", traceback="é" * 40_000, cause=cause, details={"a": 1})
    assert body["code"] == 4000 and body["data"]["details"] == {"a": 1, "code": 9003}
    assert len(body["data"]["traceback"].encode()) <= 32 * 1024
    depth, found = 0, body["data"]["cause"]
    while found:
        depth, found = depth + 1, found.get("cause")
    assert depth == 5
    assert frame_fault({"jsonrpc": "2.0", "id": 1, "error": body}) is None


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_a_code_means_for_a_retry_is_known_unless_the_node_says_more(code: int) -> None:
    known = read_error({"code": code, "message": "m"})
    if CODES[code].is_host:
        assert known.code == 9004 and known.can_retry() is False
        return
    assert known.can_retry() is CODES[code].retryable
    said = read_error({"code": code, "message": "m", "data": {"retryable": True}})
    assert said.can_retry() is True
