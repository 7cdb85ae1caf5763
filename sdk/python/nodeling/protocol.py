"""NSP/1, the protocol between a host and a node in another process: pure, no I/O in it.

One JSON object on each line, in a JSON-RPC 2.0 envelope; docs/reference/protocol.md has the rules.
This module is the door: codec, both ends of a connection, errors and blob values.

The host's end takes bytes and gives events; whatever has to be written comes back as bytes:

    connection = HostConnection(channel="fd", host=("nodeling", "0.1.0"))
    write(connection.hello(blob_dir="/dev/shm/nodeling-7"))
    for event in connection.receive(read()):           # Ready, or Refused
        ...
    if connection.has_room:                            # ready, and below max_concurrency
        context = context_bytes(vars={"limit": b"3"}, run_id="r1", step="load", attempt=1)
        id, frame = connection.invoke("load", b'{"url":"x"}', context=context, meta={"progress": True})
        write(frame)                                   # one writer, whole frames
    while data := read():
        for event in connection.receive(data):
            if isinstance(event, Output):
                succeed(event.id, event.data, event.vars)    # checked bytes; None in vars deletes
            elif isinstance(event, Failed):
                fail(event.id, event.error)            # its slot is free when event.is_released
            elif isinstance(event, Released):
                ...                                    # the end of a call that answer(id) took over
            elif isinstance(event, Violation) and event.is_fatal:
                kill()
    lost = connection.eof()                            # Closed: lost.open are the calls that crashed

To end a call: `write(connection.cancel(id, "deadline"))`; when it does not end in time,
`if connection.answer(id): fail(id, …)` and kill the process, or wait for `Released`. `answer` says
whether the caller still waited, so a caller never hears twice. `has_room` and `inflight` count slots,
not callers. `ping()` and `shutdown(grace_ms)` give empty bytes for nodes that lack them. A generator's
output that is the list of its chunks comes as `Output(is_assembled=True)`: the host has the chunks.
"""

from __future__ import annotations

from nodeling.protocol_blobs import BlobError, BlobRef, blobs_in, escape_blobs, unescape_blobs
from nodeling.protocol_errors import CODES, CodeInfo, WireError, error_body, is_host_code, read_error
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
    Tail,
    join_object,
    read_frame,
)
from nodeling.protocol_host import HostConnection
from nodeling.protocol_node import Cancel, Credit, Greeting, Invoke, Lost, NodeConnection, Shutdown
from nodeling.protocol_requests import FEATURES, PROTOCOL_VERSION, FrameTooLarge, context_bytes

__all__ = [
    "CODES",
    "FEATURES",
    "MAX_FRAME_BYTES",
    "PROTOCOL_VERSION",
    "BlobError",
    "BlobRef",
    "Cancel",
    "Chunk",
    "Closed",
    "CodeInfo",
    "Credit",
    "Drained",
    "Failed",
    "Frame",
    "FrameReader",
    "FrameTooLarge",
    "Greeting",
    "HostConnection",
    "Invoke",
    "LogLine",
    "Lost",
    "NodeConnection",
    "NotFrame",
    "Output",
    "Overrun",
    "Oversize",
    "Pong",
    "Progress",
    "Ready",
    "Refused",
    "Released",
    "Shutdown",
    "StrayLine",
    "Tail",
    "Violation",
    "WireError",
    "blobs_in",
    "context_bytes",
    "error_body",
    "escape_blobs",
    "is_host_code",
    "join_object",
    "read_error",
    "read_frame",
    "unescape_blobs",
]
