"""The state of one pass over JavaScript text: the token at hand, the limits, the errors."""

from __future__ import annotations

from typing import NoReturn

from nodeling_runtime.expressions.budget import MAX_DEPTH, MAX_TOKENS
from nodeling_runtime.expressions.errors import ExpressionError, syntax_error
from nodeling_runtime.expressions.javascript_lexer import Token, next_token
from nodeling_runtime.expressions.javascript_values import refused
from nodeling_runtime.expressions.syntax import (
    Node,
)

__all__ = ["Reader"]


class Reader:
    """The tokens of one source, one ahead."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.depth = 0
        self.count = 0
        self.variables: list[str] = []
        # by identity; holding the nodes keeps their identities from being used again
        self.bracketed_nodes: dict[int, Node] = {}
        self.last_end = 0
        self.token = next_token(source, 0)

    @property
    def operator(self) -> str:
        """The operator at hand, or '' when the token is something else."""
        token = self.token
        if token.kind == "operator" or (token.kind == "name" and token.value in ("in", "instanceof")):
            return str(token.value)
        return ""

    def take(self) -> Token:
        """The token at hand; the next one takes its place."""
        token = self.token
        self.count += 1
        if self.count > MAX_TOKENS:
            raise ExpressionError(
                f"the expression has more than {MAX_TOKENS:,} tokens", code="expr.budget", position=token.at
            )
        self.last_end = token.end
        self.token = next_token(self.source, token.end)
        return token

    def accept(self, operator: str) -> bool:
        """Take this operator if it is at hand."""
        if self.operator != operator:
            return False
        self.take()
        return True

    def expect(self, operator: str) -> Token:
        """Take this operator, or refuse what stands there instead."""
        if self.operator != operator:
            self.unexpected(f"'{operator}'")
        return self.take()

    def unexpected(self, wanted: str) -> NoReturn:
        """Refuse the token at hand."""
        raise self.surprise(wanted)

    def surprise(self, wanted: str) -> ExpressionError:
        """The error for the token at hand, where something else was wanted."""
        token = self.token
        if token.kind == "end":
            return syntax_error(f"the JavaScript ends where {wanted} was expected", token.at)
        if token.value == "`":
            return refused("a tagged template", token.at)
        if token.value == "=>":
            return refused("a function outside map, filter, some, every, find and their like", token.at)
        found = self.source[token.at : token.end][:40]
        return syntax_error(f"expected {wanted}, found '{found}' in JavaScript", token.at)

    def deeper(self) -> None:
        """Count one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(
                f"the expression nests deeper than {MAX_DEPTH} levels",
                code="expr.budget",
                position=self.token.at,
            )

    def finish(self) -> None:
        """Refuse whatever follows the expression."""
        if self.operator == ",":
            raise refused("the comma operator", self.token.at)
        if self.token.kind != "end":
            self.unexpected("the end")

    def dotted(self) -> Token:
        """The name after a dot."""
        if self.token.kind != "name":
            raise self.surprise("a name after the dot")
        return self.take()
