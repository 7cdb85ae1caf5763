"""A compiled expression: its text, its tree, what it reads, and how to get its value."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from nodeling._dataclass import dataclass
from nodeling_runtime.expressions.budget import Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.frame import Closure, Frame
from nodeling_runtime.expressions.operators import measure
from nodeling_runtime.expressions.record import PLAIN_TYPES, Scope, to_plain
from nodeling_runtime.expressions.references import Reference, find_references, whole_path
from nodeling_runtime.expressions.syntax import Node

__all__ = ["Expression"]


@dataclass(frozen=True)
class Expression:
    """A compiled expression. It holds no state: one may be evaluated by many at once."""

    source: str
    syntax: Node
    run: Closure
    slots: int
    builds: bool
    language: str = "expr"
    find: Callable[[Scope], Any] | None = None  # for one that is a path alone: the quick way to its end

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """Every maximal path the expression reads."""
        return find_references(self.syntax, javascript=self.language == "js")

    @cached_property
    def whole_reference(self) -> Reference | None:
        """The one path the expression consists of; None for everything else."""
        return whole_path(self.syntax)

    def evaluate(self, scope: Scope, budget: Budget | None = None) -> Any:
        """The value for this scope: JSON, shared with the scope where it comes from there.

        To a scope that `keeps_deferred`, a whole reference to a deferred value gives it unread.

        Raises:
            ExpressionError: the expression has no value here.
        """
        find = self.find
        if find is not None:
            try:
                value = find(scope)
            except (KeyError, ExpressionError):
                value = self  # there is something to be said of it, or a longer way to go
            if value.__class__ in PLAIN_TYPES:
                return value
        try:
            value = self.run(Frame(scope.lookup, budget, self.slots))
            if value.__class__ not in PLAIN_TYPES and not getattr(scope, "keeps_deferred", False):
                value = to_plain(value)
            if self.builds and value.__class__ in (list, dict):
                measure(value, Budget())
        except ExpressionError as error:
            error.source = self.source
            raise
        return value
