"""Bring together what the others found; null stands where one failed."""

from __future__ import annotations

from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Merge what there is."""
    report: dict[str, Any] = {"lines": len(inputs["lines"])}
    for result in inputs["results"]:
        if isinstance(result, dict):
            report.update(result)
        elif isinstance(result, str):
            report["loud"] = result
    return {**report, "failed": inputs.get("failed", [])}
