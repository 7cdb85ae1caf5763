"""Runs a recipe and tells, while it runs, what is done and what is being done."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import nodeling


class Progress:
    """A line for every change of a step."""

    def __init__(self, steps: list[str]) -> None:
        self.left = dict.fromkeys(steps)
        self.running: dict[str, None] = {}
        self.done = 0
        self.most = 0

    def hear(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("name"))
        if name not in self.left:
            return
        if event["event"] == "step.started":
            self.running[name] = None
            self.most = max(self.most, len(self.running))
        elif event["event"] == "step.finished":
            self.running.pop(name, None)
            self.done += 1
        print(
            f"{self.done} of {len(self.left)} done; now: {', '.join(self.running) or 'nothing'}", flush=True
        )


def main(recipe: str) -> int:
    workflow = nodeling.load(recipe)
    progress = Progress([step["name"] for step in workflow.document["steps"]])
    result = workflow.run({}, on_event=progress.hear)
    print(f"{result.status}; at most {progress.most} at once")
    return 0 if result.status == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "business.yaml"))
