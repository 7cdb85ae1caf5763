"""Tokens to a tree, by operator precedence.

From loosest to tightest: `?:`, `||`, `&&`, comparisons and `in` (which do not chain), `??`, `+ -`, `* / %`,
`! -`, then links. Brackets, unary operators and nested conditionals count towards the depth limit, so the
parser's own recursion is bounded whatever the text.
"""

from __future__ import annotations

import re
from typing import NoReturn

from nodeling_runtime.expressions.budget import MAX_DEPTH
from nodeling_runtime.expressions.errors import ExpressionError, syntax_error
from nodeling_runtime.expressions.lexer import Token, tokenize
from nodeling_runtime.expressions.syntax import (
    Access,
    Binary,
    Call,
    Chain,
    Conditional,
    Has,
    Index,
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
    Operand,
    Slice,
    Unary,
)
from nodeling_runtime.expressions.words import MACROS, RESERVED

__all__ = ["COMPARISONS", "LEVELS", "parse"]

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
LEVELS: dict[str, int] = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(COMPARISONS, 3),
    "??": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}

_HYPHENATED = re.compile(r"\w+(?:-\w+)+")
_LINK_STARTS = frozenset({".", "?.", "[", "?[", "?.["})


def parse(source: str) -> Node:
    """The tree of an expression.

    Raises:
        ExpressionError: the text is not an expression, or it is too long or too deep.
    """
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokenize(source)
        self.index = 0
        self.depth = 0

    # --- tokens -------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    @property
    def operator(self) -> str:
        """The operator at hand, or '' when the token is something else."""
        token = self.token
        if token.kind == "operator" or (token.kind == "name" and token.value == "in"):
            return str(token.value)
        return ""

    def take(self) -> Token:
        token = self.token
        self.index += 1
        return token

    def accept(self, operator: str) -> bool:
        if self.operator == operator:
            self.index += 1
            return True
        return False

    def expect(self, operator: str, after: str) -> Token:
        if self.operator != operator:
            self.unexpected(f"'{operator}' {after}")
        return self.take()

    def unexpected(self, wanted: str) -> NoReturn:
        token = self.token
        if token.kind == "end":
            raise syntax_error(f"the expression ends where {wanted} was expected", token.at)
        text = self.source[token.at : token.end]
        hint = None
        if token.kind == "operator" and text == ":":
            hint = "put a space between ? and [ when ?: chooses between lists"
        elif token.kind in ("name", "string", "number"):
            hint = "an operator or a comma is missing before it"
        raise syntax_error(f"expected {wanted}, found '{text[:40]}'", token.at, hint)

    def deeper(self, at: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(
                f"the expression nests deeper than {MAX_DEPTH} levels", code="expr.budget", position=at
            )

    # --- grammar ------------------------------------------------------------------------------------

    def whole(self) -> Node:
        if len(self.tokens) == 1:
            raise syntax_error("the expression is empty", 0)
        node = self.expression()
        if self.token.kind != "end":
            self.unexpected("the end of the expression")
        return node

    def expression(self) -> Node:
        at = self.token.at
        self.deeper(at)
        node = self.binary(1)
        cases: list[tuple[Node, Node]] = []
        while self.accept("?"):
            value = self.expression()
            self.expect(":", "after the value for true")
            cases.append((node, value))
            node = self.binary(1)
        self.depth -= 1
        return Conditional(tuple(cases), node, at) if cases else node

    def binary(self, floor: int) -> Node:
        left = self.unary()
        while True:
            operator = self.operator
            level = LEVELS.get(operator, 0)
            if level < floor or level == 0:
                return left
            if operator in COMPARISONS:
                left = self.comparison(left, level)
            elif operator in ("&&", "||", "??"):
                left = self.logic(left, operator, level)
            else:
                left = self.chain(left, level)

    def comparison(self, left: Node, level: int) -> Node:
        token = self.take()
        right = self.binary(level + 1)
        if self.operator in COMPARISONS:
            raise syntax_error(
                "comparisons do not chain", self.token.at, "write a < b && b < c, or put one of them in ( )"
            )
        return Binary(str(token.value), left, right, token.at)

    def logic(self, left: Node, operator: str, level: int) -> Node:
        at = self.token.at
        operands = [left]
        while self.accept(operator):
            operands.append(self.binary(level + 1))
        return Logic(operator, tuple(operands), at)

    def chain(self, first: Node, level: int) -> Node:
        at = self.token.at
        rest: list[Operand] = []
        while LEVELS.get(self.operator) == level:
            token = self.take()
            rest.append(Operand(str(token.value), self.binary(level + 1), token.at))
        return Chain(first, tuple(rest), at)

    def unary(self) -> Node:
        token = self.token
        if self.operator not in ("!", "-"):
            return self.access()
        self.take()
        self.deeper(token.at)
        operand = self.unary()
        self.depth -= 1
        if token.value == "-" and isinstance(operand, Literal) and type(operand.value) in (int, float):
            return Literal(-operand.value, token.at)  # type: ignore[operator]
        return Unary(str(token.value), operand, token.at)

    # --- links --------------------------------------------------------------------------------------

    def access(self) -> Node:
        at = self.token.at
        base = self.primary()
        links: list[Link] = []
        while self.operator in _LINK_STARTS:
            links.append(self.link())
        if not links:
            return base
        if isinstance(base, Access) and not any(link.optional for link in base.links):
            links = [*base.links, *links]
            base = base.base
        return self.defaulted(base, links, at)

    def defaulted(self, base: Node, links: list[Link], at: int) -> Node:
        """`x.default(y)` reads as `x ?? y`; the links around it stay links."""
        for place, link in enumerate(links):
            if isinstance(link, Method) and link.name == "default":
                before = Access(base, tuple(links[:place]), at) if place else base
                node = self.default_of((before, *link.arguments), link.at)
                after = links[place + 1 :]
                return self.defaulted(node, after, at) if after else node
        return Access(base, tuple(links), at)

    def default_of(self, arguments: tuple[Node, ...], at: int) -> Node:
        if len(arguments) != 2:
            raise ExpressionError(
                "default takes 2 arguments",
                code="expr.arguments",
                position=at,
                hint='default(ctx.vars.x, "-")',
            )
        return Logic("??", arguments, at)

    def link(self) -> Link:
        token = self.take()
        optional = token.value in ("?.", "?[", "?.[")
        if token.value in (".", "?."):
            return self.member(optional)
        return self.index_or_slice(token, optional)

    def member(self, optional: bool) -> Link:
        token = self.token
        if token.kind != "name":
            self.unexpected("a name after the dot")
        self.refuse_hyphen(token)
        self.take()
        name = str(token.value)
        if self.operator != "(":
            return Member(name, optional, token.at, token.end)
        if name in MACROS:
            return self.macro(name, optional, token)
        arguments, end = self.arguments()
        return Method(name, arguments, optional, token.at, end)

    def refuse_hyphen(self, token: Token) -> None:
        match = _HYPHENATED.match(self.source, token.at)
        if match is None:
            return
        before = self.source[: token.at].rstrip()
        before = before[:-2] + "?" if before.endswith("?.") else before[:-1]
        name = match.group()
        raise syntax_error(
            f"'.{name}' reads as a subtraction",
            token.at,
            f'write {before.split()[-1] if before.split() else ""}["{name}"], or put spaces around the minus',
        )

    def macro(self, name: str, optional: bool, token: Token) -> Link:
        opening = self.take()
        variable = self.token
        shape = f"{name}(v, expression)"
        if variable.kind != "name" or variable.value in RESERVED:
            raise syntax_error(f"{name} needs the name of a variable first", variable.at, f"write .{shape}")
        self.take()
        if not self.accept(","):
            raise syntax_error(f"{name} takes a variable and an expression", opening.at, f"write .{shape}")
        body = self.expression()
        end = self.expect(")", f"after the expression of {name}").end
        return Macro(name, str(variable.value), body, optional, token.at, end)

    def index_or_slice(self, opening: Token, optional: bool) -> Link:
        start = None if self.operator == ":" else self.expression()
        if self.accept(":"):
            stop = None if self.operator == "]" else self.expression()
            end = self.expect("]", "after the slice").end
            return Slice(start, stop, optional, opening.at, end)
        end = self.expect("]", "after the index").end
        if start is None:
            self.unexpected("an index")
        return Index(start, optional, opening.at, end)

    # --- operands -----------------------------------------------------------------------------------

    def arguments(self) -> tuple[tuple[Node, ...], int]:
        self.expect("(", "before the arguments")
        items = self.items(")")
        return items, self.tokens[self.index - 1].end

    def items(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self.accept(closing):
            items.append(self.expression())
            if self.operator != closing:
                self.expect(",", f"or '{closing}'")
        return tuple(items)

    def primary(self) -> Node:
        token = self.token
        if token.kind in ("string", "number"):
            self.take()
            return Literal(token.value, token.at)
        if token.kind == "name" and token.value != "in":
            return self.named()
        if self.accept("("):
            node = self.expression()
            self.expect(")", "to close the bracket")
            return node
        if self.accept("["):
            return ListLiteral(self.items("]"), token.at)
        if self.accept("{"):
            return self.map_literal(token)
        self.unexpected("a value")

    def named(self) -> Node:
        token = self.take()
        name = str(token.value)
        if name in CONSTANTS:
            return Literal(CONSTANTS[name], token.at)
        if self.operator != "(":
            return Name(name, token.at)
        if name in MACROS:
            raise syntax_error(f"{name} stands after a list", token.at, f"write xs.{name}(v, expression)")
        arguments, _ = self.arguments()
        if name == "has":
            return self.has(arguments, token)
        if name == "default":
            return self.default_of(arguments, token.at)
        return Call(name, arguments, token.at)

    def has(self, arguments: tuple[Node, ...], token: Token) -> Node:
        if len(arguments) == 1 and isinstance(arguments[0], Access):
            path = arguments[0]
            if isinstance(path.links[-1], Member | Index):
                return Has(path, token.at)
        raise syntax_error(
            "has() takes one path that ends in a key", token.at, "write has(steps.fetch.output) or has(m[k])"
        )

    def map_literal(self, opening: Token) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            bare = self.token
            key = self.expression()
            if isinstance(key, Name) and self.source[bare.at : bare.end] == key.name:
                raise syntax_error(
                    f"the key {key.name} is not quoted",
                    key.at,
                    f'write "{key.name}": for the key, ({key.name}): for the value of that name',
                )
            self.expect(":", "after the key")
            entries.append((key, self.expression()))
            if self.operator != "}":
                self.expect(",", "or '}'")
        return MapLiteral(tuple(entries), opening.at)
