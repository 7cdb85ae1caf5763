"""The node's end of a connection: bytes in, calls out, frames for one writer.

Invariant: every request that came in gets exactly one terminal frame, and nothing is said of a call
after it. What the host gets wrong is answered or ignored; it never stops the reader.
"""

from __future__ import annotations

from nodeling._plain import InvalidValue
from nodeling._record import NamedTuple
from nodeling.protocol_errors import error_body
from nodeling.protocol_frames import (
    MAX_FRAME_BYTES,
    Frame,
    FrameReader,
    Oversize,
    head_members,
    read_frame,
)
from nodeling.values import decode, encode

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

__all__ = ["Cancel", "Credit", "Greeting", "Invoke", "Lost", "NodeConnection", "Shutdown"]

PROTOCOL_VERSION = 1
_NUMBERS = (int, float)
_METHOD_ENDS = 100  # bytes into a frame, where its members stand in the usual order


class Greeting(NamedTuple):
    """The host said hello, and was answered."""

    blob_dir: str | None
    spill_bytes: int
    log_level: str


class Invoke(NamedTuple):
    """A call to be answered with `result` or `error`."""

    id: Any
    node: str
    input: Any
    config: dict[str, Any]
    secrets: dict[str, str]
    context: dict[str, Any]
    deadline_ms: float | None
    meta: dict[str, Any]
    may_hold_blobs: bool = False


class Cancel(NamedTuple):
    """A call that still runs shall end."""

    id: Any
    reason: str


class Credit(NamedTuple):
    """A call may send so many more chunks."""

    id: Any
    n: int


class Shutdown(NamedTuple):
    """Finish what runs, then `drained(id)` and exit."""

    id: Any
    grace_ms: float


class Lost(NamedTuple):
    """The host wrote a line without end: nothing can be read any more."""

    reason: str


if TYPE_CHECKING:
    NodeEvent: TypeAlias = "Greeting | Invoke | Cancel | Credit | Shutdown | Lost"


