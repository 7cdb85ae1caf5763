"""What a compiled expression runs on: the scope's lookup, the variables of macros, and a lazy budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import Budget

__all__ = ["Closure", "Frame", "Step"]


class Frame:
    """One evaluation. Most expressions never loop, so the budget is made only when something spends."""

    __slots__ = ("budget", "lookup", "slots")

    def __init__(self, lookup: Callable[[str], Any], budget: Budget | None, slots: int) -> None:
        self.lookup = lookup
        self.budget = budget
        self.slots: list[Any] = [None] * slots if slots else NO_SLOTS

    def meter(self) -> Budget:
        """The budget of this evaluation."""
        budget = self.budget
        if budget is None:
            budget = self.budget = Budget()
        return budget


NO_SLOTS: list[Any] = []

Closure = Callable[[Frame], Any]
Step = Callable[[Frame, Any], Any]
