"""The language of `#{…}` and of conditions: a reading of it as a tree, nothing more.

Recipes mix two ways of writing: Python's (`and`, `not in`, `True`, `a if c else b`) and the one of templates
(`&&`, `true`, `c ? a : b`). Both are read. Everything else, a call of whatever function first of all, is a
fault that says where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Binary",
    "Call",
    "Choice",
    "Constant",
    "Items",
    "Member",
    "Name",
    "Node",
    "SyntaxFault",
    "Unary",
    "parse",
]

DEEPEST = 24
MOST_TOKENS = 2_000
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<name>[^\W\d]\w*)
      | (?P<operator>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:()\[\]{},.])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t"}
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_WORDS = ("and", "or", "not", "in", "is", "if", "else")


class SyntaxFault(ValueError):
    """A text is no expression of this language."""

    def __init__(self, message: str, at: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, true, false or null."""

    value: Any
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name by itself."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Member:
    """`of.key`, or `of[key]`."""

    of: Node
    key: Node
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or a method that is called."""

    of: Node
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`not x` or `-x`."""

    operator: str
    of: Node
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what is between them; `not in` and `is not` are one operator."""

    operator: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? then : other`."""

    condition: Node
    then: Node
    other: Node
    at: int


Node = Constant | Name | Member | Call | Items | Unary | Binary | Choice


def parse(source: str) -> Node:
    """The tree of an expression.

    Raises:
        SyntaxFault: It is none.
    """
    parser = _Parser(_tokens(source), len(source))
    found = parser.expression()
    parser.end()
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(source: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            said = "a text is never closed" if source[at] in "\"'" else f"unexpected {source[at]!r}"
            raise SyntaxFault(said, at, "`=` assigns; `==` compares" if source[at] == "=" else None)
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match.group(), at))
        at = match.end()
        if len(found) > MOST_TOKENS:
            raise SyntaxFault(f"more than {MOST_TOKENS} words", at)
    return found


class _Parser:
    """One function for each level, from the loosest to the tightest."""

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._end = _Token("end", "", length)

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise SyntaxFault(f"nested deeper than {DEEPEST}", self._next.at)
        found = self._or()
        token = self._next
        if self._takes("?"):
            then = self.expression()
            self._wants(":")
            found = Choice(found, then, self.expression(), token.at)
        elif self._takes("if"):
            condition = self._or()
            self._wants("else")
            found = Choice(condition, found, self.expression(), token.at)
        self._depth -= 1
        return found

    def end(self) -> None:
        if self._next.kind != "end":
            raise SyntaxFault(f"unexpected {self._next.text!r}", self._next.at)

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    def _takes(self, *texts: str) -> str | None:
        token = self._next
        if token.kind in ("operator", "name") and token.text in texts:
            self._at += 1
            return token.text
        return None

    def _wants(self, text: str) -> None:
        if not self._takes(text):
            said = f"{self._next.text!r}" if self._next.text else "the end"
            raise SyntaxFault(f"{text!r} is missing before {said}", self._next.at)

    def _or(self) -> Node:
        found = self._and()
        while (token := self._next) and self._takes("or", "||"):
            found = Binary("||", found, self._and(), token.at)
        return found

    def _and(self) -> Node:
        found = self._not()
        while (token := self._next) and self._takes("and", "&&"):
            found = Binary("&&", found, self._not(), token.at)
        return found

    def _not(self) -> Node:
        token = self._next
        return Unary("!", self._deeper(self._not), token.at) if self._takes("not") else self._comparison()

    def _comparison(self) -> Node:
        found = self._sum()
        token = self._next
        operator = self._comparing()
        if operator is None:
            return found
        found = Binary(operator, found, self._sum(), token.at)
        if (more := self._next) and self._comparing() is not None:
            raise SyntaxFault("comparisons do not chain", more.at, "join two of them with `and`")
        return found

    def _comparing(self) -> str | None:
        taken = self._takes("==", "!=", "<=", ">=", "<", ">", "in", "is", "not")
        if taken == "not":
            self._wants("in")
            return "not in"
        if taken == "is":
            return "!=" if self._takes("not") else "=="
        return taken

    def _sum(self) -> Node:
        found = self._product()
        while (token := self._next) and (operator := self._takes("+", "-")):
            found = Binary(operator, found, self._product(), token.at)
        return found

    def _product(self) -> Node:
        found = self._unary()
        while (token := self._next) and (operator := self._takes("*", "/", "%")):
            found = Binary(operator, found, self._unary(), token.at)
        return found

    def _unary(self) -> Node:
        token = self._next
        operator = self._takes("!", "-")
        return Unary(operator, self._deeper(self._unary), token.at) if operator else self._access()

    def _deeper(self, level: Any) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise SyntaxFault(f"nested deeper than {DEEPEST}", self._next.at)
        found: Node = level()
        self._depth -= 1
        return found

    def _access(self) -> Node:
        found = self._primary()
        while True:
            token = self._next
            if self._takes("."):
                name = self._next
                if name.kind != "name":
                    raise SyntaxFault("a name is missing after the point", name.at)
                self._at += 1
                found = Member(found, Constant(name.text, name.at), token.at)
            elif self._takes("["):
                key = self.expression()
                self._wants("]")
                found = Member(found, key, token.at)
            elif self._takes("("):
                found = Call(found, self._several(")"), token.at)
            else:
                return found

    def _several(self, close: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._takes(close):
            if found:
                self._wants(",")
                if self._takes(close):
                    break
            found.append(self.expression())
        return tuple(found)

    def _primary(self) -> Node:
        token = self._next
        if self._takes("("):
            found = self.expression()
            self._wants(")")
            return found
        if self._takes("["):
            return Items(self._several("]"), token.at)
        if token.kind not in ("number", "text", "name") or token.text in _WORDS:
            said = f"unexpected {token.text!r}" if token.text else "something is missing at the end"
            raise SyntaxFault(said, token.at)
        self._at += 1
        if token.kind == "number":
            return Constant(_number(token), token.at)
        if token.kind == "text":
            return Constant(_ESCAPE.sub(_plain, token.text[1:-1]), token.at)
        if token.text in _CONSTANTS:
            return Constant(_CONSTANTS[token.text], token.at)
        return Name(token.text, token.at)


def _number(token: _Token) -> int | float:
    if token.text.isdigit() and len(token.text) <= 15:
        return int(token.text)
    number = float(token.text)
    if abs(number) > 2**53 - 1:
        raise SyntaxFault(f"the number {token.text[:30]} is too large", token.at)
    return number


def _plain(match: re.Match[str]) -> str:
    return _PLAIN.get(match[1], match[1])
