"""Lines in, frames out: the codec of NSP/1, without any I/O.

Invariant: the same bytes give the same events however they are cut into pieces, in memory bounded by
the frame cap, and a line that is no frame never hides the next one.
"""

from __future__ import annotations

from nodeling._plain import MAX_DEPTH, InvalidValue, plain
from nodeling._record import NamedTuple
from nodeling.values import decode, encode, exceeds_depth

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, TypeAlias

__all__ = [
    "MAX_FRAME_BYTES",
    "SKIP_FACTOR",
    "Frame",
    "FrameReader",
    "NotFrame",
    "Overrun",
    "Oversize",
    "Tail",
    "has_duplicate_members",
    "head_members",
    "join_object",
    "payloads_of",
    "read_frame",
]

MAX_FRAME_BYTES = 16 * 1024 * 1024
SKIP_FACTOR = 4  # a longer line is not skipped any more: whoever writes it is broken
HEAD_BYTES = 4 * 1024  # what is kept of a line that is skipped, to find its id in
ENVELOPE_DEPTH = 8  # the containers a frame may add around a value of the full depth
SMALL_FRAME = 4 * 1024  # up to here counting the names of members costs next to nothing

# The members a duplicate of which would let two readers see two different frames.
_MEMBERS = (b'"jsonrpc"', b'"id"', b'"method"', b'"params"', b'"result"', b'"error"')
_ESCAPED_LETTER = b"\\u00"


class Frame(NamedTuple):
    """A line that is a JSON object. With a `fault` some value in it is outside the profile."""

    message: dict[str, Any]
    raw: bytes
    fault: InvalidValue | None = None


class NotFrame(NamedTuple):
    """A line that is no JSON object; `kind` is `syntax`, `encoding`, `array` or `scalar`."""

    line: bytes
    kind: str
    reason: str


class Oversize(NamedTuple):
    """A line over the cap, skipped to its end."""

    head: bytes
    size: int


class Overrun(NamedTuple):
    """A line so long that it is not worth skipping: nothing is read any more."""

    head: bytes


class Tail(NamedTuple):
    """What stood behind the last line feed when the stream ended."""

    head: bytes
    size: int


if TYPE_CHECKING:
    FrameEvent: TypeAlias = "Frame | NotFrame | Oversize | Overrun | Tail"


class FrameReader:
    """Cuts a byte stream into frames.

    Args:
        max_bytes: The cap on one line, its line end not counted.
    """

    __slots__ = ("_head", "_parts", "held", "is_lost", "max_bytes")

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_bytes = max_bytes
        self.is_lost = False
        self._parts: list[bytes] = []
        self.held = 0  # bytes of a line that has not ended
        self._head: bytes | None = None  # of a line that is being skipped

    def feed(self, data: bytes) -> list[FrameEvent]:
        """Take the next bytes; give the frames that they end."""
        return [read_frame(found) if isinstance(found, bytes) else found for found in self.lines(data)]

    def lines(self, data: bytes) -> list[bytes | Oversize | Overrun]:
        """Take the next bytes; give the lines that they end, unread and without their ends."""
        if self.is_lost:
            return []
        if not self.held and len(data) <= self.max_bytes and data.endswith(b"\n") and b"\r" not in data:
            return [line for line in data.split(b"\n") if line.strip()]  # whole lines, as nearly always
        pieces = data.split(b"\n")
        rest = pieces.pop()
        found: list[bytes | Oversize | Overrun] = []
        for piece in pieces:
            line_or_fault = self._finish(piece)
            if line_or_fault is not None:
                found.append(line_or_fault)
            if type(line_or_fault) is Overrun:
                return found
        if rest:
            self._hold(rest)
            if self._is_overrun():
                found.append(self._overrun())
        return found

    def eof(self) -> Tail | None:
        """The stream has ended: an unfinished line, when there is one, is dropped."""
        if self.is_lost or not self.held:
            return None
        return Tail(self._head or b"".join(self._parts)[: self._kept()], self.held)

    def _hold(self, piece: bytes) -> None:
        self.held += len(piece)
        if self._head is not None:
            return
        self._parts.append(piece)
        if self.held > self.max_bytes + 1:  # one more, which may be a carriage return
            self._head = b"".join(self._parts)[: self._kept()]
            self._parts.clear()

    def _kept(self) -> int:
        """How much of a skipped line is kept: what is there however the line was cut."""
        return min(HEAD_BYTES, self.max_bytes)

    def _is_overrun(self) -> bool:
        return self.held > SKIP_FACTOR * self.max_bytes

    def _overrun(self) -> Overrun:
        self.is_lost = True
        self.held = max(1, self.held)  # no line ever begins again
        head = self._head or b""
        self._parts.clear()
        return Overrun(head)

    def _finish(self, line: bytes) -> bytes | Oversize | Overrun | None:
        if self._parts or self._head is not None:
            self._hold(line)
            if self._is_overrun():
                return self._overrun()
            head, size = self._head, self.held
            line = b"" if head is not None else b"".join(self._parts)
            self._parts.clear()
            self.held, self._head = 0, None
            if head is not None:
                return Oversize(head, size)
        if line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > self.max_bytes:
            if len(line) > SKIP_FACTOR * self.max_bytes:
                self._head = line[: self._kept()]
                return self._overrun()
            return Oversize(line[: self._kept()], len(line))
        return line if line.strip() else None


