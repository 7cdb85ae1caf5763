"""JavaScript expressions to the same tree that the language's own parser makes.

The tree keeps JavaScript's operators (`===`, `typeof`); its meaning is given by the JavaScript compiler. What
cannot be lowered is refused here, by name, so that a document is known to be good before it runs.
"""

from __future__ import annotations

from nodeling_runtime.expressions.budget import MAX_SOURCE
from nodeling_runtime.expressions.errors import ExpressionError, syntax_error
from nodeling_runtime.expressions.javascript_lexer import Token
from nodeling_runtime.expressions.javascript_names import (
    CALLBACK_METHODS,
    METHODS,
    MUTATING,
    REWRITES,
    SPREAD,
    STATEMENTS,
)
from nodeling_runtime.expressions.javascript_operands import Operands
from nodeling_runtime.expressions.javascript_values import refused
from nodeling_runtime.expressions.syntax import (
    Access,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Lambda,
    Link,
    Literal,
    Logic,
    Member,
    Method,
    Node,
    Operand,
    Unary,
)

__all__ = ["parse_javascript"]

EQUALITIES = frozenset({"===", "!==", "==", "!="})
RELATIONS = frozenset({"<", "<=", ">", ">=", "in", "instanceof"})
LEVELS: dict[str, int] = {
    "??": 1,
    "||": 2,
    "&&": 3,
    **dict.fromkeys(EQUALITIES, 4),
    **dict.fromkeys(RELATIONS, 5),
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    "%": 7,
}


def parse_javascript(source: str) -> Node:
    """The tree of a JavaScript expression.

    Raises:
        ExpressionError: `expr.javascript` names what cannot be lowered; `expr.syntax` is no JavaScript.
    """
    if len(source) > MAX_SOURCE:
        raise ExpressionError(f"the expression is longer than {MAX_SOURCE:,} characters", code="expr.budget")
    parser = _Parser(source)
    node = parser.expression()
    parser.finish()
    return node


class _Parser(Operands):
    # --- operators ----------------------------------------------------------------------------------

    def expression(self) -> Node:
        at = self.token.at
        self.deeper()
        node = self.binary(1)
        cases: list[tuple[Node, Node]] = []
        while self.accept("?"):
            value = self.expression()
            self.expect(":")
            cases.append((node, value))
            node = self.binary(1)
        self.depth -= 1
        return Conditional(tuple(cases), node, at) if cases else node

    def binary(self, floor: int) -> Node:
        left = self.unary()
        while True:
            operator = self.operator
            level = LEVELS.get(operator, 0)
            if level == 0 or level < floor:
                return left
            if operator in EQUALITIES or operator in RELATIONS:
                left = self.comparison(left, level)
            elif operator in ("&&", "||", "??"):
                left = self.logic(left, operator, level)
            else:
                left = self.chain(left, level)

    def comparison(self, left: Node, level: int) -> Node:
        token = self.take()
        if token.value == "instanceof":
            raise refused("instanceof", token.at)
        right = self.binary(level + 1)
        if LEVELS.get(self.operator) == level:
            raise refused("a chain of comparisons", self.token.at, "a < b && b < c")
        return Binary(str(token.value), left, right, token.at)

    def logic(self, left: Node, operator: str, level: int) -> Node:
        at = self.token.at
        operands = [left]
        while self.accept(operator):
            operands.append(self.binary(level + 1))
        for operand in operands:
            bare = isinstance(operand, Logic) and id(operand) not in self.bracketed_nodes
            if operator == "??" and bare:
                raise syntax_error("JavaScript does not mix ?? with && or || without brackets", at)
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
        word = str(token.value)
        if token.kind == "name" and word in STATEMENTS:
            raise refused(STATEMENTS[word], token.at, REWRITES.get(word))
        if not (self.operator in ("!", "-", "+") or (token.kind == "name" and word == "typeof")):
            return self.access()
        self.take()
        self.deeper()
        operand = self.unary()
        self.depth -= 1
        return Unary(word, operand, token.at)

    # --- links --------------------------------------------------------------------------------------

    def access(self) -> Node:
        at = self.token.at
        base = self.primary()
        links: list[Link] = []
        while True:
            token = self.token
            if self.accept("."):
                links.append(self.member(False))
            elif self.accept("?."):
                links.append(self.optional(token))
            elif self.accept("["):
                links.append(self.index(token, False))
            elif self.operator == "(":
                raise refused("a call of something other than a known function or method", token.at)
            elif self.operator == "`":
                raise refused("a tagged template", token.at)
            else:
                break
        if not links:
            return base
        if isinstance(base, Access) and not any(link.optional for link in base.links):
            return Access(base.base, (*base.links, *links), base.at)
        return Access(base, tuple(links), at)

    def optional(self, token: Token) -> Link:
        if self.accept("["):
            return self.index(token, True)
        if self.operator == "(":
            raise refused("an optional call", token.at)
        return self.member(True)

    def index(self, opening: Token, optional: bool) -> Link:
        index = self.expression()
        end = self.expect("]").end
        if isinstance(index, Literal) and index.value == "length":
            return Method("length", (), optional, opening.at, end)
        if self.operator == "(":
            raise refused("a call of a computed method", self.token.at)
        return Index(index, optional, opening.at, end)

    def member(self, optional: bool) -> Link:
        token = self.dotted()
        name = str(token.value)
        if self.operator != "(":
            if name == "length":
                return Method(name, (), optional, token.at, token.end)
            return Member(name, optional, token.at, token.end)
        if name in MUTATING:
            raise refused(f"the method {name}, which changes its array,", token.at, REWRITES.get(name))
        if name not in METHODS and name not in CALLBACK_METHODS:
            raise refused(f"the method {name}", token.at, REWRITES.get(name))
        arguments = self.arguments(name in CALLBACK_METHODS)
        self.check_arguments(name, arguments, token.at)
        return Method(name, arguments, optional, token.at, self.last_end)

    def check_arguments(self, name: str, arguments: tuple[Node, ...], at: int) -> None:
        if name in CALLBACK_METHODS:
            low, high = CALLBACK_METHODS[name]
            if not arguments or not isinstance(arguments[0], Lambda):
                raise refused(f"{name} without an arrow function", at)
        else:
            low, high = METHODS[name]
        if any(isinstance(argument, Call) and argument.function == SPREAD for argument in arguments):
            raise refused("a spread argument", at)
        if not low <= len(arguments) <= high:
            raise refused(f"{name} with {len(arguments)} arguments", at)
