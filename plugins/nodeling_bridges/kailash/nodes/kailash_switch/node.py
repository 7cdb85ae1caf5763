"""Pass data on to the branch that is chosen."""

from __future__ import annotations

import re
from typing import Any

from nodeling import Context


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Give the one branch; the others are absent."""
    if "condition" in inputs:
        taken = "true_output" if inputs["condition"] else "false_output"
        return {"condition_result": inputs["condition"], taken: inputs["data"]}
    value = inputs["value"]
    for case in inputs["cases"]:
        if case == value and isinstance(case, bool) == isinstance(value, bool):
            name = inputs.get("prefix", "case_") + re.sub(r"\W", "_", str(case))
            return {"condition_result": case, name: inputs["data"]}
    return {"condition_result": None, "default": inputs["data"]}
