"""`js/…` strings: JavaScript, lowered to the expression language's tree.

A plain path means the same in both languages and becomes an ordinary expression, so that the checker sees its
reference. Everything else keeps JavaScript's meaning to the last unit of UTF-16, or is refused by name before
anything runs.
"""

from __future__ import annotations

from nodeling_runtime.expressions.compiler import Expression, compile_tree
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.function_table import ExpressionFunction, FunctionTable
from nodeling_runtime.expressions.javascript_compiler import compile_javascript_tree
from nodeling_runtime.expressions.javascript_foreign import compile_foreign
from nodeling_runtime.expressions.javascript_names import INHERITED
from nodeling_runtime.expressions.javascript_parser import parse_javascript
from nodeling_runtime.expressions.javascript_values import is_index
from nodeling_runtime.expressions.references import whole_path
from nodeling_runtime.expressions.syntax import Node
from nodeling_runtime.expressions.words import SCRIPT

__all__ = ["compile_any_javascript", "compile_javascript", "lower_javascript"]


def lower_javascript(source: str) -> Node:
    """The tree of a JavaScript expression, without the `js/` before it.

    Raises:
        ExpressionError: `expr.javascript` names what cannot be lowered.
    """
    try:
        return parse_javascript(source)
    except ExpressionError as error:
        error.source = source
        raise


def compile_javascript(source: str) -> Expression:
    """Compile a JavaScript expression, without the `js/` before it.

    Raises:
        ExpressionError: `expr.javascript` names what cannot be lowered.
    """
    tree = lower_javascript(source)
    if _means_the_same(tree):
        return compile_tree(source, tree)
    run, slots = compile_javascript_tree(tree)
    return Expression(source, tree, run, slots, builds=False, language="js")


def compile_any_javascript(source: str, functions: FunctionTable) -> Expression:
    """Compile a JavaScript expression: lowered where that can be, else for the table's engine, if it has one.

    Raises:
        ExpressionError: `expr.javascript` names what cannot be lowered.
    """
    try:
        return compile_javascript(source)
    except ExpressionError as error:
        engine = functions.get(SCRIPT)
        if engine is None:
            raise
        fault = _not_javascript(source, engine)
        if fault is not None:
            raise fault from error
    return compile_foreign(source, functions)


def _not_javascript(source: str, engine: ExpressionFunction) -> ExpressionError | None:
    """Why a script is not even JavaScript, as the engine sees it."""
    try:
        engine.call(source, None)
    except ExpressionError as error:
        return ExpressionError(error.message, code="expr.syntax", position=0, source=source)
    return None


def _means_the_same(tree: Node) -> bool:
    """Whether the tree is a path of keys that cannot be anything but keys of maps."""
    path = whole_path(tree)
    if path is None:
        return False
    inherited = INHERITED[dict]
    return all(isinstance(key, str) and key not in inherited and not is_index(key) for key in path.path)
