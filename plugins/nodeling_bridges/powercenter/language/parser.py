"""From tokens to a tree, by precedence: OR, AND, NOT, comparison, `||`, `+ -`, `* / %`, signs."""

from __future__ import annotations

import difflib

from nodeling_bridges.powercenter.language.functions import FUNCTIONS
from nodeling_bridges.powercenter.language.lexer import Token, tokens_of
from nodeling_bridges.powercenter.language.syntax import (
    Binary,
    Call,
    Expression,
    Literal,
    SyntaxFault,
    Unary,
    Variable,
)

DEEPEST = 64
COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "^=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_LEVELS = (("||",), ("+", "-"), ("*", "/", "%"))
# Words that stand for numbers or states and not for variables of the workflow.
STATUSES = ("ABORTED", "DISABLED", "FAILED", "NOTSTARTED", "STARTED", "STOPPED", "SUCCEEDED")
CONSTANTS: dict[str, int | str | None] = {"NULL": None, "TRUE": 1, "FALSE": 0, **{s: s for s in STATUSES}}
BUILT_IN_VARIABLES = ("SYSDATE", "SYSTIMESTAMP", "SESSSTARTTIME", "WORKFLOWSTARTTIME")


def parse(text: str) -> Expression:
    """The tree of an expression.

    Raises:
        SyntaxFault: It is none; says why and at which character.
    """
    parser = _Parser(tokens_of(text))
    tree = parser.disjunction()
    parser.end()
    return tree


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    # -- levels

    def disjunction(self) -> Expression:
        self._deeper()
        left = self._conjunction()
        while self._is_word("OR"):
            token = self._next()
            left = Binary("OR", left, self._conjunction(), token.position)
        self._depth -= 1
        return left

    def _conjunction(self) -> Expression:
        left = self._negation()
        while self._is_word("AND"):
            token = self._next()
            left = Binary("AND", left, self._negation(), token.position)
        return left

    def _negation(self) -> Expression:
        if not self._is_word("NOT"):
            return self._comparison()
        token = self._next()
        self._deeper()
        operand = self._negation()
        self._depth -= 1
        return Unary("NOT", operand, token.position)

    def _comparison(self) -> Expression:
        left = self._level(0)
        while self._here.text in COMPARISONS:
            token = self._next()
            left = Binary(COMPARISONS[token.text], left, self._level(0), token.position)
            left = self._bare_alternatives(left)
        return left

    def _bare_alternatives(self, left: Expression) -> Expression:
        """`$t.Status = SUCCEEDED OR DISABLED`: a bare status after OR is compared as the one before it."""
        if not isinstance(left, Binary):
            return left
        whole: Expression = left
        while self._is_word("OR") and self._is_bare_status():
            token = self._next()
            status = self._primary()
            whole = Binary(
                "OR", whole, Binary(left.operator, left.left, status, token.position), token.position
            )
        return whole

    def _is_bare_status(self) -> bool:
        word = self._tokens[self._at + 1]
        after = self._tokens[self._at + 2] if self._at + 2 < len(self._tokens) else word
        return word.text.upper() in STATUSES and after.text not in COMPARISONS

    def _level(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._signed()
        left = self._level(level + 1)
        while self._here.kind == "operator" and self._here.text in _LEVELS[level]:
            token = self._next()
            left = Binary(token.text, left, self._level(level + 1), token.position)
        return left

    def _signed(self) -> Expression:
        if self._here.text in ("-", "+"):
            token = self._next()
            self._deeper()
            operand = self._signed()
            self._depth -= 1
            return Unary(token.text, operand, token.position)
        return self._primary()

    # -- leaves

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind == "number":
            value = float(token.text) if set(token.text) & set(".eE") else int(token.text)
            return Literal(value, token.position)
        if token.kind == "text":
            return Literal(token.text[1:-1].replace("''", "'"), token.position)
        if token.kind in ("mapping", "variable"):
            return _variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            inner = self.disjunction()
            self._expect(")")
            return inner
        what = "the expression ends here" if token.kind == "end" else f"{token.text!r} stands here"
        raise SyntaxFault(f"{what}, where a value is wanted", token.position)

    def _named(self, token: Token) -> Expression:
        word = token.text.upper()
        if self._here.text == "(":
            return self._call(token, word)
        if word in CONSTANTS:
            return Literal(CONSTANTS[word], token.position)
        if word in BUILT_IN_VARIABLES:
            return Variable(None, word, token.position)
        near = _nearest(word, [*CONSTANTS, *BUILT_IN_VARIABLES])
        hint = f"did you mean {near}?" if near else "a workflow's variable begins with $$, a task's with $"
        raise SyntaxFault(f"{token.text!r} is no value", token.position, hint)

    def _call(self, token: Token, name: str) -> Call:
        if name not in FUNCTIONS:
            near = _nearest(name, FUNCTIONS)
            hint = f"did you mean {near}?" if near else None
            raise SyntaxFault(f"there is no function {token.text}", token.position, hint)
        self._expect("(")
        arguments: list[Expression] = []
        if self._here.text != ")":
            arguments.append(self.disjunction())
            while self._here.text == ",":
                self._next()
                arguments.append(self.disjunction())
        self._expect(")")
        least, most = FUNCTIONS[name].least, FUNCTIONS[name].most
        if len(arguments) < least or (most is not None and len(arguments) > most):
            wanted = f"{least}" if most == least else f"{least} to {most}" if most else f"at least {least}"
            raise SyntaxFault(f"{name} takes {wanted} arguments, not {len(arguments)}", token.position)
        return Call(name, tuple(arguments), token.position)

    # -- tokens

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _is_word(self, word: str) -> bool:
        return self._here.kind == "name" and self._here.text.upper() == word

    def _expect(self, text: str) -> None:
        token = self._next()
        if token.text != text:
            found = repr(token.text) if token.kind != "end" else "the end"
            raise SyntaxFault(f"{text!r} is wanted here, not {found}", token.position)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise SyntaxFault(f"the expression nests deeper than {DEEPEST} levels", self._here.position)

    def end(self) -> None:
        if self._here.kind != "end":
            raise SyntaxFault(f"{self._here.text!r} is left over", self._here.position)


def _variable(token: Token) -> Variable:
    if token.kind == "mapping":
        return Variable(None, token.text, token.position)
    task, dot, name = token.text[1:].partition(".")
    return Variable(task, name, token.position) if dot else Variable(None, token.text, token.position)


def _nearest(word: str, known: object) -> str | None:
    found = difflib.get_close_matches(word, list(known), 1)  # type: ignore[call-overload]
    return found[0] if found else None
