"""From a node call to what travels with it, and from what came back to the call's outcome.

Invariant: only bytes that a `Value` or the encoder checked are spliced into a frame, and no more of the
context is sent than the node's `reads` ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from nodeling.protocol import FrameTooLarge, WireError
from nodeling.values import encode
from nodeling_runtime.blobs import BlobFault
from nodeling_runtime.dispatch.base import CallError, NodeCall
from nodeling_runtime.dispatch.exec_result import Refused, error_of

_REQUEST_PARTS = ("method", "headers", "query", "params", "path", "body")
NOTHING = b"{}"


def context_of(call: NodeCall, work_dir: str) -> bytes:
    """The `context` member of a call."""
    found: dict[str, Any] = {
        "run_id": call.run_id,
        "step": call.step,
        "attempt": call.attempt,
        "idempotency_key": call.idempotency_key(),
        "work_dir": work_dir,
    }
    error = call.source.part("error")
    if error is not None:
        found["error"] = orjson.Fragment(error)
    if call.spec.manifest.reads:
        _add_readable(call, found)
    return orjson.dumps(found)


def unsent(call: NodeCall, error: FrameTooLarge | BlobFault | Refused) -> CallError:
    """Why a call was not sent."""
    name = call.spec.name
    if isinstance(error, Refused):
        found = error.error
        found.message = f"{name}: {found.message}"
        return found
    if isinstance(error, BlobFault):
        code = error.code if isinstance(error.code, int) else 4001
        return error_of(code, f"{name}: {error.message}", started=False)
    message = f"{name}: {error}; pass large values as inputs, which travel as files where a node takes them"
    return error_of(4005, message, started=False)


def config_of(call: NodeCall) -> bytes:
    """The `config` member of a call."""
    return encode(dict(call.config)) if call.config else NOTHING


def _add_readable(call: NodeCall, found: dict[str, Any]) -> None:
    for wanted in call.spec.manifest.reads:
        part, _, name = wanted.partition(".")
        if part == "vars":
            _add_variables(call, found, call.source.keys() if name == "*" else [name])
        elif part == "request":
            names = [name] if name and name != "*" else _REQUEST_PARTS
            into = found.setdefault("request", {})
            into.update(_fragments({name: call.source.part(f"request.{name}") for name in names}))
        elif part not in found:
            found.update(_fragments({part: call.source.part(part)}))


def _add_variables(call: NodeCall, found: dict[str, Any], names: list[str]) -> None:
    source = call.source
    found.setdefault("vars", {}).update(_fragments({name: source.read(name) for name in names}))
    writers = {name: source.who(name) for name in names}
    found.setdefault("writers", {}).update({name: who for name, who in writers.items() if who is not None})


def _fragments(values: Mapping[str, bytes | None]) -> dict[str, orjson.Fragment]:
    return {name: orjson.Fragment(data) for name, data in values.items() if data is not None}


def call_error(error: WireError) -> CallError:
    """What a node said, as the engine takes it."""
    return CallError(
        error.code,
        error.message,
        error.type,
        error.retryable,
        error.retry_after_ms,
        started=error.started,
        details=error.all_details(),
    )
