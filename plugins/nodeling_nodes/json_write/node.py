"""Write JSON. The file appears whole, or not at all."""

from __future__ import annotations

import json
from typing import Any

from nodeling import Context, NodeError
from nodeling_nodes import _files

LINES = (".jsonl", ".ndjson")


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Write the whole, or a line for each item."""
    path, data = inputs["path"], inputs["data"]
    keys = inputs.get("sort_keys", False)
    if inputs.get("lines", path.lower().endswith(LINES)):
        if not isinstance(data, list):
            raise NodeError(f"{path} takes a list, a line for each item", code=4001, retryable=False)
        parts = [json.dumps(item, ensure_ascii=False, sort_keys=keys, separators=(",", ":")) for item in data]
    else:
        indent = inputs.get("indent", 2) or None
        parts = [json.dumps(data, ensure_ascii=False, sort_keys=keys, indent=indent)]
    size = 0
    with _files.replacing(path, keep=inputs.get("keep", False)) as file:
        for part in parts:
            size += file.write(part.encode() + b"\n")
    return {"path": path, "bytes": size}
