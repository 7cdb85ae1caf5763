"""`stop`, which in Blok ends the workflow wherever it stands.

Here a step that stops ends its own scope. So a stop inside a step also leaves a mark, and behind each step
that may hold one stands a gate that ends its scope in turn when it finds the mark. Both hand on what the step
before them gave, so the output is what it is in Blok. The body of a loop has a mark of its own: a stop ends
the round.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nodeling_bridges.blok.draft import Draft

Step = dict[str, Any]
LAST = "${ctx.response.data}"


@dataclass(slots=True)
class _Reach:
    """What a stop ends: the workflow, or the round of a loop."""

    mark: str
    depth: int = 0  # of the lists around what is converted now
    marked: int = 0  # how many stops have left the mark


class Stops:
    """The stops of one document."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._reaches = [_Reach("blok-stop")]
        self._loops = 0

    @property
    def is_outermost(self) -> bool:
        """Whether the end of the list under way is all that a stop in it ends."""
        return self._reaches[-1].depth == 1

    @property
    def is_in_loop(self) -> bool:
        """Whether a stop ends a round alone."""
        return len(self._reaches) > 1

    @property
    def marked(self) -> int:
        """How many stops have left a mark that a gate has to look for."""
        return self._reaches[-1].marked

    def enter(self) -> None:
        """A list of steps begins."""
        self._reaches[-1].depth += 1

    def leave(self) -> None:
        """It ends."""
        self._reaches[-1].depth -= 1

    def enter_loop(self) -> None:
        """The body of a loop begins."""
        self._loops += 1
        self._reaches.append(_Reach(f"blok-stop-{self._loops}"))

    def leave_loop(self) -> dict[str, bool]:
        """It ends; what each round begins with."""
        ended = self._reaches.pop()
        return {ended.mark: False} if ended.marked else {}

    def ended(self, name: str) -> Step:
        """What ends its list and leaves the mark, behind the step of that name or in its place."""
        self._reaches[-1].marked += 1
        return self._step(f"{name}-stop", {self._reaches[-1].mark: True})

    def gate(self, name: str) -> Step:
        """What ends this list too when something inside the step of that name has stopped."""
        mark = json.dumps(self._reaches[-1].mark)
        return {**self._step(f"{name}-gate", {}), "if": f"${{ctx.vars[{mark}] ?? false}}"}

    def _step(self, name: str, values: Step) -> Step:
        inputs = {"values": values, "gives": LAST}
        return {"name": self._draft.unique(name), "node": "blok-publish", "stop": True, "inputs": inputs}