class NodeConnection:
    """One host, as a node process talks to it.

    What has to be written stands in `take()`; `result`, `error`, `chunk`, `log` and `progress` return
    their frame. A frame that may not be sent (the call has ended, the host did not offer the
    feature) comes back empty and is counted.

    Args:
        name: The node's name, as told in the handshake.
        version: Its version.
        sdk: The SDK's name, version and language.
        features: What this node can do.
        max_concurrency: How many calls it runs at once.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        sdk: Mapping[str, str],
        features: Iterable[str],
        max_concurrency: int = 1,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.features: frozenset[str] = frozenset()
        self.is_draining = False
        self.dropped = 0
        self._claimed = tuple(features)
        self._about = {
            "protocol": PROTOCOL_VERSION,
            "node": {"name": name, "version": version},
            "sdk": dict(sdk),
            "features": sorted(self._claimed),
            "max_concurrency": max_concurrency,
        }
        self._reader = FrameReader(max_frame_bytes)
        self._open: set[Any] = set()
        self._out: list[bytes] = []

    @property
    def inflight(self) -> int:
        """How many calls have not been answered."""
        return len(self._open)

    @property
    def has_replies(self) -> bool:
        """Whether the connection itself has something to say."""
        return bool(self._out)

    def take(self) -> bytes:
        """What is to be written, answers made by the connection itself included."""
        if not self._out:
            return b""
        found = b"".join(self._out)
        self._out.clear()
        return found

    # --- What comes in ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[NodeEvent]:
        """Take the next bytes from the host."""
        if not self._reader.held and data.find(b"\n") == len(data) - 1 <= self.max_frame_bytes:
            invoke = self._plain_invoke(data)  # one whole frame with one call, as nearly always
            if invoke is not None:
                return [invoke]
        events: list[NodeEvent] = []
        for found in self._reader.lines(data):
            if isinstance(found, bytes):
                invoke = self._plain_invoke(found)
                if invoke is None:
                    self._line(found, events)
                else:
                    events.append(invoke)
            elif isinstance(found, Oversize):
                self._oversize(found)
            else:
                events.append(Lost(f"a line of more than {self.max_frame_bytes} bytes does not end"))
        return events

    def _plain_invoke(self, line: bytes) -> Invoke | None:
        """Take a call with which nothing is wrong; None when something is, or it is no call."""
        if line.find(b'"node/invoke"', 0, _METHOD_ENDS) < 0 or self.is_draining:
            return None
        try:
            message = decode(line)
            if message["jsonrpc"] != "2.0" or message["method"] != "node/invoke":
                return None
            id, params = message["id"], message["params"]
            told = params.get
        except (InvalidValue, LookupError, TypeError, AttributeError):
            return None
        node, deadline = told("node", ""), told("deadline")
        config, secrets = told("config") or {}, told("secrets") or {}
        context, meta = told("context") or {}, told("_meta") or {}
        if id.__class__ is not int or id in self._open or node.__class__ is not str:
            return None
        if not config.__class__ is secrets.__class__ is context.__class__ is meta.__class__ is dict:
            return None
        if deadline.__class__ not in _NUMBERS:
            deadline = None
        self._open.add(id)
        may_hold_blobs = b"blob" in line or b"\\u00" in line
        return Invoke(id, node, told("input"), config, secrets, context, deadline, meta, may_hold_blobs)

    def _line(self, line: bytes, events: list[NodeEvent]) -> None:
        found = read_frame(line)
        if isinstance(found, Frame):
            self._frame(found, events)
        else:
            code = -32700 if found.kind in ("syntax", "encoding") else -32600
            self._refuse(None, code, found.reason)

    def _oversize(self, event: Oversize) -> None:
        members = head_members(event.head)
        what = f"a frame of {event.size} bytes is over the cap of {self.max_frame_bytes}"
        if _is_id(members.get("id")) and members["id"] not in self._open:
            self._refuse(members["id"], 4005, what)
        else:
            self._refuse(None, -32600, what)

    def _frame(self, frame: Frame, events: list[NodeEvent]) -> None:
        message = frame.message
        method, id = message.get("method"), message.get("id")
        if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
            if "result" not in message and "error" not in message:
                said = 'a frame has "jsonrpc":"2.0" and a method'
                self._refuse(id if _is_id(id) and id not in self._open else None, -32600, said)
            return
        params = message.get("params", {})
        if "id" not in message:
            if not frame.fault and isinstance(params, dict):
                self._notification(method, params, events)
            return
        if not _is_id(id):
            self._refuse(None, -32600, "the id of a request is an integer or a text")
        elif id in self._open:
            self.dropped += 1  # an answer would be a second one for the call of this id
        elif frame.fault is not None:
            self._refuse_value(id, frame.fault)
        elif not isinstance(params, dict):
            self._refuse(id, -32602, "params is an object")
        else:
            self._request(id, method, params, frame.raw, events)

    def _request(
        self, id: Any, method: str, params: dict[str, Any], raw: bytes, events: list[NodeEvent]
    ) -> None:
        if method == "node/invoke":
            self._invoke(id, params, b"blob" in raw or b"\\u00" in raw, events)
        elif method == "node/hello":
            self._hello(id, params, events)
        elif method == "node/ping" and "ping" in self._claimed:
            self._reply(id, encode({"inflight": len(self._open)}))
        elif method == "node/shutdown" and "drain" in self._claimed:
            self.is_draining = True
            grace: Any = params.get("grace_ms")
            events.append(Shutdown(id, grace if _is_number(grace) else 0))
        else:
            self._refuse(id, -32601, f"this node does not know {method[:100]!r}")

    def _hello(self, id: Any, params: dict[str, Any], events: list[NodeEvent]) -> None:
        versions = params.get("protocol")
        if not isinstance(versions, list) or PROTOCOL_VERSION not in [v for v in versions if type(v) is int]:
            said = f"this node speaks protocol {PROTOCOL_VERSION}, the host {versions!r}"
            self._refuse(id, 4100, said, supported=[PROTOCOL_VERSION])
            return
        offered, limits = params.get("features"), params.get("limits")
        known = [name for name in offered if isinstance(name, str)] if isinstance(offered, list) else []
        self.features = frozenset(self._claimed).intersection(known)
        limits = limits if isinstance(limits, dict) else {}
        cap, spill = limits.get("max_frame_bytes"), limits.get("spill_bytes")
        if type(cap) is int and cap > 0:
            self.max_frame_bytes = self._reader.max_bytes = cap
        blob_dir, level = params.get("blob_dir"), params.get("log_level")
        self._reply(id, encode(self._about))
        events.append(
            Greeting(
                blob_dir if isinstance(blob_dir, str) else None,
                spill if type(spill) is int and spill > 0 else 1024 * 1024,
                level if isinstance(level, str) else "info",
            )
        )

    def _invoke(self, id: Any, params: dict[str, Any], may_hold_blobs: bool, events: list[NodeEvent]) -> None:
        if self.is_draining:
            self._refuse(id, 5002, "this process takes no more calls", started=False)
            return
        node, deadline = params.get("node", ""), params.get("deadline")
        parts = {name: params.get(name) or {} for name in ("config", "secrets", "context", "_meta")}
        wrong = [name for name, value in parts.items() if not isinstance(value, dict)]
        if wrong or not isinstance(node, str):
            self._refuse(id, -32602, f"{wrong[0] if wrong else 'node'} has the wrong type")
            return
        self._open.add(id)
        events.append(
            Invoke(
                id,
                node,
                params.get("input"),
                parts["config"],
                parts["secrets"],
                parts["context"],
                deadline if _is_number(deadline) else None,
                parts["_meta"],
                may_hold_blobs,
            )
        )

    def _notification(self, method: str, params: dict[str, Any], events: list[NodeEvent]) -> None:
        id, n = params.get("id"), params.get("n")
        if not _is_id(id) or id not in self._open:
            return
        if method == "node/cancel":
            reason = params.get("reason")
            events.append(Cancel(id, reason if isinstance(reason, str) else "user"))
        elif method == "node/credit" and type(n) is int and n > 0:
            events.append(Credit(id, n))

    # --- What goes out ----------------------------------------------------------------------------

    def result(
        self,
        id: Any,
        output: bytes,
        *,
        vars: Mapping[str, bytes | None] | None = None,
        chunks: int = 0,
        metrics: Mapping[str, float] | None = None,
    ) -> bytes:
        """The terminal frame of a call that succeeded; `output` and `vars` are checked bytes.

        A frame over the cap becomes the error 4005 of the call.
        """
        if not (vars or chunks or metrics):
            return self._end(id, b'"result":{"output":%s}' % output)
        parts = [b'"output":', output]
        if vars:
            written = [encode(key) + b":" + data for key, data in vars.items() if data is not None]
            deleted = [key for key, data in vars.items() if data is None]
            if written:
                parts += [b',"vars":{', b",".join(written), b"}"]
            if deleted:
                parts += [b',"deleted":', encode(deleted)]
        if chunks:
            parts.append(b',"chunks":%d' % chunks)
        if metrics:
            parts += [b',"metrics":', encode(dict(metrics))]
        return self._end(id, b'"result":{' + b"".join(parts) + b"}")

    def error(self, id: Any, code: int | str, message: str, **data: Any) -> bytes:
        """The terminal frame of a call that failed; `data` as in `error_body`."""
        body = error_body(code, message, **data)
        try:
            return self._end(id, b'"error":' + encode(body))
        except InvalidValue as fault:
            body["data"].pop("details", None)
            body["data"].pop("cause", None)
            body["message"] = f"{_clean(message)} (its details cannot travel: {_clean(str(fault))})"
            body["data"]["traceback"] = _clean(body["data"].get("traceback", ""))
            return self._end(id, b'"error":' + encode(body))

    def _end(self, id: Any, body: bytes) -> bytes:
        if id not in self._open:
            self.dropped += 1
            return b""
        self._open.discard(id)
        name = b"%d" % id if id.__class__ is int else encode(id)
        frame = b'{"jsonrpc":"2.0","id":%s,%s}\n' % (name, body)
        if len(frame) - 1 <= self.max_frame_bytes:
            return frame
        said = f"the answer is a frame of {len(frame) - 1} bytes, over the cap of {self.max_frame_bytes}"
        error = encode(error_body(4005, said, retryable=False))
        return b'{"jsonrpc":"2.0","id":%s,"error":%s}\n' % (name, error)

    def chunk(self, id: Any, seq: int, data: bytes) -> bytes:
        """A part of the output; `data` is checked bytes.

        Raises:
            ValueError: The frame would be over the cap.
        """
        frame = b'{"jsonrpc":"2.0","method":"node/chunk","params":{"id":%s,"seq":%d,"data":%s}}\n' % (
            _id_bytes(id),
            seq,
            data,
        )
        if len(frame) - 1 > self.max_frame_bytes:
            raise ValueError(f"a chunk of {len(data)} bytes is over the cap of {self.max_frame_bytes}")
        return self._tell("stream", id, frame)

    def progress(self, id: Any, done: float, total: float | None, message: str | None) -> bytes:
        """How far a call has come."""
        params: dict[str, Any] = {"id": id, "progress": done}
        params.update({k: v for k, v in (("total", total), ("message", message)) if v is not None})
        return self._tell("progress", id, _notification("node/progress", params))

    def log(self, id: Any, level: str, message: str, data: Any = None) -> bytes:
        """A log line, of a call or (with id None) of the process."""
        params: dict[str, Any] = {"level": level, "message": message}
        params.update({k: v for k, v in (("id", id), ("data", data)) if v is not None})
        return self._tell("log", id, _notification("node/log", params))

    def drained(self, id: Any) -> bytes:
        """The answer to `node/shutdown`, when nothing is in flight any more."""
        return b'{"jsonrpc":"2.0","id":%s,"result":{}}\n' % _id_bytes(id)

    def _tell(self, feature: str, id: Any, frame: bytes) -> bytes:
        if (
            feature in self.features
            and (id is None or id in self._open)
            and len(frame) <= self.max_frame_bytes
        ):
            return frame
        self.dropped += 1
        return b""

    def _reply(self, id: Any, result: bytes) -> None:
        self._out.append(b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (_id_bytes(id), result))

    def _refuse(self, id: Any, code: int, message: str, **data: Any) -> None:
        body = encode(error_body(code, _clean(message), type="ProtocolError", **data))
        name = b"null" if id is None else _id_bytes(id)
        self._out.append(b'{"jsonrpc":"2.0","id":%s,"error":%s}\n' % (name, body))

    def _refuse_value(self, id: Any, fault: InvalidValue) -> None:
        self._refuse(id, 4001, f"the call holds what cannot travel: {fault}", retryable=False, started=False)


def _notification(method: str, params: dict[str, Any]) -> bytes:
    return b'{"jsonrpc":"2.0","method":"%s","params":%s}\n' % (method.encode(), encode(params))


def _id_bytes(id: Any) -> bytes:
    return b"%d" % id if type(id) is int else encode(id)


def _is_id(value: Any) -> bool:
    return type(value) is int or type(value) is str


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
