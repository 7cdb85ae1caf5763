"""The codec: the same bytes give the same events however they are cut, in bounded memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling.protocol import Frame, FrameReader, NotFrame, Overrun, Oversize, Tail, join_object, read_frame
from nodeling.protocol_frames import HEAD_BYTES, has_duplicate_members, head_members

CAP = 64
LINE = st.one_of(
    st.sampled_from(
        [
            b"",
            b"  ",
            b"\r",
            b"{}",
            b'{"id":1}\r',
            b"[]",
            b"7",
            b"nonsense",
            b"\xff\xfe",
            b"\xef\xbb\xbf{}",
            b'{"a":"' + "\u2028\u0085".encode() + b'"}',
            b'{"params":{"input":9007199254740993}}',
            b'{"a":"' + b"x" * (CAP - 8) + b'"}',
            b'{"a":"' + b"x" * (CAP - 8) + b'"}\r',
            b'{"a":"' + b"x" * (CAP - 7) + b'"}',
            b"y" * (3 * CAP),
        ]
    ),
    st.binary(max_size=CAP + 3).map(lambda data: data.replace(b"\n", b"")),
)
STREAM = st.tuples(
    st.lists(LINE, max_size=8), st.sampled_from([b"", b"{", b"z" * 400, b"\n" + b"z" * 400 + b"\n{}\n"])
)


def events_of(pieces: list[bytes]) -> list[Any]:
    reader = FrameReader(CAP)
    found: list[Any] = [event for piece in pieces for event in reader.feed(piece)]
    tail = reader.eof()
    shown = [e._replace(fault=str(e.fault)) if isinstance(e, Frame) else e for e in found]
    return [*shown, tail]


@given(STREAM, st.data())
@settings(deadline=None, max_examples=400)
def test_any_cutting_of_the_bytes_gives_the_same_events(stream: tuple[list[bytes], bytes], data: Any) -> None:
    lines, tail = stream
    whole = b"".join(line + b"\n" for line in lines) + tail
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert events_of(pieces) == events_of([whole])
    assert events_of([whole[i : i + 1] for i in range(len(whole))]) == events_of([whole])


def test_a_line_at_the_cap_is_a_frame_and_one_byte_more_is_not() -> None:
    reader = FrameReader(CAP)
    fits = b'{"a":"' + b"x" * (CAP - 8) + b'"}'
    assert len(fits) == CAP
    (frame,) = reader.feed(fits + b"\r\n")
    assert isinstance(frame, Frame)
    (over,) = reader.feed(b" " + fits + b"\n")
    assert over == Oversize(b" " + fits[:-1], CAP + 1)
    (frame,) = reader.feed(fits + b"\n")
    assert isinstance(frame, Frame)


def test_an_endless_line_is_read_in_bounded_memory_and_ends_the_reader() -> None:
    reader = FrameReader(100_000)
    events = []
    for _ in range(1000):
        events += reader.feed(b"x" * 1000)
        assert sum(map(len, reader._parts)) <= 101_001
    assert events == [Overrun(b"x" * HEAD_BYTES)]
    assert reader.feed(b"\n{}\n") == [] and reader.eof() is None


def test_what_stands_behind_the_last_line_feed_is_a_tail() -> None:
    reader = FrameReader()
    reader.feed(b'{}\n{"half":')
    assert reader.eof() == Tail(b'{"half":', 8)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"[]", "array"),
        (b"1", "scalar"),
        (b"{", "syntax"),
        (b'{"a":\xff}', "encoding"),
        (b"\xef\xbb\xbf{}", "syntax"),
    ],
)
def test_what_is_no_frame_says_why(line: bytes, kind: str) -> None:
    found = read_frame(line)
    assert isinstance(found, NotFrame) and found.kind == kind and found.reason


@pytest.mark.parametrize(
    "input_",
    ["9007199254740993", "[-9007199254740992]", "NaN", '"\\ud800"', "1e999", "[" * 65 + "]" * 65],
)
def test_a_value_outside_the_profile_is_a_fault_of_a_frame_that_keeps_its_id(input_: str) -> None:
    line = '{"jsonrpc":"2.0","id":7,"method":"node/invoke","params":{"input":' + input_ + "}}"
    found = read_frame(line.encode())
    assert isinstance(found, Frame) and found.fault is not None and found.message["id"] == 7
    assert found.fault.pointer.startswith("/params/input")


def test_the_envelope_does_not_count_for_the_depth_of_a_value() -> None:
    line = b'{"id":1,"params":{"context":{"vars":{"k":' + b"[" * 64 + b"]" * 64 + b"}}}}"
    found = read_frame(line)
    assert isinstance(found, Frame) and found.fault is None


def test_a_frame_nested_without_end_is_survived() -> None:
    found = read_frame(b'{"id":1,"params":' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    assert isinstance(found, Frame) and found.message == {"id": 1} and found.fault is not None


@pytest.mark.parametrize(
    ("head", "members"),
    [
        (b'{"jsonrpc":"2.0","id":12,"result":{"output":"xxxx', {"jsonrpc": "2.0", "id": 12}),
        (b'{"id":12', {}),  # which may go on as 123
        (b'{"id":12,', {"id": 12}),
        (b'{"params":{"id":5,"x":"', {}),
        (b'{"id":1,"id":2,"r":"', {"id": 2}),
        (b"[1,2", {}),
        (b"", {}),
        (b'{"a":' + b"[" * 4000, {}),
    ],
)
def test_the_head_of_a_frame_tells_only_what_stands_whole_in_it(head: bytes, members: dict[str, Any]) -> None:
    assert head_members(head) == members


PAD = "p" * 5000


@pytest.mark.parametrize(
    ("line", "twice"),
    [
        ('{"id":1,"id":2}', True),
        ('{"id":1,"\\u0069d":2}', True),
        ('{"id":1,"result":{"output":{"id":1,"id":2}}}', False),
        ('{"id":1,"result":{"output":"PADDING"}}', False),
        ('{"jsonrpc":"2.0","id":1,"result":{"output":"PADDING"}}', False),
        ('{"jsonrpc":"2.0","id":1,"result":{"output":"PADDING"},"id":2}', True),
        ('{"jsonrpc":"2.0","id":1,"result":{"output":1},"result":{"output":"PADDING"}}', True),
        ('{"jsonrpc":"2.0","id":1,"result":{"output":"\\u00e9"},"x":1,"x":2}', True),
    ],
)
def test_a_member_named_twice_is_seen_in_the_envelope_alone(line: str, twice: bool) -> None:
    line = line.replace("PADDING", PAD)
    assert has_duplicate_members(line.encode(), json.loads(line)) is twice


def test_unchecked_bytes_are_not_spliced() -> None:
    assert join_object([("a", b"1"), ("b", b'"x"')]) == b'{"a":1,"b":"x"}'
    with pytest.raises(ValueError, match="line feed"):
        join_object([("a", b'1}\n{"jsonrpc":"2.0"')])
