"""Calling a function from the table: arity, cost, errors, and whether a stranger gave JSON back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.budget import MAX_INTEGER, MAX_VALUE_DEPTH
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.frame import Closure, Frame
from nodeling_runtime.expressions.function_table import ExpressionFunction

__all__ = ["compile_call"]

CHARACTERS_PER_STEP = 64


def compile_call(
    function: ExpressionFunction, arguments: tuple[Closure, ...], at: int, receivers: int = 0
) -> Callable[[Frame, list[Any]], Any]:
    """A closure that calls the function with given values first, then its own arguments."""
    function.check_arity(receivers + len(arguments), at)
    call, trusted, budgeted, name = (
        function.call,
        function.owner == "nodeling",
        function.budgeted,
        function.name,
    )

    def run(frame: Frame, values: list[Any]) -> Any:
        values += [argument(frame) for argument in arguments]
        budget = frame.meter()
        try:
            budget.spend(1 + sum(map(cost, values)))
            result = call(budget, *values) if budgeted else call(*values)
        except ExpressionError as error:
            raise error.placed(at) from None
        except Exception as error:
            if trusted:
                raise
            raise ExpressionError(
                f"the function {name} failed: {type(error).__name__}: {error}",
                code="expr.function",
                position=at,
            ) from error
        if result.__class__ is str:
            budget.write(len(result))
        elif not trusted:
            check(result, name, at, 1)
        return result

    return run


def cost(value: Any) -> int:
    """The steps that one look at an argument takes."""
    kind = value.__class__
    if kind is list or kind is dict:
        return len(value)
    return len(value) // CHARACTERS_PER_STEP if kind is str else 0


def check(value: Any, name: str, at: int, depth: int) -> None:
    """Refuse a result that is not a JSON value."""
    kind = value.__class__
    if kind is dict:
        for key in value:
            if key.__class__ is not str:
                raise _not_json(f"a map with a {type(key).__name__} as a key", name, at)
    if kind is dict or kind is list:
        if depth > MAX_VALUE_DEPTH:
            raise _not_json("a value that nests too deeply", name, at)
        for item in value.values() if kind is dict else value:
            check(item, name, at, depth + 1)
    elif kind is float and not math.isfinite(value):
        raise _not_json(f"{value}", name, at)
    elif kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise _not_json(f"an integer beyond ±{MAX_INTEGER}", name, at)
    elif kind not in (str, int, float, bool, type(None)):
        raise _not_json(f"a {kind.__name__}", name, at)


def _not_json(what: str, name: str, at: int) -> ExpressionError:
    return ExpressionError(
        f"the function {name} gave {what}, which is not a JSON value", code="expr.function", position=at
    )
