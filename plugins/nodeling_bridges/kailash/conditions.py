"""Conditions written as Python, as expressions of ours. Pure: they are parsed, never run.

What has no like is refused by name. Python's truth is kept: null, false, 0 and what is empty are false.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

from nodeling.errors import ConfigError

__all__ = ["condition_of", "literal_of", "value_of"]

Resolve = Callable[[str], str]
_FALSE = '[null, false, 0, "", [], {}]'
_COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS = {"len": "size", "abs": "abs", "min": "min", "max": "max", "sum": "sum", "round": "round"}
_METHODS = {
    "lower": "lower",
    "upper": "upper",
    "strip": "trim",
    "startswith": "startsWith",
    "endswith": "endsWith",
}
_BOOLEAN = (ast.Compare, ast.BoolOp)


def condition_of(text: str, resolve: Resolve) -> str:
    """The expression, without its braces, that is true when the condition holds.

    Args:
        text: The condition.
        resolve: The expression that stands for a name; it raises `ConfigError` for a stranger.

    Raises:
        ConfigError: It is no expression, or holds what has no like here.
    """
    return _Lowering(resolve).truth(_parsed(text))


def value_of(text: str, resolve: Resolve) -> str:
    """The expression of a value.

    Raises:
        ConfigError: As for `condition_of`.
    """
    return _Lowering(resolve).value(_parsed(text))


def literal_of(value: Any) -> str:
    """A JSON value as it stands in an expression."""
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "msg", None) or str(error)
        raise _refusal(f"the condition {text!r:.80} is no expression: {said}") from error


def _refusal(message: str) -> ConfigError:
    known = "names, literals, comparisons, `and`, `or`, `not`, `in`, `is None`, `.get()`, `len()`"
    hint = f"it may hold {known}; let a PythonCodeNode decide what needs more"
    return ConfigError(message, code="kailash.condition", hint=hint)


class _Lowering:
    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    def truth(self, node: ast.expr) -> str:
        """An expression that gives true or false."""
        if isinstance(node, ast.BoolOp):
            sign = " && " if isinstance(node.op, ast.And) else " || "
            return f"({sign.join(self.truth(one) for one in node.values)})"
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return f"!({self.truth(node.operand)})"
        if isinstance(node, ast.Compare) or (isinstance(node, ast.Constant) and isinstance(node.value, bool)):
            return self.value(node)
        return f"!({self.value(node)} in {_FALSE})"

    def value(self, node: ast.expr) -> str:
        """An expression that gives what Python's gives."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")
        return str(method(node))

    def _name(self, node: ast.Name) -> str:
        return self._resolve(node.id)

    def _constant(self, node: ast.Constant) -> str:
        if node.value is None or isinstance(node.value, bool | int | float | str):
            return literal_of(node.value)
        raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")

    def _boolop(self, node: ast.BoolOp) -> str:
        if all(isinstance(one, _BOOLEAN) for one in node.values):
            return self.truth(node)
        raise _refusal(f"{ast.unparse(node)!r:.80} stands where its value is asked for, not its truth")

    def _unaryop(self, node: ast.UnaryOp) -> str:
        if isinstance(node.op, ast.USub):
            return f"-({self.value(node.operand)})"
        if isinstance(node.op, ast.Not):
            return self.truth(node)
        raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")

    def _binop(self, node: ast.BinOp) -> str:
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")
        return f"({self.value(node.left)} {sign} {self.value(node.right)})"

    def _compare(self, node: ast.Compare) -> str:
        parts, left = [], node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts.append(self._pair(left, operator, right))
            left = right
        return f"({' && '.join(parts)})"

    def _pair(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        one, other = self.value(left), self.value(right)
        if isinstance(operator, ast.Is | ast.IsNot):
            if not (
                isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
            ):
                raise _refusal("`is` is for None, True and False")
            return f"({one} {'==' if isinstance(operator, ast.Is) else '!='} {other})"
        if isinstance(operator, ast.In):
            return f"({one} in {other})"
        if isinstance(operator, ast.NotIn):
            return f"!({one} in {other})"
        return f"({one} {_COMPARE[type(operator)]} {other})"

    def _attribute(self, node: ast.Attribute) -> str:
        return f"{self.value(node.value)}[{literal_of(node.attr)}]"

    def _subscript(self, node: ast.Subscript) -> str:
        if isinstance(node.slice, ast.Slice):
            raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")
        return f"{self.value(node.value)}[{self.value(node.slice)}]"

    def _list(self, node: ast.List) -> str:
        return f"[{', '.join(self.value(one) for one in node.elts)}]"

    _tuple = _list
    _set = _list

    def _call(self, node: ast.Call) -> str:
        if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
            raise _refusal(f"a condition cannot hold {ast.unparse(node)!r:.80}")
        given = [self.value(one) for one in node.args]
        if isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and given:
            return f"{_FUNCTIONS[node.func.id]}({', '.join(given)})"
        if isinstance(node.func, ast.Attribute):
            on = self.value(node.func.value)
            if node.func.attr == "get" and len(given) in (1, 2):
                return f"({on}?[{given[0]}] ?? {given[1] if len(given) == 2 else 'null'})"
            if node.func.attr in _METHODS:
                return f"{_METHODS[node.func.attr]}({', '.join([on, *given])})"
        raise _refusal(f"a condition cannot call {ast.unparse(node.func)!r:.80}")
