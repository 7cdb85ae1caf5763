"""From `#{…}` and conditions to native expressions. Pure.

Three names lead somewhere: `config` and `context` to the context's variables, `params` to what the recipe was
started with. What leads nowhere when the recipe runs is an error, never a text.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nodeling.errors import nearest
from nodeling_bridges.framework0.syntax import (
    Binary,
    Call,
    Choice,
    Constant,
    Items,
    Member,
    Name,
    Node,
    SyntaxFault,
    Unary,
    parse,
)

__all__ = ["Expressions", "SyntaxFault"]

TRUTH = "framework0_true"
MISSING = "framework0_missing"
LONGEST = 20_000
_ROOTS = ("config", "context", "params")
_COMPARING = ("==", "!=", "<", "<=", ">", ">=")
_METHODS = {
    "lower": "lower",
    "upper": "upper",
    "strip": "trim",
    "startswith": "startsWith",
    "endswith": "endsWith",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "includes": "contains",
}
_FUNCTIONS = {"len": "size", "str": "string", "int": "int", "float": "float", "min": "min", "max": "max"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_ABSENT = object()


class Expressions:
    """Turns expressions of one recipe into native ones.

    Args:
        params: The native expression that gives the recipe's parameters.
        known: The parameters that the recipe declares; None when it declares none.
    """

    def __init__(self, params: str, known: tuple[str, ...] | None = None) -> None:
        self._params = params
        self._known = known
        self._where = ""

    def condition(self, text: str, where: str = "the recipe") -> str:
        """A condition, in `#{…}` or bare; `where` is told when it leads nowhere.

        Raises:
            SyntaxFault: It is none.
        """
        self._where = where
        stripped = text.strip()
        parts = split(stripped)
        if len(parts) == 1 and parts[0][0]:
            stripped = parts[0][1]
        elif any(is_code for is_code, _, _ in parts):
            raise SyntaxFault("a condition is one expression", 0, "write it whole inside #{…}, or without")
        return f"${{{self._truth(parse(stripped))}}}"

    def value(self, text: str, where: str = "the recipe") -> str:
        """A text with `#{…}` in it: one alone keeps its type, several are parts of a text.

        Raises:
            SyntaxFault: An expression in it is none.
        """
        self._where = where
        parts = split(text)
        if not any(is_code for is_code, _, _ in parts):
            return plain(text)
        found = []
        for is_code, part, at in parts:
            if not is_code:
                found.append(part.replace("${", "$${"))
                continue
            try:
                found.append(f"${{{self._code(parse(part))}}}")
            except SyntaxFault as fault:
                raise SyntaxFault(fault.message, at + fault.at, fault.hint) from None
        # What is left of a text could make it another kind of expression.
        return f"${{{self._joined(parts)}}}" if found[0].startswith("js/") else "".join(found)

    def _joined(self, parts: list[tuple[bool, str, int]]) -> str:
        codes = (
            f"string({self._code(parse(part))})" if is_code else quoted(part) for is_code, part, _ in parts
        )
        return " + ".join(codes)

    # -- trees

    def _truth(self, node: Node) -> str:
        code = self._code(node)
        return code if _is_boolean(node) else f"{TRUTH}({code})"

    def _code(self, node: Node) -> str:
        if isinstance(node, Constant):
            return quoted(node.value)
        if isinstance(node, Items):
            return f"[{', '.join(self._code(item) for item in node.items)}]"
        if isinstance(node, Unary):
            return f"(!{self._truth(node.of)})" if node.operator == "!" else f"(-{self._code(node.of)})"
        if isinstance(node, Choice):
            return f"({self._truth(node.condition)} ? {self._code(node.then)} : {self._code(node.other)})"
        if isinstance(node, Binary):
            return self._binary(node)
        return self._path(node)

    def _binary(self, node: Binary) -> str:
        if node.operator in ("&&", "||"):
            return f"({self._truth(node.left)} {node.operator} {self._truth(node.right)})"
        left, right = self._code(node.left), self._code(node.right)
        if node.operator == "not in":
            return f"(!({left} in {right}))"
        return f"({left} {node.operator} {right})"

    def _path(self, node: Node) -> str:
        if isinstance(node, Call):
            return self._call(node)
        root, keys = _path_of(node)
        if isinstance(root, Name):
            return self._rooted(root, keys)
        if not keys:
            raise SyntaxFault("this is no expression", root.at)
        return f"({self._code(root)}){self._keys(keys)}"

    def _call(self, node: Call) -> str:
        if isinstance(node.of, Name):
            return self._function(node.of, node.arguments)
        if not isinstance(node.of, Member) or not isinstance(node.of.key, Constant):
            raise SyntaxFault("this cannot be called", node.at)
        method, arguments = str(node.of.key.value), node.arguments
        if method == "get":
            if len(arguments) not in (1, 2):
                raise SyntaxFault("`get` takes a key, and a value for when there is none", node.at)
            default = arguments[1] if len(arguments) > 1 else Constant(None, node.at)
            return self._or_default(Member(node.of.of, arguments[0], node.at), default)
        if method not in _METHODS:
            near = nearest(method, ("get", *_METHODS))
            hint = f"did you mean {near!r}?" if near else f"there are get, {', '.join(_METHODS)}"
            raise SyntaxFault(f"the method {method!r} is not carried over", node.at, hint)
        given = [self._code(node.of.of), *map(self._code, arguments)]
        return f"{_METHODS[method]}({', '.join(given)})"

    def _function(self, name: Name, arguments: tuple[Node, ...]) -> str:
        if name.name not in _FUNCTIONS:
            near = nearest(name.name, _FUNCTIONS)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(_FUNCTIONS)}"
            raise SyntaxFault(f"the function {name.name!r} is not carried over", name.at, hint)
        return f"{_FUNCTIONS[name.name]}({', '.join(map(self._code, arguments))})"

    def _or_default(self, member: Member, default: Node) -> str:
        root, keys = _path_of(member)
        other = self._code(default)
        if not isinstance(root, Name):
            raise SyntaxFault("`get` reads config, context or params", member.at)
        places = self._places(root, keys)
        return _first(places, other)

    def _rooted(self, root: Name, keys: list[Node]) -> str:
        if not keys:
            raise SyntaxFault(f"{root.name!r} by itself is no value", root.at, f"write {root.name}.name")
        said = ".".join(
            [root.name, *(str(key.value) if isinstance(key, Constant) else "[…]" for key in keys)]
        )
        return _first(self._places(root, keys), f"{MISSING}({quoted(said)}, {quoted(self._where)})")

    def _places(self, root: Name, keys: list[Node]) -> list[str]:
        """Where a value may be: `config.a.b` is `a.b` of `config`, or `b` of `config.a`, or `config.a.b`."""
        if root.name == "params":
            self._declared(keys[0])
            return [f"{self._params}{self._keys(keys)}"]
        names: list[Any] = [key.value if isinstance(key, Constant) else _ABSENT for key in keys]
        flat = [] if root.name == "context" else [root.name]
        if root.name not in _ROOTS:
            near = nearest(root.name, _ROOTS)
            hint = (
                f"did you mean {near!r}?"
                if near
                else f"there are {', '.join(_ROOTS)}; a text stands in quotes"
            )
            raise SyntaxFault(f"{root.name!r} is known by nobody", root.at, hint)
        found = [] if not flat else [f"ctx.vars[{quoted(flat[0])}]{self._keys(keys)}"]
        for number, name in enumerate(names, 1):
            if not isinstance(name, str):
                break
            flat.append(name)
            found.append(f"ctx.vars[{quoted('.'.join(flat))}]{self._keys(keys[number:])}")
        if not found:
            found.append(f"ctx.vars[{self._code(keys[0])}]{self._keys(keys[1:])}")
        return found

    def _declared(self, key: Node) -> None:
        if self._known is None or not isinstance(key, Constant) or key.value in self._known:
            return
        near = nearest(str(key.value), self._known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(self._known) or 'none'}"
        raise SyntaxFault(f"the recipe declares no parameter {key.value!r}", key.at, hint)

    def _keys(self, keys: list[Node]) -> str:
        found = []
        for key in keys:
            name = key.value if isinstance(key, Constant) else None
            is_plain = isinstance(name, str) and _IDENTIFIER.fullmatch(name)
            found.append(f".{name}" if is_plain else f"[{self._code(key)}]")
        return "".join(found)


def split(text: str) -> list[tuple[bool, str, int]]:
    """A text as its parts: whether each is an expression, what it says, and where it begins.

    Raises:
        SyntaxFault: An expression is never closed.
    """
    found: list[tuple[bool, str, int]] = []
    at = 0
    while (opened := text.find("#{", at)) >= 0:
        if opened > at:
            found.append((False, text[at:opened], at))
        close = _closing(text, opened + 2)
        found.append((True, text[opened + 2 : close], opened + 2))
        at = close + 1
    if at < len(text) or not found:
        found.append((False, text[at:], at))
    return found


def plain(text: str) -> str:
    """A text that the native document shall not take for an expression."""
    return f"${{{quoted(text)}}}" if text.startswith("js/") else text.replace("${", "$${")


def quoted(value: Any) -> str:
    """A value as a native expression writes it."""
    return json.dumps(value, ensure_ascii=False)


def _closing(text: str, at: int) -> int:
    began = at
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match:
            at = match.end()
        elif text[at] == "}":
            return at
        else:
            at += 1
    raise SyntaxFault("#{ is never closed", began - 2)


def _path_of(node: Node) -> tuple[Node, list[Node]]:
    keys: list[Node] = []
    while isinstance(node, Member):
        keys.append(node.key)
        node = node.of
    return node, keys[::-1]


def _first(places: list[str], other: str) -> str:
    code = other
    for place in reversed(places):
        code = f"(has({place}) ? {place} : {code})"
    if len(code) > LONGEST:  # a place in a place in a place is written out twice each time
        raise SyntaxFault(f"this is longer than {LONGEST} characters when it is written out", 0)
    return code


def _is_boolean(node: Node) -> bool:
    if isinstance(node, Binary):
        return node.operator in (*_COMPARING, "in", "not in", "&&", "||")
    return (isinstance(node, Unary) and node.operator == "!") or (
        isinstance(node, Constant) and isinstance(node.value, bool)
    )
