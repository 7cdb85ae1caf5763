"""How much an expression may cost, in its text and in its evaluation.

Every loop over data spends from a budget before it runs, so no expression takes time or memory that its
author did not write down: the limits hold for hostile text and for hostile data alike.
"""

from __future__ import annotations

from nodeling_runtime.expressions.errors import ExpressionError

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER",
    "MAX_SOURCE",
    "MAX_STEPS",
    "MAX_TEXT",
    "MAX_TOKENS",
    "MAX_VALUE_DEPTH",
    "Budget",
]

MAX_SOURCE = 100_000
MAX_TOKENS = 5_000
MAX_DEPTH = 32
MAX_STEPS = 1_000_000
MAX_TEXT = 16 * 1024 * 1024
MAX_VALUE_DEPTH = 64
MAX_INTEGER = 2**53 - 1

# A pass over text is cheap for each character, so a step stands for this many of them.
CHARACTERS_PER_STEP = 64


class Budget:
    """What is left of the steps and of the text that one evaluation may use."""

    __slots__ = ("_steps", "_text", "steps_left", "text_left")

    def __init__(self, steps: int = MAX_STEPS, text: int = MAX_TEXT) -> None:
        self._steps = self.steps_left = steps
        self._text = self.text_left = text

    @property
    def steps_spent(self) -> int:
        """The steps used so far."""
        return self._steps - self.steps_left

    def spend(self, steps: int) -> None:
        """Pay for work on this many elements; raises `expr.budget` when too little is left."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise ExpressionError(
                f"the expression takes more than {self._steps:,} steps",
                code="expr.budget",
                hint="do this much work in a node, or split the list with for-each",
            )

    def scan(self, characters: int) -> None:
        """Pay for reading this many characters."""
        if characters >= CHARACTERS_PER_STEP:
            self.spend(characters // CHARACTERS_PER_STEP)

    def write(self, characters: int) -> None:
        """Pay for text that is about to be made; raises `expr.budget` when too little is left."""
        self.text_left -= characters
        if self.text_left < 0:
            raise ExpressionError(
                f"the expression makes more than {self._text:,} characters of text",
                code="expr.budget",
                hint="make this much text in a node",
            )
