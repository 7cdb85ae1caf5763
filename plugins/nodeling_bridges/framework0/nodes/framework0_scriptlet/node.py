"""A step of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeling import Context, Flow, FlowNode, Start
from nodeling.flow import outcome_of
from nodeling_bridges.framework0.gate import bound_of, place
from nodeling_bridges.framework0.modules import folders_of
from nodeling_bridges.framework0.scriptlets import WRITTEN


class Scriptlet(FlowNode):
    """Waits for a place, runs its child and gives what that gives."""

    async def handle(self, ctx: Context, inputs: dict[str, Any], flow: Flow) -> Any:
        """Run the child."""
        laid: dict[str, Any] | None = None
        if "folder" in inputs:
            folders = folders_of(Path(inputs["folder"]), Path.cwd())
            laid = {"folders": [str(folder) for folder in folders]}
            if ctx.error is not None:
                laid["error"] = ctx.error
        async with place(ctx.run_id, bound_of(ctx.get)):
            run = await flow.start(Start(inputs["do"], inputs=laid)).wait()
        flow.adopt(run)
        for key, value in ((run.error or {}).get("details") or {}).get(WRITTEN, {}).items():
            ctx.set(key, value)
        return outcome_of(run, unread=True)
