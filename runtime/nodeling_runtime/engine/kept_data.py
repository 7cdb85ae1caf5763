"""Errors and writes as events hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.context import Delta, Write


def error_data(error: CallError | None) -> dict[str, Any] | None:
    """An error as an event holds it."""
    if error is None:
        return None
    data = {**error.to_json(), "started": error.started}
    if error.retry_after_ms is not None:
        data["retry_after_ms"] = error.retry_after_ms
    return data


def error_of(data: Mapping[str, Any] | None) -> CallError | None:
    """An error as an event held it."""
    if data is None:
        return None
    return CallError(
        data["code"],
        data["message"],
        data.get("type", "NodeError"),
        data.get("retryable"),
        data.get("retry_after_ms"),
        data.get("started", True),
        dict(data.get("details") or {}),
    )


def delta_data(delta: Delta) -> bytes | None:
    """Writes as an event holds them: by key, who wrote and what; nothing for a deletion."""
    if not delta:
        return None
    return orjson.dumps(
        {
            key: [write.step, write.who]
            if write.data is None
            else [write.step, write.who, orjson.Fragment(write.data)]
            for key, write in delta.items()
        }
    )


def delta_of(data: bytes | None) -> Delta:
    """Writes as an event held them."""
    if data is None:
        return {}
    return {
        key: Write(kept[0], orjson.dumps(kept[2]) if len(kept) > 2 else None, kept[1])
        for key, kept in orjson.loads(data).items()
    }
