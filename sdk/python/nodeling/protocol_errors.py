"""The errors of NSP/1: what each code means, and how an error looks on the wire.

Invariant: an error that leaves a node fits its limits (traceback, causes) and never carries a code of
the 9000s, which only a host may make; an error that enters a host is well formed whatever was sent.
"""

from __future__ import annotations

from nodeling._record import NamedTuple

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "CODES",
    "LONGEST_TRACEBACK",
    "MAX_CAUSES",
    "CodeInfo",
    "WireError",
    "error_body",
    "is_host_code",
    "read_error",
]

LONGEST_TRACEBACK = 32 * 1024  # bytes
MAX_CAUSES = 5
LONGEST_MESSAGE = 64 * 1024  # characters


class CodeInfo(NamedTuple):
    """What a code means; `retryable` None leaves it to the step."""

    name: str
    retryable: bool | None
    is_host: bool = False


CODES: dict[int, CodeInfo] = {
    -32700: CodeInfo("parse_error", False),
    -32600: CodeInfo("invalid_request", False),
    -32601: CodeInfo("unknown_method", False),
    -32602: CodeInfo("bad_params", False),
    -32603: CodeInfo("internal_error", False),
    -32800: CodeInfo("cancelled", False),
    4000: CodeInfo("user_error", None),
    4001: CodeInfo("invalid_input", False),
    4002: CodeInfo("invalid_config", False),
    4003: CodeInfo("permission_denied", False),
    4004: CodeInfo("unknown_node", False),
    4005: CodeInfo("payload_too_large", False),
    4006: CodeInfo("invalid_output", False),
    4010: CodeInfo("unsupported", False),
    4100: CodeInfo("unsupported_protocol", False),
    5000: CodeInfo("transient", True),
    5001: CodeInfo("rate_limited", True),
    5002: CodeInfo("overloaded", True),
    5004: CodeInfo("deadline_exceeded", True),
    5005: CodeInfo("dependency_unavailable", True),
    9001: CodeInfo("spawn_failed", True, True),
    9002: CodeInfo("handshake_failed", True, True),
    9003: CodeInfo("crashed", True, True),
    9004: CodeInfo("protocol_violation", False, True),
    9005: CodeInfo("killed_deadline", True, True),
    9006: CodeInfo("killed_cancel", False, True),
    9008: CodeInfo("killed_memory", True, True),
    9009: CodeInfo("host_shutdown", False, True),
    9010: CodeInfo("unresponsive", True, True),
}


def is_host_code(code: object) -> bool:
    """Whether a code belongs to hosts and may not stand on the wire."""
    return isinstance(code, int) and 9000 <= code <= 9999


class WireError(NamedTuple):
    """Why a call has no output, as a host sees it.

    `code` is a dotted word where the node's SDK sent one in `data.code`.
    """

    code: int | str
    message: str
    type: str = "NodeError"
    retryable: bool | None = None
    retry_after_ms: float | None = None
    started: bool = True
    details: dict[str, Any] = {}  # never changed
    traceback: str | None = None
    cause: dict[str, Any] | None = None

    def can_retry(self) -> bool | None:
        """What the node said, else what the code means; None leaves it to the step."""
        if self.retryable is not None:
            return self.retryable
        info = CODES.get(self.code) if isinstance(self.code, int) else None
        return info.retryable if info else (False if isinstance(self.code, str) else None)

    def all_details(self) -> dict[str, Any]:
        """The details with the traceback and the cause among them, as a run's result shows them."""
        found = dict(self.details)
        if self.traceback is not None:
            found["traceback"] = self.traceback
        if self.cause is not None:
            found["cause"] = self.cause
        return found


def error_body(
    code: int | str,
    message: str,
    *,
    type: str = "NodeError",
    retryable: bool | None = None,
    retry_after_ms: float | None = None,
    started: bool | None = None,
    details: Mapping[str, Any] | None = None,
    traceback: str | None = None,
    cause: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The `error` member of a frame. `more` are further members of its `data`, as `supported`."""
    data: dict[str, Any] = {"type": type, **more}
    number = code if isinstance(code, int) else 4000
    if isinstance(code, str):
        data["code"] = code
    elif is_host_code(code):
        number, details = 4000, {**(details or {}), "code": code}
    optional = {"retryable": retryable, "retry_after_ms": retry_after_ms, "started": started}
    data.update({name: value for name, value in optional.items() if value is not None})
    if details:
        data["details"] = dict(details)
    if traceback:
        data["traceback"] = _last_bytes(traceback, LONGEST_TRACEBACK)
    if cause:
        data["cause"] = _causes(cause, MAX_CAUSES)
    return {"code": number, "message": message[:LONGEST_MESSAGE], "data": data}


def _last_bytes(text: str, limit: int) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return text if len(data) <= limit else data[-limit:].decode("utf-8", "ignore")


def _causes(cause: Mapping[str, Any], depth: int) -> dict[str, Any]:
    found = {name: value for name, value in cause.items() if name != "cause"}
    inner = cause.get("cause")
    if isinstance(inner, dict) and depth > 1:
        found["cause"] = _causes(inner, depth - 1)
    return found


def read_error(error: Any) -> WireError:
    """The error of a frame that came in; one that is malformed is a 9004."""
    if not isinstance(error, dict):
        return WireError(9004, "the node sent an error that is no object", "ProtocolError")
    code, message, data = error.get("code"), error.get("message"), error.get("data")
    if isinstance(code, bool) or not isinstance(code, int):
        return WireError(9004, f"the node sent an error whose code is no integer: {code!r}", "ProtocolError")
    text = message if isinstance(message, str) and message else "the node gave no message"
    if is_host_code(code):
        why = f"the node sent the code {code}, which only a host may make: {text}"
        return WireError(9004, why, "ProtocolError", details={"code": code})
    return _with_data(code, text, data if isinstance(data, dict) else {})


def _with_data(code: int, message: str, data: dict[str, Any]) -> WireError:
    word = data.get("code")
    details, trace, cause = data.get("details"), data.get("traceback"), data.get("cause")
    wait, kind = data.get("retry_after_ms"), data.get("type")
    return WireError(
        code=word if isinstance(word, str) and word else code,
        message=message,
        type=kind if isinstance(kind, str) and kind else "NodeError",
        retryable=data["retryable"] if isinstance(data.get("retryable"), bool) else None,
        retry_after_ms=wait if isinstance(wait, (int, float)) and not isinstance(wait, bool) else None,
        started=data.get("started") is not False and code not in (5002, 4004, 4100),
        details=details if isinstance(details, dict) else {} if details is None else {"details": details},
        traceback=_last_bytes(trace, LONGEST_TRACEBACK) if isinstance(trace, str) else None,
        cause=_causes(cause, MAX_CAUSES) if isinstance(cause, dict) else None,
    )
