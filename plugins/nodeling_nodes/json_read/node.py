"""Read JSON, strictly, and say where it is not."""

from __future__ import annotations

import json
from typing import Any

from nodeling import Context, NodeError
from nodeling_nodes import _files

MAX_LISTED = 1_000
LINES = (".jsonl", ".ndjson")


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Read the whole, or line by line."""
    path = inputs["path"]
    with _files.opened(path, inputs.get("max_bytes", _files.MAX_BYTES)) as file:
        data = file.read()
    text = _decoded(data, path)
    if not inputs.get("lines", path.lower().endswith(LINES)):
        return {"data": _parsed(text, path, 1), "bytes": len(data), "bad": []}
    values: list[Any] = []
    bad: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append(_parsed(line, path, number))
        except NodeError as error:
            if inputs.get("bad_lines", "fail") == "fail":
                raise
            if len(bad) < MAX_LISTED:
                bad.append({"line": number, "message": error.message})
    ctx.metric("values", len(values))
    return {"data": values, "bytes": len(data), "bad": bad}


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NodeError(f"{path}:{line}: it is no UTF-8", code=4001, retryable=False) from error


def _parsed(text: str, path: str, line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"{path}:{line + error.lineno - 1}:{error.colno}"
        raise NodeError(f"{place}: {error.msg}", code=4001, retryable=False) from error
    except (ValueError, RecursionError) as error:
        raise NodeError(f"{path}:{line}: {error}", code=4001, retryable=False) from error


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
