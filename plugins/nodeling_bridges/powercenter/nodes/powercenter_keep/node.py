"""Keep a workflow's persistent variables for its next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeling import Context, NodeError
from nodeling_bridges.powercenter import kept


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Write them, all or none; where there is no place for them the start of the run has said so."""
    file = kept.file_of(inputs.get("folder"), inputs["workflow"], Path.cwd())
    if file is None:
        return {"file": None}
    try:
        kept.write(file, inputs["variables"])
    except OSError as error:
        raise NodeError(f"the persistent variables cannot be kept in {file}: {error.strerror}") from error
    return {"file": str(file)}
