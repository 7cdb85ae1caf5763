"""What stands for the mapping: it reads the file, and tells the rows as a session does."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nodeling import Context, NodeError


def run(ctx: Context, inputs: Any) -> dict[str, Any]:
    path = Path(ctx.config.get("parameters", {}).get("$$FILE", "orders.csv"))
    if not path.is_file():
        raise NodeError(f"there is no file {path}", code=4001)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    good = [row for row in rows if row["amount"]]
    ctx.metric("SrcSuccessRows", len(rows))
    ctx.metric("TgtSuccessRows", len(good))
    ctx.metric("TgtFailedRows", len(rows) - len(good))
    return {"total": round(sum(float(row["amount"]) for row in good), 2)}
