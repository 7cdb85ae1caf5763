"""Write CSV. The file appears whole, or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from nodeling import Context, NodeError
from nodeling_nodes import _files

FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Lay out the rows, then write them."""
    rows, path = inputs["rows"], inputs["path"]
    columns = inputs.get("columns") or _columns(rows)
    records = [_record(index, row, columns, inputs) for index, row in enumerate(rows)]
    encoding = inputs.get("encoding", "utf-8")
    with _files.replacing(path, keep=inputs.get("keep", False)) as file:
        try:
            text = io.TextIOWrapper(file, encoding=encoding, newline="", write_through=True)
        except LookupError as error:
            raise NodeError(f"there is no encoding {encoding!r}", code=4001, retryable=False) from error
        try:
            writer = csv.writer(
                text, delimiter=inputs.get("delimiter", ","), lineterminator=inputs.get("line_end", "\n")
            )
        except (TypeError, ValueError) as error:
            raise NodeError(
                f"CSV cannot be written like that: {error}", code=4001, retryable=False
            ) from error
        try:
            if inputs.get("header", True):
                writer.writerow(columns)
            writer.writerows(records)
            text.flush()
        except UnicodeEncodeError as error:
            said = f"{error.object[error.start : error.end]!r}"
            raise NodeError(f"{path}: {encoding} cannot write {said}", code=4001, retryable=False) from error
        text.detach()
        size = file.tell()
    ctx.metric("rows", len(rows))
    return {"path": path, "rows": len(rows), "bytes": size, "columns": columns}


def _columns(rows: list[Any]) -> list[str]:
    found: dict[str, None] = {}
    for index, row in enumerate(rows):
        if isinstance(row, list):
            raise _refusal(f"row {index} is a list, and there are no `columns`")
        found.update(dict.fromkeys(row))
    return list(found)


def _record(index: int, row: Any, columns: list[str], inputs: Mapping[str, Any]) -> list[Any]:
    if isinstance(row, list):
        if len(row) != len(columns):
            raise _refusal(f"row {index} has {len(row)} fields where there are {len(columns)} columns")
        values = row
    else:
        extra = [key for key in row if key not in columns] if inputs.get("extra", "fail") == "fail" else []
        if extra:
            raise _refusal(f"row {index} has {extra[0]!r}, which is none of `columns`", "`extra: drop`")
        values = [row.get(name) for name in columns]
    return [_field(value, inputs.get("guard_formulas", False)) for value in values]


def _field(value: Any, guard: bool) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if guard and isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value


def _refusal(message: str, hint: str | None = None) -> NodeError:
    return NodeError(message, code=4001, retryable=False, hint=hint)
