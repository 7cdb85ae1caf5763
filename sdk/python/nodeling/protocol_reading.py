"""Small judgements of what a node sent, each a pure function of one piece of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodeling.protocol_errors import WireError
from nodeling.protocol_events import LogLine, Progress
from nodeling.protocol_requests import PROTOCOL_VERSION
from nodeling.values import encode

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = [
    "LONGEST_QUOTE",
    "hello_fault",
    "is_id",
    "is_number",
    "log_line",
    "progress_of",
    "quote",
    "result_fault",
    "violation",
]

LONGEST_QUOTE = 200  # of a line that is quoted in a message


def log_line(id: int | None, params: dict[str, Any]) -> LogLine:
    """A node's log line, made whole."""
    level, text, logger = params.get("level"), params.get("message"), params.get("logger")
    return LogLine(
        id,
        level if isinstance(level, str) else "info",
        text if isinstance(text, str) else encode(text).decode("utf-8"),
        params.get("data"),
        logger if isinstance(logger, str) else None,
        params.get("ts"),
    )


def progress_of(id: int, params: dict[str, Any]) -> Progress:
    """A node's report of progress, made whole."""
    total, text = params.get("total"), params.get("message")
    known = total if is_number(total) else None
    return Progress(id, params["progress"], known, text if isinstance(text, str) else None)


def violation(message: str) -> WireError:
    """The error of a call whose node broke the protocol."""
    return WireError(9004, message, "ProtocolError")


def quote(line: bytes) -> str:
    """The beginning of a line, escaped for a message."""
    text = line[:LONGEST_QUOTE].decode("utf-8", "backslashreplace")
    return ascii(text) + ("…" if len(line) > LONGEST_QUOTE else "")


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a value is what a host uses for ids."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """Whether a value is a number; a boolean is none."""
    return type(value) in (int, float)


def hello_fault(found: Any) -> str | None:
    """What is wrong with an answer to `node/hello`; None when nothing is."""
    if not isinstance(found, dict):
        return "is no object"
    if found.get("protocol") != PROTOCOL_VERSION or found.get("protocol") is True:
        return f"says protocol {found.get('protocol')!r}; this host speaks {PROTOCOL_VERSION}"
    many = found.get("max_concurrency", 1)
    if not is_id(many) or many < 1:
        return f"says max_concurrency {many!r}; it is an integer from 1 on"
    features = found.get("features", [])
    if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
        return "has features that are no list of names"
    return None


def result_fault(result: Any, chunks: int) -> str | None:
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
