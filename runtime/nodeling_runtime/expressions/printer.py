"""A tree back to text: `parse(render(tree))` is the tree again."""

from __future__ import annotations

import json
import re

from nodeling_runtime.expressions.parser import LEVELS
from nodeling_runtime.expressions.syntax import (
    Access,
    Binary,
    Call,
    Chain,
    Conditional,
    Has,
    Index,
    Lambda,
    Link,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapLiteral,
    Member,
    Method,
    Name,
    Node,
    Slice,
    Unary,
)

__all__ = ["render"]

_NAME = re.compile(r"[^\W\d]\w*")
_UNARY = 7
_ATOM = 9


def render(node: Node) -> str:
    """The text of a tree in this language's own spelling."""
    return _text(node, 0)


def _level(node: Node) -> int:
    match node:
        case Conditional() | Lambda():
            return 0
        case Logic() | Binary():
            return LEVELS.get(node.operator, 3)
        case Chain():
            return LEVELS[node.rest[0].operator]
        case Unary():
            return _UNARY
        case Literal(value=int() | float() as number) if str(number).startswith("-"):
            return _UNARY
    return _ATOM


def _text(node: Node, floor: int) -> str:
    text = _bare(node)
    return f"({text})" if _level(node) < floor else text


def _bare(node: Node) -> str:
    match node:
        case Literal():
            return json.dumps(node.value, ensure_ascii=False)
        case Name():
            return node.name
        case ListLiteral():
            return f"[{_joined(node.items)}]"
        case MapLiteral():
            pairs = (f"{_key(key)}: {_text(value, 0)}" for key, value in node.entries)
            return "{" + ", ".join(pairs) + "}"
        case Call():
            return f"{node.function}({_joined(node.arguments)})"
        case Has():
            return f"has({_text(node.operand, 0)})"
        case Access():
            return _access(node)
        case Lambda():
            return f"({', '.join(node.parameters)}) => {_text(node.body, 0)}"
    return _operation(node)


def _operation(node: Node) -> str:
    match node:
        case Unary():
            # a minus before a number would read back as a negative number
            operand = _text(node.operand, _ATOM if isinstance(node.operand, Literal) else _UNARY)
            if node.operator == "-" and isinstance(node.operand, Literal):
                operand = f"({operand})" if not operand.startswith("(") else operand
            return f"{node.operator}{operand}"
        case Binary():
            level = LEVELS.get(node.operator, 3) + 1
            return f"{_text(node.left, level)} {node.operator} {_text(node.right, level)}"
        case Chain():
            level = LEVELS[node.rest[0].operator] + 1
            rest = "".join(f" {part.operator} {_text(part.node, level)}" for part in node.rest)
            return _text(node.first, level) + rest
        case Logic():
            return f" {node.operator} ".join(_text(part, LEVELS[node.operator] + 1) for part in node.operands)
        case Conditional():
            cases = "".join(f"{_text(test, 1)} ? {_text(value, 1)} : " for test, value in node.cases)
            return cases + _text(node.otherwise, 1)
    return f"<{type(node).__name__.lower()}>"


def _joined(nodes: tuple[Node, ...]) -> str:
    return ", ".join(_text(node, 0) for node in nodes)


def _key(node: Node) -> str:
    return f"({_text(node, 0)})" if isinstance(node, Name) else _text(node, 0)


def _access(node: Access) -> str:
    base = _text(node.base, _ATOM)
    if isinstance(node.base, Access):
        base = f"({base})"
    return base + "".join(_link(link) for link in node.links)


def _link(link: Link) -> str:
    dot = "?." if link.optional else "."
    bracket = "?[" if link.optional else "["
    match link:
        case Member():
            if _NAME.fullmatch(link.key):
                return dot + link.key
            return f"{bracket}{json.dumps(link.key, ensure_ascii=False)}]"
        case Index():
            return f"{bracket}{_text(link.index, 0)}]"
        case Slice():
            start = _text(link.start, 0) if link.start is not None else ""
            stop = _text(link.stop, 0) if link.stop is not None else ""
            return f"{bracket}{start}:{stop}]"
        case Method():
            return f"{dot}{link.name}({_joined(link.arguments)})"
        case Macro():
            return f"{dot}{link.name}({link.variable}, {_text(link.body, 0)})"
