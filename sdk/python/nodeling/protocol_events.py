"""What a host learns from a connection: one small immutable value for each thing that happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nodeling.protocol_errors import WireError

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = [
    "Chunk",
    "Closed",
    "Drained",
    "Failed",
    "LogLine",
    "Output",
    "Pong",
    "Progress",
    "Ready",
    "Refused",
    "Released",
    "StrayLine",
    "Violation",
]


class Ready(NamedTuple):
    """The handshake is done. `level` is 1 for a node that knows `node/invoke` alone."""

    level: int
    name: str
    version: str
    sdk: dict[str, Any]
    features: frozenset[str]
    max_concurrency: int
    nodes: tuple[str, ...]


class Refused(NamedTuple):
    """The handshake failed; the process is of no use."""

    error: WireError


class Output(NamedTuple):
    """A call succeeded. `data` is the output as checked, compact bytes; `value` the same decoded."""

    id: int
    data: bytes
    value: Any
    vars: dict[str, bytes | None]
    chunks: int
    metrics: dict[str, float]
    is_assembled: bool  # whether the output is the list of the chunks, which the host has


class Failed(NamedTuple):
    """A call failed. Its slot is free when `is_released`; otherwise `Released` follows."""

    id: int
    error: WireError
    is_released: bool = True


class Released(NamedTuple):
    """The terminal frame of a call whose caller has been answered already: its slot is free now."""

    id: int
    ending: str


class Progress(NamedTuple):
    """How far a call has come."""

    id: int
    progress: float
    total: float | None
    message: str | None


class LogLine(NamedTuple):
    """A line a node logged, of a call or of itself."""

    id: int | None
    level: str
    message: str
    data: Any
    logger: str | None
    ts: Any


class Chunk(NamedTuple):
    """A part of a call's output, as checked bytes."""

    id: int
    seq: int
    data: bytes
    value: Any
    port: str | None


class Pong(NamedTuple):
    """The node is alive."""

    inflight: int
    rss_bytes: int | None


class Drained(NamedTuple):
    """The answer to `node/shutdown`: no work is left, the process will exit."""


class StrayLine(NamedTuple):
    """Text on stdout that is no frame (channel `stdio` only)."""

    text: str


class Violation(NamedTuple):
    """The node broke the protocol. When `is_fatal` nothing it says can be trusted any more."""

    message: str
    is_fatal: bool


class Closed(NamedTuple):
    """The channel has ended. `open` are the calls whose callers still wait; they crashed with the node."""

    open: tuple[int, ...]
    tail_bytes: int


if TYPE_CHECKING:
    HostEvent: TypeAlias = (
        "Ready | Refused | Output | Failed | Released | Progress | LogLine | Chunk | Pong | Drained"
        " | StrayLine | Violation | Closed"
    )
