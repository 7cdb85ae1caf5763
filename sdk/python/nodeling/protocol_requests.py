"""What a host sends: its requests, each with an id of its own, and what is known of those under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nodeling.protocol_frames import MAX_FRAME_BYTES, FrameReader, join_object
from nodeling.values import encode

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["FEATURES", "PROTOCOL_VERSION", "FrameTooLarge", "HostRequests", "Request", "context_bytes"]

PROTOCOL_VERSION = 1  # one integer, raised only when old nodes break; everything else is a feature
FEATURES = ("blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream")
SPILL_BYTES = 1024 * 1024
_INVOKE = (  # the name and what is told of every call first, the rest with each
    b'{"jsonrpc":"2.0","id":%%d,"method":"node/invoke","params":'
    b'{"node":%b,"input":%%b,"config":%%b,"secrets":%%b,"context":%%b%%b%b}}\n'
)


class FrameTooLarge(ValueError):
    """A frame would be over the cap; the call fails with 4005, and nothing was sent."""


class Request:
    """A request that has not had its terminal frame."""

    __slots__ = ("chunks", "credit", "is_answered", "is_cancelled", "kind")

    def __init__(self, kind: str, credit: int | None = None) -> None:
        self.kind = kind
        self.credit = credit
        self.chunks = 0
        self.is_answered = False
        self.is_cancelled = False


class HostRequests:
    """The sending half of `HostConnection`.

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
        self._open: dict[int, Request] = {}
        self.inflight = 0  # calls that hold a slot, also when their callers were answered before their end
        self._node: str | None = None
        self._meta: Mapping[str, Any] | None = None
        self._invoke = b""
        self._credit: int | None = None

    # --- What the host asks -----------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether another call may be sent now."""
        return self.state == "ready" and self.inflight < self.max_concurrency

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
        if self.state != "ready" or self.inflight >= self.max_concurrency:
            raise RuntimeError(f"no call may be sent now: {self.state}, {self.inflight} calls open")
        if node is not self._node or meta is not self._meta:  # most hosts say the same with every call
            self._remember(node, meta)
        known = encode(dict(secrets)) if secrets else b"{}"
        rest = b"" if deadline_ms is None else b',"deadline":%d' % deadline_ms
        id = self._next
        frame = self._invoke % (id, input, config, known, context, rest)
        size = len(frame) - 1
        if frame.find(b"\n") != size:
            raise ValueError(_unchecked(input=input, config=config, context=context))
        if size > self.max_frame_bytes:
            self._check_size(frame)
        self._next = id + 1
        self._open[id] = Request("invoke", self._credit)
        self.inflight += 1
        return id, frame

    def _remember(self, node: str, meta: Mapping[str, Any] | None) -> None:
        stream = meta.get("stream") if meta else None
        self._credit = (
            stream.get("credit") if isinstance(stream, Mapping) and "credit" in self.features else None
        )
        told = b',"_meta":' + encode(dict(meta)) if meta else b""
        self._invoke = _INVOKE % (encode(node).replace(b"%", b"%%"), told.replace(b"%", b"%%"))
        self._node, self._meta = node, meta

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

    def _request(self, kind: str, method: str, params: bytes) -> tuple[int, bytes]:
        id = self._next
        frame = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}\n' % (id, method.encode(), params)
        self._check_size(frame)
        self._next = id + 1
        self._open[id] = Request(kind)
        return id, frame

    def _check_size(self, frame: bytes) -> None:
        size = len(frame) - 1
        if size > self.max_frame_bytes:
            raise FrameTooLarge(f"a frame of {size} bytes is over the cap of {self.max_frame_bytes}")

    def _expect_state(self, state: str) -> None:
        if self.state != state:
            raise RuntimeError(f"the connection is {self.state}, not {state}")


def context_bytes(vars: Mapping[str, bytes] | None = None, **members: Any) -> bytes:
    """The `context` of a call: `run_id`, `step`, … encoded, and `vars` spliced as checked bytes."""
    found = [(name, encode(value)) for name, value in members.items() if value is not None]
    if vars is not None:
        found.append(("vars", join_object(vars.items())))
    return join_object(found)


def _unchecked(**parts: bytes) -> str:
    name = next(name for name, value in parts.items() if b"\n" in value)
    return f"the bytes of {name!r} hold a line feed: only checked values may be spliced"


def _notification(method: str, params: dict[str, Any]) -> bytes:
    return b'{"jsonrpc":"2.0","method":"%s","params":%s}\n' % (method.encode(), encode(params))
