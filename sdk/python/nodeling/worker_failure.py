"""What a node raised, as the error of its call; the same words as for a node in the runtime's process.

Invariant: no secret of the call stands in any text that leaves this process as an error or a log line.
"""

from __future__ import annotations

from nodeling._plain import InvalidValue
from nodeling.errors import NodeError, NodelingError
from nodeling.protocol_blobs import BlobError
from nodeling.protocol_errors import MAX_CAUSES

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Mask", "failure_of"]

MASKED = "***"
SHORTEST_LINE = 8  # a shorter line of a longer secret tells nothing and stands everywhere


class Mask:
    """Knows the secrets of one call."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[Any]) -> None:
        self._pattern: re.Pattern[str] | None = None
        words: set[str] = set()
        for secret in secrets:
            if isinstance(secret, str) and secret.strip():
                lines = [line.strip() for line in secret.splitlines()]
                words.update(
                    [secret, *(line for line in lines[1:] + lines[:-1] if len(line) >= SHORTEST_LINE)]
                )
        if not words:
            return
        import re

        longest_first = sorted(words, key=lambda word: (-len(word), word))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """A text without the secrets."""
        return text if self._pattern is None else self._pattern.sub(MASKED, text)

    def value(self, value: Any) -> Any:
        """A value, the secrets masked in every text and key of it."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value


def failure_of(error: BaseException, *, is_loaded: bool = True) -> dict[str, Any]:
    """The arguments of `NodeConnection.error` for what a node raised."""
    if isinstance(error, InvalidValue):
        message = f"the output is no JSON value: {error}"
        return {"code": 4006, "message": message, "type": "InvalidOutput", "retryable": False}
    if isinstance(error, BlobError):
        return {"code": 4001, "message": str(error), "type": "BlobError", "retryable": False}
    if isinstance(error, NodeError):
        return {
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
            "retry_after_ms": error.retry_after_ms,
            "started": None if error.started else False,
            "details": {"hint": error.hint, **error.details} if error.hint else error.details,
            "cause": _cause(error, MAX_CAUSES),
        }
    name = type(error).__name__
    if isinstance(error, NodelingError) and not isinstance(error.code, int):
        return {"code": error.code, "message": str(error), "type": name, "details": error.details}
    said = _text_of(error)
    message = f"{name}: {said}" if said else name
    if not is_loaded:
        message = f"its code does not load: {message}"
        return {
            "code": "node.import",
            "message": message,
            "type": name,
            "retryable": False,
            "traceback": _trace(error),
        }
    return {
        "code": 4000,
        "message": message,
        "type": name,
        "traceback": _trace(error),
        "cause": _cause(error, MAX_CAUSES),
    }


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # a message that cannot be made must not hide the error
        return f"(its message cannot be read: {type(fault).__name__})"


def _trace(error: BaseException) -> str:
    """The traceback from the first frame on that is not the worker's own."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if not _is_workers(frame.filename)]
    kept = frames[own[0] :] if own else frames[-1:]
    lines = [*traceback.format_list(kept), *traceback.format_exception_only(type(error), error)]
    return "".join(lines)


_HERE = __file__.rpartition("worker_failure")[0]


def _is_workers(filename: str) -> bool:
    return filename.startswith(_HERE + "worker") or filename.startswith("<frozen ")


def _cause(error: BaseException, depth: int) -> dict[str, Any] | None:
    cause = error.__cause__
    if cause is None or depth == 0:
        return None
    found: dict[str, Any] = {"type": type(cause).__name__, "message": _text_of(cause)}
    inner = _cause(cause, depth - 1)
    return found if inner is None else {**found, "cause": inner}
