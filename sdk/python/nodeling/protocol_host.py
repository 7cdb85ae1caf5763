"""The host's end of a connection: bytes in, events out, frames to be written by somebody else.

Invariant: every request that was sent is answered to its caller exactly once, and its slot is free
only when its terminal frame has come or the process is gone. Whatever else the node sends is counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nodeling._plain import InvalidValue
from nodeling.protocol_errors import WireError, read_error
from nodeling.protocol_events import (
    Chunk,
    Closed,
    Drained,
    Failed,
    Output,
    Pong,
    Ready,
    Refused,
    Released,
    StrayLine,
    Violation,
)
from nodeling.protocol_frames import Frame, Oversize, has_duplicate_members, head_members, read_frame
from nodeling.protocol_reading import (
    LONGEST_QUOTE,
    hello_fault,
    is_id,
    is_number,
    log_line,
    progress_of,
    quote,
    result_fault,
    violation,
)
from nodeling.protocol_requests import HostRequests, Request
from nodeling.values import decode_and_encode, encode_decoded

if TYPE_CHECKING:
    from nodeling.protocol_events import HostEvent

__all__ = ["HostConnection"]

_plain_head = re.compile(rb'{"jsonrpc":"2\.0","id":([1-9][0-9]{0,15}),"result":{"output":').match
_FEATURE_OF = {"node/progress": "progress", "node/log": "log", "node/chunk": "stream"}


class HostConnection(HostRequests):
    """One node process, as its host talks to it.

    Args:
        channel: `fd`, where every line must be a frame, or `stdio`, where others are log lines.
        max_frame_bytes: The cap in both directions.
        offered: The features the host is ready to use.
        host: Its name and version.
    """

    # --- What comes in ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[HostEvent]:
        """Take the next bytes from the node."""
        if not self._reader.held and data.find(b"\n") == len(data) - 1 <= self.max_frame_bytes:
            output = self._plain_output(data[:-1])  # one whole frame with one result, as nearly always
            if output is not None:
                return [output]
        events: list[HostEvent] = []
        for found in self._reader.lines(data):
            if isinstance(found, bytes):
                output = self._plain_output(found)
                if output is None:
                    self._line(found, events)
                else:
                    events.append(output)
            elif isinstance(found, Oversize):
                self._oversize(found, events)
            else:
                limit = self.max_frame_bytes
                events.append(Violation(f"the node wrote a line without end, far over {limit} bytes", True))
        return events

    def _line(self, line: bytes, events: list[HostEvent]) -> None:
        found = read_frame(line)
        if isinstance(found, Frame):
            self._frame(found, events)
        else:
            self._stray(found.line, found.reason, events)

    def eof(self) -> Closed:
        """The channel has ended: nothing more will come."""
        tail = self._reader.eof()
        waiting = [id for id, r in self._open.items() if r.kind == "invoke" and not r.is_answered]
        self._open.clear()
        self.inflight = 0
        self.state = "closed"
        return Closed(tuple(waiting), tail.size if tail else 0)

    def _stray(self, line: bytes, reason: str, events: list[HostEvent]) -> None:
        self.counts["stray"] += 1
        if self.channel == "stdio":
            events.append(StrayLine(line.decode("utf-8", "backslashreplace")))
            return
        events.append(Violation(f"the node wrote a line that is no frame ({reason}): {quote(line)}", True))

    def _oversize(self, event: Oversize, events: list[HostEvent]) -> None:
        members = head_members(event.head)
        what = f"a frame of {event.size} bytes is over the cap of {self.max_frame_bytes}"
        id = members.get("id")
        if is_id(id) and "method" not in members and id in self._open:
            self._end(id, WireError(4005, f"{what}; return large values as blobs"), events)
        elif self.channel == "stdio" and "jsonrpc" not in members:
            self._stray(event.head[:LONGEST_QUOTE], what, events)
        else:
            events.append(Violation(f"{what}, and whose it was cannot be told: {quote(event.head)}", True))

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

    def _plain_output(self, line: bytes) -> Output | None:
        """Take a result that is all output, when its frame has the form that nearly all have.

        What stands between the head and the tail is one whole value, or it is not taken here: so the frame
        names no member twice and holds nothing else, and need not be read as a whole.
        """
        head = _plain_head(line)
        if head is None or not line.endswith(b"}}"):
            return None
        id = int(head[1])
        request = self._open.get(id)
        if request is None or request.kind != "invoke" or request.is_answered or request.chunks:
            return None
        try:
            value, data = decode_and_encode(line[head.end() : -2])
        except InvalidValue:
            return None
        del self._open[id]
        self.inflight -= 1
        return Output(id, data, value, {}, 0, {}, False)

    def _duplicate_members(self, frame: Frame, events: list[HostEvent]) -> None:
        said = f"the node wrote a frame that names a member twice: {quote(frame.raw)}"
        id = frame.message.get("id")
        if self.channel == "stdio" and is_id(id) and id in self._open:
            self._end(id, violation(said), events)
            return
        events.append(Violation(said, self.channel == "fd"))

    def _response(self, message: dict[str, Any], frame: Frame, events: list[HostEvent]) -> None:
        id = message["id"]
        if id is None:
            self._nameless(message, events)
            return
        request = self._open.get(id) if is_id(id) else None
        if request is None:
            known = is_id(id) and 0 < id < self._next
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
            events.append(Pong(inflight if is_id(inflight) else 0, rss if is_id(rss) else None))
        elif request.kind == "shutdown":
            events.append(Drained())

    def _nameless(self, message: dict[str, Any], events: list[HostEvent]) -> None:
        """An error for no id: the node could not read what it was sent."""
        error = read_error(message.get("error"))
        said = f"the node could not read a frame: {error.message}"
        waiting = [id for id, r in self._open.items() if r.kind == "invoke"]
        if self.max_concurrency == 1 and len(waiting) == 1:
            self._end(waiting[0], violation(said), events)
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
        fault = hello_fault(found)
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
        request: Request,
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
            self._end(id, violation(f"the node answered with {what}"), events)
        elif has_error:
            self._end(id, read_error(message["error"]), events)
        elif fault is not None:
            self._end(id, WireError(4006, f"the output is no value that can travel: {fault}"), events)
        else:
            self._result(id, request, message["result"], events)

    def _result(self, id: int, request: Request, result: Any, events: list[HostEvent]) -> None:
        wrong = result_fault(result, request.chunks)
        if wrong is not None:
            self._end(id, violation(f"the node's result {wrong}"), events)
            return
        value = result["output"]
        written: dict[str, bytes | None] = {
            key: encode_decoded(item) for key, item in (result.get("vars") or {}).items()
        }
        written.update(dict.fromkeys(result.get("deleted") or ()))
        metrics = result.get("metrics")
        kept = {k: v for k, v in metrics.items() if is_number(v)} if isinstance(metrics, dict) else {}
        assembled = value is None and request.chunks > 0
        self._close(id)
        events.append(Output(id, encode_decoded(value), value, written, request.chunks, kept, assembled))

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
            self.inflight -= 1

    def _fail_early(self, id: int, request: Request, message: str, events: list[HostEvent]) -> None:
        """The call broke a rule but has not ended: its caller knows now, its slot stays taken."""
        request.is_answered = True
        events.append(Failed(id, violation(message), False))

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
            events.append(log_line(None, params))
            return
        request = self._open.get(id) if is_id(id) else None
        if request is None or request.kind != "invoke" or request.is_answered:
            known = is_id(id) and 0 < id < self._next
            self.counts["late" if known else "unknown"] += 1
        elif feature == "stream":
            self._chunk(id, request, params, fault, events)
        elif feature == "log":
            events.append(log_line(id, params))
        elif is_number(params.get("progress")):
            events.append(progress_of(id, params))

    def _chunk(
        self,
        id: int,
        request: Request,
        params: dict[str, Any],
        fault: InvalidValue | None,
        events: list[HostEvent],
    ) -> None:
        seq, wanted = params.get("seq"), request.chunks
        if not is_id(seq) or seq != wanted:
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
            events.append(
                Chunk(id, seq, encode_decoded(value), value, port if isinstance(port, str) else None)
            )
