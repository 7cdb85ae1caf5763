"""The host's end of a connection: bytes in, events out, frames to be written by somebody else.

Invariant: every request that was sent is answered to its caller exactly once, and its slot is free
only when its terminal frame has come or the process is gone. Whatever else the node sends is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nodeling._plain import InvalidValue
from nodeling.protocol_errors import WireError, read_error
from nodeling.protocol_events import (
    Chunk,
    Closed,
    Drained,
    Failed,
    LogLine,
    Output,
    Pong,
    Progress,
    Ready,
    Refused,
    Released,
    StrayLine,
    Violation,
)
from nodeling.protocol_frames import (
    MAX_FRAME_BYTES,
    Frame,
    FrameReader,
    NotFrame,
    Overrun,
    Oversize,
    has_duplicate_members,
    head_members,
    join_object,
)
from nodeling.values import encode

if TYPE_CHECKING:
    from typing import Literal, TypeGuard

    from nodeling.protocol_events import HostEvent

__all__ = ["FEATURES", "PROTOCOL_VERSION", "FrameTooLarge", "HostConnection", "context_bytes"]

PROTOCOL_VERSION = 1  # one integer, raised only when old nodes break; everything else is a feature
FEATURES = ("blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream")
SPILL_BYTES = 1024 * 1024
LONGEST_QUOTE = 200  # of a line that is quoted in a message


class FrameTooLarge(ValueError):
    """A frame would be over the cap; the call fails with 4005, and nothing was sent."""


class _Request:
    __slots__ = ("chunks", "credit", "is_answered", "is_cancelled", "kind")

    def __init__(self, kind: str, credit: int | None = None) -> None:
        self.kind = kind
        self.credit = credit
        self.chunks = 0
        self.is_answered = False
        self.is_cancelled = False


class HostConnection:
    """One node process, as its host talks to it.

    Args:
        channel: `fd`, where every line must be a frame, or `stdio`, where others are log lines.
        max_frame_bytes: The cap in both directions.
        offered: The features the host is ready to use.
        host: Its name and version.
    """

    def __init__(
        self,
        *,
        channel: Literal["fd", "stdio"] = "fd",
        max_frame_bytes: int = MAX_FRAME_BYTES,
        offered: Iterable[str] = FEATURES,
        host: tuple[str, str] = ("nodeling", "0"),
    ) -> None:
        self.channel = channel
        self.max_frame_bytes = max_frame_bytes
        self.state: str = "new"  # handshake, ready, draining, closed
        self.level = 0
        self.features: frozenset[str] = frozenset()
        self.max_concurrency = 1
        self.counts: dict[str, int] = {"stray": 0, "duplicate": 0, "unknown": 0, "late": 0, "ignored": 0}
        self._offered = tuple(offered)
        self._host = host
        self._reader = FrameReader(max_frame_bytes)
        self._next = 1
        self._open: dict[int, _Request] = {}
        self._calls = 0

    # --- What the host asks -----------------------------------------------------------------------

    @property
    def inflight(self) -> int:
        """How many calls hold a slot, those included whose callers were answered before their end."""
        return self._calls

    @property
    def has_room(self) -> bool:
        """Whether another call may be sent now."""
        return self.state == "ready" and self._calls < self.max_concurrency

    def is_open(self, id: int) -> bool:
        """Whether a call's caller still waits."""
        request = self._open.get(id)
        return request is not None and not request.is_answered

    # --- What the host sends ----------------------------------------------------------------------

    def hello(
        self, *, blob_dir: str | None = None, log_level: str = "info", spill_bytes: int = SPILL_BYTES
    ) -> bytes:
        """The first frame."""
        self._expect_state("new")
        self.state = "handshake"
        name, version = self._host
        limits = {"max_frame_bytes": self.max_frame_bytes, "spill_bytes": spill_bytes}
        params: dict[str, Any] = {
            "protocol": [PROTOCOL_VERSION],
            "host": {"name": name, "version": version},
            "features": list(self._offered),
            "limits": limits,
            "log_level": log_level,
        }
        if blob_dir is not None:
            params["blob_dir"] = blob_dir
        return self._request("hello", "node/hello", encode(params))[1]

    def invoke(
        self,
        node: str,
        input: bytes,
        *,
        config: bytes = b"{}",
        secrets: Mapping[str, str] | None = None,
        context: bytes = b"{}",
        deadline_ms: int | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> tuple[int, bytes]:
        """One call: its id and the frame. `input`, `config` and `context` are checked bytes, spliced.

        Raises:
            FrameTooLarge: The frame is over the cap; the call was not made.
            RuntimeError: The node is not ready, or has no room.
        """
        if not self.has_room:
            raise RuntimeError(f"no call may be sent now: {self.state}, {self._calls} calls open")
        members = [("node", encode(node)), ("input", input), ("config", config)]
        members.append(("secrets", encode(dict(secrets or {}))))
        members.append(("context", context))
        if deadline_ms is not None:
            members.append(("deadline", encode(deadline_ms)))
        credit: int | None = None
        if meta:
            members.append(("_meta", encode(dict(meta))))
            stream = meta.get("stream")
            if isinstance(stream, Mapping) and "credit" in self.features:
                credit = stream.get("credit")
        id, frame = self._request("invoke", "node/invoke", join_object(members), credit)
        self._calls += 1
        return id, frame

    def cancel(self, id: int, reason: str = "user") -> bytes:
        """Ask a call to end; empty when the node cannot be asked, or the call has ended."""
        request = self._open.get(id)
        if request is None or request.kind != "invoke" or "cancel" not in self.features:
            return b""
        request.is_cancelled = True
        return _notification("node/cancel", {"id": id, "reason": reason})

    def credit(self, id: int, n: int) -> bytes:
        """Let a call send `n` more chunks; empty when there is nothing to let."""
        request = self._open.get(id)
        if request is None or request.credit is None:
            return b""
        request.credit += n
        return _notification("node/credit", {"id": id, "n": n})

    def ping(self) -> bytes:
        """Ask whether the node is alive; empty when it cannot be asked."""
        if "ping" not in self.features or self.state not in ("ready", "draining"):
            return b""
        return self._request("ping", "node/ping", b"{}")[1]

    def shutdown(self, grace_ms: int) -> bytes:
        """Take no more work and leave; empty when the node has to be closed instead."""
        was_ready = self.state == "ready"
        if self.state != "closed":
            self.state = "draining"
        if not was_ready or "drain" not in self.features:
            return b""
        return self._request("shutdown", "node/shutdown", encode({"grace_ms": grace_ms}))[1]

    def answer(self, id: int) -> bool:
        """The host has answered a call's caller by itself; its slot stays taken until `Released`.

        Returns:
            Whether the caller still waited: False means that somebody was faster.
        """
        request = self._open.get(id)
        if request is None or request.is_answered:
            return False
        request.is_answered = True
        return True

    def _request(self, kind: str, method: str, params: bytes, credit: int | None = None) -> tuple[int, bytes]:
        id = self._next
        frame = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' % (id, method.encode(), params)
        if len(frame) - 1 > self.max_frame_bytes:
            raise FrameTooLarge(
                f"a frame of {len(frame) - 1} bytes is over the cap of {self.max_frame_bytes}"
            )
        self._next += 1
        self._open[id] = _Request(kind, credit)
        return id, frame

    def _expect_state(self, state: str) -> None:
        if self.state != state:
            raise RuntimeError(f"the connection is {self.state}, not {state}")

    # --- What comes in ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[HostEvent]:
        """Take the next bytes from the node."""
        events: list[HostEvent] = []
        for event in self._reader.feed(data):
            if isinstance(event, Frame):
                self._frame(event, events)
            elif isinstance(event, NotFrame):
                self._stray(event.line, event.reason, events)
            elif isinstance(event, Oversize):
                self._oversize(event, events)
            elif isinstance(event, Overrun):
                limit = self.max_frame_bytes
                events.append(Violation(f"the node wrote a line without end, far over {limit} bytes", True))
        return events

    def eof(self) -> Closed:
        """The channel has ended: nothing more will come."""
        tail = self._reader.eof()
        waiting = [id for id, r in self._open.items() if r.kind == "invoke" and not r.is_answered]
        self._open.clear()
        self._calls = 0
        self.state = "closed"
        return Closed(tuple(waiting), tail.size if tail else 0)

    def _stray(self, line: bytes, reason: str, events: list[HostEvent]) -> None:
        self.counts["stray"] += 1
        if self.channel == "stdio":
            events.append(StrayLine(line.decode("utf-8", "backslashreplace")))
            return
        events.append(Violation(f"the node wrote a line that is no frame ({reason}): {_quote(line)}", True))

    def _oversize(self, event: Oversize, events: list[HostEvent]) -> None:
        members = head_members(event.head)
        what = f"a frame of {event.size} bytes is over the cap of {self.max_frame_bytes}"
        id = members.get("id")
        if _is_id(id) and "method" not in members and id in self._open:
            self._end(id, WireError(4005, f"{what}; return large values as blobs"), events)
        elif self.channel == "stdio" and "jsonrpc" not in members:
            self._stray(event.head[:LONGEST_QUOTE], what, events)
        else:
            events.append(Violation(f"{what}, and whose it was cannot be told: {_quote(event.head)}", True))

    def _frame(self, frame: Frame, events: list[HostEvent]) -> None:
        message = frame.message
        if message.get("jsonrpc") != "2.0":
            self._stray(frame.raw, 'it has no "jsonrpc":"2.0"', events)
        elif not frame.fault and has_duplicate_members(frame.raw, message):
            self._duplicate_members(frame, events)
        elif "method" in message:
            self._notification(message, frame.fault, events)
        elif "id" in message:
            self._response(message, frame, events)
        else:
            self._stray(frame.raw, "it has neither a method nor an id", events)

    def _duplicate_members(self, frame: Frame, events: list[HostEvent]) -> None:
        said = f"the node wrote a frame that names a member twice: {_quote(frame.raw)}"
        id = frame.message.get("id")
        if self.channel == "stdio" and _is_id(id) and id in self._open:
            self._end(id, _violation(said), events)
            return
        events.append(Violation(said, self.channel == "fd"))

    def _response(self, message: dict[str, Any], frame: Frame, events: list[HostEvent]) -> None:
        id = message["id"]
        if id is None:
            self._nameless(message, events)
            return
        request = self._open.get(id) if _is_id(id) else None
        if request is None:
            known = _is_id(id) and 0 < id < self._next
            self.counts["duplicate" if known else "unknown"] += 1
            return
        if request.kind == "invoke":
            self._terminal(id, request, message, frame.fault, events)
            return
        del self._open[id]
        if request.kind == "hello":
            self._greeted(message, events)
        elif request.kind == "ping" and isinstance(message.get("result"), dict):
            found = message["result"]
            inflight, rss = found.get("inflight"), found.get("rss_bytes")
            events.append(Pong(inflight if _is_id(inflight) else 0, rss if _is_id(rss) else None))
        elif request.kind == "shutdown":
            events.append(Drained())

    def _nameless(self, message: dict[str, Any], events: list[HostEvent]) -> None:
        """An error for no id: the node could not read what it was sent."""
        error = read_error(message.get("error"))
        said = f"the node could not read a frame: {error.message}"
        waiting = [id for id, r in self._open.items() if r.kind == "invoke"]
        if self.max_concurrency == 1 and len(waiting) == 1:
            self._end(waiting[0], _violation(said), events)
        else:
            events.append(Violation(said, False))

    def _greeted(self, message: dict[str, Any], events: list[HostEvent]) -> None:
        if "error" in message:
            error = read_error(message["error"])
            if error.code == -32601:
                self._ready(Ready(1, "", "", {}, frozenset(), 1, ()), events)
                return
            code = 4100 if error.code == 4100 else 9002
            data = message["error"].get("data") if isinstance(message["error"], dict) else None
            more = {"supported": data["supported"]} if isinstance(data, dict) and "supported" in data else {}
            refused = WireError(code, f"the node refused the handshake: {error.message}", "ProtocolError")
            events.append(Refused(refused._replace(details={**more, "code": error.code})))
            return
        found = message.get("result")
        fault = _hello_fault(found)
        if fault is not None or not isinstance(found, dict):
            events.append(
                Refused(WireError(9002, f"the node's answer to node/hello {fault}", "ProtocolError"))
            )
            return
        node, sdk, nodes = found.get("node"), found.get("sdk"), found.get("nodes")
        named = node if isinstance(node, dict) else {}
        ready = Ready(
            2,
            str(named.get("name", "")),
            str(named.get("version", "")),
            sdk if isinstance(sdk, dict) else {},
            frozenset(self._offered).intersection(found.get("features", ())),
            found.get("max_concurrency", 1),
            tuple(name for name in nodes if isinstance(name, str)) if isinstance(nodes, list) else (),
        )
        self._ready(ready, events)

    def _ready(self, ready: Ready, events: list[HostEvent]) -> None:
        self.level, self.features, self.max_concurrency = ready.level, ready.features, ready.max_concurrency
        if self.state == "handshake":
            self.state = "ready"
        events.append(ready)

    # --- The end of a call ------------------------------------------------------------------------

    def _terminal(
        self,
        id: int,
        request: _Request,
        message: dict[str, Any],
        fault: InvalidValue | None,
        events: list[HostEvent],
    ) -> None:
        if request.is_answered:
            self.counts["late"] += 1
            self._close(id)
            events.append(Released(id, "error" if "error" in message else "result"))
            return
        has_result, has_error = "result" in message, "error" in message
        if has_result == has_error:
            what = "both a result and an error" if has_result else "neither a result nor an error"
            self._end(id, _violation(f"the node answered with {what}"), events)
        elif has_error:
            self._end(id, read_error(message["error"]), events)
        elif fault is not None:
            self._end(id, WireError(4006, f"the output is no value that can travel: {fault}"), events)
        else:
            self._result(id, request, message["result"], events)

    def _result(self, id: int, request: _Request, result: Any, events: list[HostEvent]) -> None:
        wrong = _result_fault(result, request.chunks)
        if wrong is not None:
            self._end(id, _violation(f"the node's result {wrong}"), events)
            return
        value = result["output"]
        written: dict[str, bytes | None] = {
            key: encode(item) for key, item in (result.get("vars") or {}).items()
        }
        written.update(dict.fromkeys(result.get("deleted") or ()))
        metrics = result.get("metrics")
        kept = {k: v for k, v in metrics.items() if _is_number(v)} if isinstance(metrics, dict) else {}
        assembled = value is None and request.chunks > 0
        self._close(id)
        events.append(Output(id, encode(value), value, written, request.chunks, kept, assembled))

    def _end(self, id: int, error: WireError, events: list[HostEvent]) -> None:
        """A terminal frame came, and it is an error, or is taken for one."""
        request = self._open[id]
        if request.kind == "hello":
            del self._open[id]
            events.append(Refused(error._replace(code=9002)))
            return
        self._close(id)
        if request.kind != "invoke":
            return
        if request.is_answered:
            self.counts["late"] += 1
            events.append(Released(id, "error"))
            return
        events.append(Failed(id, error))

    def _close(self, id: int) -> None:
        if self._open.pop(id).kind == "invoke":
            self._calls -= 1

    def _fail_early(self, id: int, request: _Request, message: str, events: list[HostEvent]) -> None:
        """The call broke a rule but has not ended: its caller knows now, its slot stays taken."""
        request.is_answered = True
        events.append(Failed(id, _violation(message), False))

    # --- What a node tells unasked ----------------------------------------------------------------

    def _notification(
        self, message: dict[str, Any], fault: InvalidValue | None, events: list[HostEvent]
    ) -> None:
        method, params = message["method"], message.get("params")
        feature = _FEATURE_OF.get(method) if isinstance(method, str) else None
        if feature is None or "id" in message or feature not in self.features or not isinstance(params, dict):
            self.counts["ignored"] += 1
            return
        if fault is not None and feature != "stream":
            self.counts["ignored"] += 1
            return
        id: Any = params.get("id")
        if feature == "log" and id is None:
            events.append(_log_line(None, params))
            return
        request = self._open.get(id) if _is_id(id) else None
        if request is None or request.kind != "invoke" or request.is_answered:
            known = _is_id(id) and 0 < id < self._next
            self.counts["late" if known else "unknown"] += 1
        elif feature == "stream":
            self._chunk(id, request, params, fault, events)
        elif feature == "log":
            events.append(_log_line(id, params))
        elif _is_number(params.get("progress")):
            events.append(_progress(id, params))

    def _chunk(
        self,
        id: int,
        request: _Request,
        params: dict[str, Any],
        fault: InvalidValue | None,
        events: list[HostEvent],
    ) -> None:
        seq, wanted = params.get("seq"), request.chunks
        if not _is_id(seq) or seq != wanted:
            self._fail_early(id, request, f"the node sent chunk {seq!r} where chunk {wanted} was due", events)
        elif fault is not None or "data" not in params:
            why = str(fault) if fault else "it has no data"
            self._fail_early(id, request, f"the node sent a chunk that cannot be read: {why}", events)
        elif request.credit is not None and request.chunks >= request.credit:
            self._fail_early(
                id, request, f"the node sent more than the {request.credit} chunks it was granted", events
            )
        else:
            request.chunks += 1
            port = params.get("port")
            value = params["data"]
            events.append(Chunk(id, seq, encode(value), value, port if isinstance(port, str) else None))


def _log_line(id: int | None, params: dict[str, Any]) -> LogLine:
    level, text, logger = params.get("level"), params.get("message"), params.get("logger")
    return LogLine(
        id,
        level if isinstance(level, str) else "info",
        text if isinstance(text, str) else encode(text).decode("utf-8"),
        params.get("data"),
        logger if isinstance(logger, str) else None,
        params.get("ts"),
    )


def _progress(id: int, params: dict[str, Any]) -> Progress:
    total, text = params.get("total"), params.get("message")
    known = total if _is_number(total) else None
    return Progress(id, params["progress"], known, text if isinstance(text, str) else None)


_FEATURE_OF = {"node/progress": "progress", "node/log": "log", "node/chunk": "stream"}


def context_bytes(vars: Mapping[str, bytes] | None = None, **members: Any) -> bytes:
    """The `context` of a call: `run_id`, `step`, … encoded, and `vars` spliced as checked bytes."""
    found = [(name, encode(value)) for name, value in members.items() if value is not None]
    if vars is not None:
        found.append(("vars", join_object(vars.items())))
    return join_object(found)


def _notification(method: str, params: dict[str, Any]) -> bytes:
    return b'{"jsonrpc":"2.0","method":"%s","params":%s}\n' % (method.encode(), encode(params))


def _violation(message: str) -> WireError:
    return WireError(9004, message, "ProtocolError")


def _quote(line: bytes) -> str:
    text = line[:LONGEST_QUOTE].decode("utf-8", "backslashreplace")
    return ascii(text) + ("…" if len(line) > LONGEST_QUOTE else "")


def _is_id(value: Any) -> TypeGuard[int]:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _hello_fault(found: Any) -> str | None:
    if not isinstance(found, dict):
        return "is no object"
    if found.get("protocol") != PROTOCOL_VERSION or found.get("protocol") is True:
        return f"says protocol {found.get('protocol')!r}; this host speaks {PROTOCOL_VERSION}"
    many = found.get("max_concurrency", 1)
    if not _is_id(many) or many < 1:
        return f"says max_concurrency {many!r}; it is an integer from 1 on"
    features = found.get("features", [])
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        return "has features that are no list of names"
    return None


def _result_fault(result: Any, chunks: int) -> str | None:
    """What is wrong with a result, beyond its output's own schema."""
    if not isinstance(result, dict):
        return 'is no object; it is {"output": …}'
    if "output" not in result:
        return "has no output"
    said = result.get("chunks")
    if (0 if said is None else said) != chunks or isinstance(said, bool):
        return f"says {said!r} chunks, and {chunks} came"
    written, deleted = result.get("vars"), result.get("deleted")
    if written is not None and (not isinstance(written, dict) or "" in written):
        return "has vars that are no object of context keys"
    if deleted is not None and (
        not isinstance(deleted, list) or not all(isinstance(k, str) and k for k in deleted)
    ):
        return "has a `deleted` that is no list of context keys"
    return None
