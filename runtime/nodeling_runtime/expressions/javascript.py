"""`js/…` strings: the JavaScript that has the same meaning in this language."""

from __future__ import annotations

from nodeling_runtime.expressions.compiler import Expression, compile_expression
from nodeling_runtime.expressions.errors import ExpressionError

__all__ = ["compile_javascript"]


def compile_javascript(source: str) -> Expression:
    """Compile JavaScript that is a plain path; raises `expr.javascript` for the rest."""
    expression = compile_expression(source)
    if expression.whole_reference is None:
        raise ExpressionError(
            "only paths can be lowered from JavaScript", code="expr.javascript", source=source
        )
    return expression
