"""The host's end: one answer for each caller, one slot for each call, everything else counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodeling.protocol import (
    FEATURES,
    Chunk,
    Closed,
    Drained,
    Failed,
    FrameTooLarge,
    HostConnection,
    LogLine,
    Output,
    Pong,
    Progress,
    Ready,
    Refused,
    Released,
    StrayLine,
    Violation,
    context_bytes,
)
from nodeling.testing.conformance.wire_schema import frame_fault
from nodeling.values import encode


def line(**message: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"


def ready(
    *, channel: Any = "fd", features: Any = FEATURES, many: int = 4, cap: int = 1 << 20
) -> HostConnection:
    host = HostConnection(channel=channel, max_frame_bytes=cap)
    hello = json.loads(host.hello())
    answer = {"protocol": 1, "node": {"name": "n"}, "features": list(features), "max_concurrency": many}
    (event,) = host.receive(line(id=hello["id"], result=answer))
    assert isinstance(event, Ready)
    return host


def test_the_handshake_takes_the_intersection_of_the_features() -> None:
    host = ready(features=["cancel", "teleport"], many=3)
    assert host.features == {"cancel"} and host.max_concurrency == 3 and host.level == 2


def test_an_unknown_method_in_answer_to_hello_is_a_level_one_node() -> None:
    host = HostConnection()
    host.hello()
    (event,) = host.receive(line(id=1, error={"code": -32601, "message": "what?"}))
    assert isinstance(event, Ready) and event.level == 1 and event.max_concurrency == 1
    assert host.has_room and host.ping() == b"" and host.shutdown(10) == b""


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"error": {"code": 4100, "message": "no", "data": {"supported": [7]}}}, 4100, "no"),
        ({"error": {"code": -32603, "message": "boom"}}, 9002, "boom"),
        ({"result": {"protocol": 2}}, 9002, "protocol 2"),
        ({"result": {"protocol": 1, "max_concurrency": 0}}, 9002, "max_concurrency"),
        ({"result": {"protocol": 1, "features": "all"}}, 9002, "features"),
        ({"result": [1]}, 9002, "no object"),
    ],
)
def test_a_handshake_that_fails_says_why(answer: dict[str, Any], code: int, said: str) -> None:
    host = HostConnection()
    host.hello()
    (event,) = host.receive(line(id=1, **answer))
    assert isinstance(event, Refused) and event.error.code == code and said in event.error.message
    assert not host.has_room


def test_a_call_is_spliced_and_its_frame_fits_the_schema() -> None:
    host = ready()
    context = context_bytes(vars={"a b": b"[1]"}, run_id="r", step="s", attempt=1, work_dir=None)
    id, frame = host.invoke(
        "n", b'{"x":1}', context=context, secrets={"T": "t"}, meta={"progress": True}, deadline_ms=5
    )
    message = json.loads(frame)
    assert frame_fault(message, "host") is None
    assert message["params"]["context"] == {"run_id": "r", "step": "s", "attempt": 1, "vars": {"a b": [1]}}
    for other in (host.cancel(id), host.ping(), host.shutdown(5)):
        assert frame_fault(json.loads(other), "host") is None
    with pytest.raises(ValueError, match="line feed"):
        ready().invoke("n", b'1}}\n{"jsonrpc":"2.0"')


def test_a_frame_over_the_cap_is_not_sent_and_takes_no_slot() -> None:
    host = ready(cap=1000)
    with pytest.raises(FrameTooLarge):
        host.invoke("n", b'"' + b"x" * 1000 + b'"')
    assert host.inflight == 0


def test_no_more_calls_are_sent_than_the_node_takes() -> None:
    host = ready(many=1)
    host.invoke("n", b"1")
    with pytest.raises(RuntimeError, match="1 calls open"):
        host.invoke("n", b"1")


def test_a_result_frees_the_slot_and_a_second_one_is_counted() -> None:
    host = ready()
    id, _ = host.invoke("n", b"1")
    good = line(
        id=id,
        result={"output": {"b": 1.0}, "vars": {"k": None}, "deleted": ["d"], "metrics": {"m": 2, "x": "y"}},
    )
    (event,) = host.receive(good)
    assert event == Output(id, b'{"b":1.0}', {"b": 1.0}, {"k": b"null", "d": None}, 0, {"m": 2}, False)
    assert host.receive(good) == [] and host.counts["duplicate"] == 1 and host.inflight == 0


@pytest.mark.parametrize("output", [1, "}}", {"b": [1.5, None]}, [{"result": {"output": 1}}], "é", 10**15])
@pytest.mark.parametrize("cut", [None, 1, 7, 30])
def test_a_result_means_the_same_in_whatever_form_it_is_written(output: Any, cut: int | None) -> None:
    found = []
    for form in (
        '{"jsonrpc":"2.0","id":%d,"result":{"output":%s}}',
        '{"jsonrpc":"2.0","id":%d,"result":{"output": %s }}\r',
        '{ "jsonrpc": "2.0", "id": %d, "result": {"output": %s} }',
        '{"id":%d,"result":{"output":%s},"jsonrpc":"2.0"}',
    ):
        host = ready()
        id, _ = host.invoke("n", b"1")
        data = (form % (id, json.dumps(output))).encode() + b"\n"
        step = cut or len(data)
        found += [event for at in range(0, len(data), step) for event in host.receive(data[at : at + step])]
        assert host.inflight == 0 and not host.is_open(id)
    assert found == [Output(id, encode(output), output, {}, 0, {}, False)] * 4


@pytest.mark.parametrize(
    "end",
    [
        '1},"result":{"output":2',
        '1},"id":7',
        '1,"output":2',
        '1,"chunks":1',
        "[1}",
        "",
        "1 2",
        "1}}{",
        "9007199254740993",
        "18446744073709551617",
    ],
)
def test_what_only_begins_like_a_result_is_looked_at_as_a_whole(end: str) -> None:
    data = '{"jsonrpc":"2.0","id":%d,"result":{"output":' + end + "}}\n"
    host = ready()
    id, _ = host.invoke("n", b"1")
    at_once = host.receive((data % id).encode())
    other = ready()
    id, _ = other.invoke("n", b"1")
    as_a_whole = other.receive((" " + data % id).encode())
    assert [type(event) for event in at_once] == [type(event) for event in as_a_whole]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, 9004),
        ({"result": {"output": 1}, "error": {"code": 1, "message": ""}}, 9004),
        ({"result": 3}, 9004),
        ({"result": {}}, 9004),
        ({"result": {"output": 1, "chunks": 2}}, 9004),
        ({"result": {"output": 1, "vars": [1]}}, 9004),
        ({"result": {"output": 1, "deleted": [1]}}, 9004),
        ({"error": "no"}, 9004),
        ({"error": {"code": "4000", "message": "m"}}, 9004),
        ({"error": {"code": True, "message": "m"}}, 9004),
        ({"error": {"code": 9003, "message": "m"}}, 9004),
        ({"error": {"code": 4711, "message": "m"}}, 4711),
        ({"result": {"output": 2**53}}, 4006),
    ],
)
def test_an_answer_of_the_wrong_form_fails_its_call_alone(answer: dict[str, Any], code: int) -> None:
    host = ready()
    first, _ = host.invoke("n", b"1")
    second, _ = host.invoke("n", b"1")
    (event,) = host.receive(line(id=first, **answer))
    assert isinstance(event, Failed) and (event.id, event.error.code) == (first, code)
    assert host.is_open(second) and host.inflight == 1


def test_an_error_keeps_what_the_node_said_of_it() -> None:
    host = ready()
    id, _ = host.invoke("n", b"1")
    data = {"type": "T", "code": "acme.quota", "retryable": True, "retry_after_ms": 5, "details": {"a": 1}}
    cause = {"type": "C", "message": "c"}
    more = {"traceback": "tb", "cause": cause}
    (event,) = host.receive(line(id=id, error={"code": 4000, "message": "m", "data": {**data, **more}}))
    assert isinstance(event, Failed)
    assert (event.error.code, event.error.retryable, event.error.can_retry()) == ("acme.quota", True, True)
    assert event.error.all_details() == {"a": 1, "traceback": "tb", "cause": cause}


def test_a_caller_that_was_answered_hears_nothing_more_and_the_slot_waits_for_the_end() -> None:
    host = ready(many=1)
    id, _ = host.invoke("n", b"1", meta={"progress": True})
    assert json.loads(host.cancel(id, "deadline"))["params"] == {"id": id, "reason": "deadline"}
    assert host.answer(id) and not host.answer(id) and not host.has_room
    assert host.receive(line(method="node/progress", params={"id": id, "progress": 1})) == []
    assert host.receive(line(id=id, result={"output": 1})) == [Released(id, "result")]
    assert host.has_room and host.counts["late"] == 2 and host.cancel(id) == b""


def test_events_of_calls_are_told_and_those_of_nobody_are_counted() -> None:
    host = ready()
    id, _ = host.invoke("n", b"1")
    tell = [
        line(method="node/progress", params={"id": id, "progress": 1, "total": 2, "message": "m"}),
        line(method="node/log", params={"id": id, "level": "info", "message": "l", "data": 1}),
        line(method="node/log", params={"level": "info", "message": "own"}),
        line(method="node/chunk", params={"id": id, "seq": 0, "data": {"a": 1}, "port": "p"}),
        line(method="node/progress", params={"id": 99, "progress": 1}),
        line(method="node/dance", params={}),
        line(id=99, result={"output": 1}),
        line(id="x", result={"output": 1}),
    ]
    assert host.receive(b"".join(tell)) == [
        Progress(id, 1, 2, "m"),
        LogLine(id, "info", "l", 1, None, None),
        LogLine(None, "info", "own", None, None, None),
        Chunk(id, 0, b'{"a":1}', {"a": 1}, "p"),
    ]
    assert host.counts["unknown"] == 3 and host.counts["ignored"] == 1
    (event,) = host.receive(line(id=id, result={"output": None, "chunks": 1}))
    assert isinstance(event, Output) and event.is_assembled


@pytest.mark.parametrize(
    "params", [{"seq": 1, "data": 1}, {"seq": 0}, {"seq": "0", "data": 1}, {"seq": 0, "data": 2**60}]
)
def test_a_chunk_out_of_order_fails_the_call_at_once_and_holds_the_slot(params: dict[str, Any]) -> None:
    host = ready()
    id, _ = host.invoke("n", b"1")
    (event,) = host.receive(line(method="node/chunk", params={"id": id, **params}))
    assert isinstance(event, Failed) and event.error.code == 9004 and not event.is_released
    assert host.inflight == 1
    assert host.receive(line(id=id, result={"output": 1})) == [Released(id, "result")]


def test_a_node_sends_no_more_chunks_than_it_was_granted() -> None:
    host = ready()
    id, _ = host.invoke("n", b"1", meta={"stream": {"credit": 1}})
    chunks = [line(method="node/chunk", params={"id": id, "seq": seq, "data": seq}) for seq in range(3)]
    assert isinstance(host.receive(chunks[0])[0], Chunk)
    assert json.loads(host.credit(id, 1))["params"] == {"id": id, "n": 1}
    assert isinstance(host.receive(chunks[1])[0], Chunk)
    (event,) = host.receive(chunks[2])
    assert isinstance(event, Failed) and "granted" in event.error.message


def test_a_line_that_is_no_frame_is_fatal_on_a_private_channel_and_a_log_line_on_stdout() -> None:
    (event,) = ready().receive(b"Loading...\n")
    assert isinstance(event, Violation) and event.is_fatal and "Loading..." in event.message
    host = ready(channel="stdio")
    text = '{"event": "a log line that is JSON"}'
    assert host.receive(b"Loading...\n\n" + text.encode() + b"\n") == [
        StrayLine("Loading..."),
        StrayLine(text),
    ]
    assert host.counts["stray"] == 2


def test_a_frame_over_the_cap_fails_the_call_it_names() -> None:
    host = ready(cap=1000)
    id, _ = host.invoke("n", b"1")
    (event,) = host.receive(line(id=id, result={"output": "x" * 2000}))
    assert isinstance(event, Failed) and event.error.code == 4005 and host.inflight == 0
    (event,) = host.receive(b'{"result":{"output":"' + b"x" * 2000 + b'"},"jsonrpc":"2.0","id":3}\n')
    assert isinstance(event, Violation) and event.is_fatal
    (event,) = host.receive(b"z" * 5000)
    assert isinstance(event, Violation) and event.is_fatal


def test_a_member_named_twice_is_refused() -> None:
    host = ready()
    id, _ = host.invoke("n", b"1")
    twice = b'{"jsonrpc":"2.0","id":%d,"result":{"output":1},"result":{"output":2}}\n' % id
    (event,) = host.receive(twice)
    assert isinstance(event, Violation) and event.is_fatal
    host = ready(channel="stdio")
    host.invoke("n", b"1")
    (event,) = host.receive(twice)
    assert isinstance(event, Failed) and event.error.code == 9004


def test_a_node_that_could_not_read_its_only_call_fails_that_call() -> None:
    host = ready(many=1)
    id, _ = host.invoke("n", b"1")
    unread = line(id=None, error={"code": -32700, "message": "eh?"})
    (event,) = host.receive(unread)
    assert isinstance(event, Failed) and event.id == id and "eh?" in event.error.message
    (event,) = host.receive(unread)
    assert isinstance(event, Violation) and not event.is_fatal


def test_ping_shutdown_and_the_end() -> None:
    host = ready()
    ping = json.loads(host.ping())
    assert host.receive(line(id=ping["id"], result={"inflight": 2, "rss_bytes": 7})) == [Pong(2, 7)]
    first, _ = host.invoke("n", b"1")
    second, _ = host.invoke("n", b"1")
    host.answer(first)
    stop = json.loads(host.shutdown(500))
    assert stop["params"] == {"grace_ms": 500} and not host.has_room
    assert host.receive(line(id=stop["id"], result={})) == [Drained()]
    host.receive(b'{"half')
    assert host.eof() == Closed((second,), 6) and host.inflight == 0
