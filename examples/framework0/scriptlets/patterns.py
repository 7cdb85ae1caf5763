"""The scriptlets of the smaller recipes."""

import pathlib
import time

from orchestrator.context import Context

from scriptlets.framework import BaseScriptlet, register_scriptlet

ROWS_PER_WORKER = 100
MOST_WORKERS = 4


@register_scriptlet
class Measure(BaseScriptlet):
    """Decides how many chunks are worked on at once, from how much there is to do."""

    def run(self, context: Context, params: dict) -> dict:
        rows = params["rows"]
        workers = max(1, min(MOST_WORKERS, -(-rows // ROWS_PER_WORKER)))
        context.set("config.execution", {"max_concurrent_steps": workers}, who=self.name)
        context.set("rows", rows, who=self.name)
        return {"rows": rows, "workers": workers}


@register_scriptlet
class Chunk(BaseScriptlet):
    """Adds up every n-th number, and says from when to when it did."""

    def run(self, context: Context, params: dict) -> dict:
        began = time.time()
        total = sum(range(params["first"], context.get("rows"), params["step"]))
        time.sleep(0.2)  # stands for work that takes its time
        context.set(f"chunk.{params['first']}", {"total": total, "span": [began, time.time()]}, who=self.name)
        return {"total": total}


@register_scriptlet
class Collect(BaseScriptlet):
    """The sum, and how many chunks were at work in one moment."""

    def run(self, context: Context, params: dict) -> dict:
        chunks = [context.get(f"chunk.{number}") for number in range(params["chunks"])]
        spans = [chunk["span"] for chunk in chunks]
        peak = max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)
        workers = context.get("config.execution")["max_concurrent_steps"]
        return {"total": sum(chunk["total"] for chunk in chunks), "workers": workers, "kept": peak <= workers}


@register_scriptlet
class Route(BaseScriptlet):
    """Says which branches an order takes."""

    def run(self, context: Context, params: dict) -> dict:
        context.set("route", "express" if params["weight"] < 5 else "freight", who=self.name)
        context.set("is_abroad", params["country"] != "NO", who=self.name)
        return {"route": context.get("route"), "is_abroad": context.get("is_abroad")}


@register_scriptlet
class Note(BaseScriptlet):
    """Leaves a note that this branch was taken."""

    def run(self, context: Context, params: dict) -> dict:
        context.set(f"taken.{params['what']}", True, who=self.name)
        return {"done": params["what"]}


@register_scriptlet
class Taken(BaseScriptlet):
    """Which branches were taken."""

    def run(self, context: Context, params: dict) -> dict:
        return {
            "taken": sorted(key.removeprefix("taken.") for key in context.keys() if key.startswith("taken."))
        }


@register_scriptlet
class Count(BaseScriptlet):
    """Counts the lines of a region's file, and keeps a record of every attempt."""

    def run(self, context: Context, params: dict) -> dict:
        region = params["region"]
        with open("attempts.log", "a", encoding="utf-8") as log:
            log.write(f"{region}\n")
        lines = len(pathlib.Path(f"inbox/{region}.txt").read_text(encoding="utf-8").splitlines())
        context.set(f"lines.{region}", lines, who=self.name)
        return {"lines": lines}


@register_scriptlet
class Total(BaseScriptlet):
    """All the lines."""

    def run(self, context: Context, params: dict) -> dict:
        return {"lines": sum(context.get(key) for key in context.keys() if key.startswith("lines."))}