def read_frame(line: bytes) -> Frame | NotFrame:
    """One line, without its line feed, as a frame."""
    try:
        message = decode(line)
    except InvalidValue as error:
        if error.kind in ("syntax", "encoding"):
            return NotFrame(line, error.kind, error.message)
        return _outside_profile(line, error)
    if type(message) is dict:
        return Frame(message, line)
    return _no_object(line, message)


def _no_object(line: bytes, message: Any) -> NotFrame:
    if isinstance(message, list):
        return NotFrame(
            line, "array", "a frame is one object; arrays of frames are not part of this protocol"
        )
    return NotFrame(line, "scalar", f"a frame is an object, not a {type(message).__name__}")


def _outside_profile(line: bytes, error: InvalidValue) -> Frame | NotFrame:
    """A frame that is JSON but holds what may not travel, or whose envelope alone makes it too deep."""
    if exceeds_depth(line, MAX_DEPTH + ENVELOPE_DEPTH):
        members = head_members(line[:HEAD_BYTES])
        return Frame(members, line, error) if members else NotFrame(line, "syntax", error.message)
    import json

    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return NotFrame(line, "syntax", error.message)
    if not isinstance(message, dict):
        return _no_object(line, message)
    fault: InvalidValue | None = None if error.kind == "depth" else error
    for pointer, value in payloads_of(message):
        try:
            plain(value)
        except InvalidValue as found:
            fault = InvalidValue(pointer + found.pointer, found.message, found.kind)
            break
    return Frame(message, line, fault)


def payloads_of(message: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values that a frame carries for somebody else, each with its JSON pointer."""
    for where, names in (("params", ("input", "config", "data")), ("result", ("output",))):
        body = message.get(where)
        if isinstance(body, dict):
            yield from ((f"/{where}/{name}", body[name]) for name in names if name in body)
    for holder in (_inside(message, "params", "context", "vars"), _inside(message, "result", "vars")):
        yield from ((f"/{key}", value) for key, value in holder.items())


def _inside(message: Mapping[str, Any], *names: str) -> dict[str, Any]:
    found: Any = message
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def head_members(head: bytes) -> dict[str, Any]:
    """The outermost members that stand whole in the beginning of a frame."""
    text = head.decode("utf-8", "replace").lstrip()
    found: dict[str, Any] = {}
    if not text.startswith("{"):
        return found
    import json

    decoder = json.JSONDecoder()
    at = 1
    try:
        while True:
            at = _skip(text, at)
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, at)
            if not isinstance(name, str) or text[at : at + 1] != ":":
                return found
            value, at = decoder.raw_decode(text, _skip(text, at + 1))
            at = _skip(text, at)
            if text[at : at + 1] not in (",", "}"):
                return found  # a number that is cut off reads as a shorter one
            found[name] = value
            if text[at] == "}":
                return found
            at += 1
    except (ValueError, RecursionError):
        return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def has_duplicate_members(raw: bytes, message: Mapping[str, Any]) -> bool:
    """Whether the envelope of a frame names a member twice; duplicates inside a payload do not count."""
    if len(raw) <= SMALL_FRAME and _ESCAPED_LETTER not in raw:
        if all(raw.count(name) <= 1 for name in _MEMBERS):
            return False
    elif _is_plain_result(raw, message):
        return False
    import json

    pairs: list[list[str]] = [[]]

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs[0] = [name for name, _ in found]  # the outermost object is finished last
        return {}

    json.loads(raw.decode("utf-8"), object_pairs_hook=keep)
    return len(set(pairs[0])) != len(pairs[0])


def _is_plain_result(raw: bytes, message: Mapping[str, Any]) -> bool:
    """Whether a frame is, byte for byte, what a careful writer makes of a result that is all output."""
    result = message.get("result")
    if (
        not isinstance(result, dict)
        or list(result) != ["output"]
        or list(message) != ["jsonrpc", "id", "result"]
    ):
        return False
    head = (
        b'{"jsonrpc":"2.0","id":%d,"result":{"output":' % message["id"]
        if type(message["id"]) is int
        else b"?"
    )
    try:
        output = encode(result["output"])
    except InvalidValue:
        return False
    return (
        len(raw) == len(head) + len(output) + 2 and raw.startswith(head) and raw.startswith(output, len(head))
    )


def join_object(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An object whose values are JSON already; they are inserted as they are.

    Raises:
        ValueError: A value holds a line feed, so it did not come out of a checking encoder.
    """
    parts = []
    for name, value in members:
        if b"\n" in value:
            raise ValueError(f"the bytes of {name!r} hold a line feed: only checked values may be spliced")
        parts.append(encode(name) + b":" + value)
    return b"{" + b",".join(parts) + b"}"
