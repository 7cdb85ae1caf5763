"""JavaScript expressions to the same tree that the language's own parser makes.

The tree keeps JavaScript's operators (`===`, `typeof`); its meaning is given by the JavaScript compiler. What
cannot be lowered is refused here, by name, so that a document is known to be good before it runs.
"""

from __future__ import annotations

from typing import NoReturn

from nodeling_runtime.expressions.budget import MAX_DEPTH, MAX_SOURCE, MAX_TOKENS
from nodeling_runtime.expressions.errors import ExpressionError, syntax_error
from nodeling_runtime.expressions.javascript_lexer import Token, next_token, unescape
from nodeling_runtime.expressions.javascript_names import (
    CALLBACK_METHODS,
    CALLBACKS,
    CONSTANTS,
    FUNCTIONS,
    METHODS,
    MUTATING,
    REWRITES,
    ROOTS,
    SPREAD,
    STATEMENTS,
)
from nodeling_runtime.expressions.javascript_values import refused
from nodeling_runtime.expressions.syntax import (
    Access,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Interpolation,
    Lambda,
    Link,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Member,
    Method,
    Name,
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


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.depth = 0
        self.count = 0
        self.variables: list[str] = []
        # by identity; holding the nodes keeps their identities from being used again
        self.bracketed_nodes: dict[int, Node] = {}
        self.last_end = 0
        self.token = next_token(source, 0)

    # --- tokens -------------------------------------------------------------------------------------

    @property
    def operator(self) -> str:
        token = self.token
        if token.kind == "operator" or (token.kind == "name" and token.value in ("in", "instanceof")):
            return str(token.value)
        return ""

    def take(self) -> Token:
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
        if self.operator != operator:
            return False
        self.take()
        return True

    def expect(self, operator: str) -> Token:
        if self.operator != operator:
            self.unexpected(f"'{operator}'")
        return self.take()

    def unexpected(self, wanted: str) -> NoReturn:
        raise self.surprise(wanted)

    def surprise(self, wanted: str) -> ExpressionError:
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
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(
                f"the expression nests deeper than {MAX_DEPTH} levels",
                code="expr.budget",
                position=self.token.at,
            )

    def finish(self) -> None:
        if self.operator == ",":
            raise refused("the comma operator", self.token.at)
        if self.token.kind != "end":
            self.unexpected("the end")

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

    def dotted(self) -> Token:
        """The name after a dot."""
        if self.token.kind != "name":
            raise self.surprise("a name after the dot")
        return self.take()

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

    def arguments(self, takes_function: bool) -> tuple[Node, ...]:
        self.expect("(")
        items: list[Node] = []
        while not self.accept(")"):
            if takes_function and not items:
                items.append(self.callback())
            else:
                items.append(self.item())
            if self.operator != ")":
                self.expect(",")
        return tuple(items)

    def callback(self) -> Node:
        token = self.token
        if token.kind == "name" and token.value in CALLBACKS and token.value not in self.variables:
            after = next_token(self.source, token.end)
            if after.value in (")", ","):
                self.take()
                # a name that no JavaScript can spell, so that it hides nothing
                return Lambda(("v ",), Call(str(token.value), (Name("v ", token.at),), token.at), token.at)
        parameters = self.parameters()
        if parameters is None:
            raise refused("a callback that is not an arrow function", token.at)
        if self.operator == "{":
            raise refused("an arrow function with a block body", self.token.at)
        self.variables.extend(parameters)
        body = self.expression()
        del self.variables[len(self.variables) - len(parameters) :]
        return Lambda(parameters, body, token.at)

    def parameters(self) -> tuple[str, ...] | None:
        """The parameters of an arrow function, when one begins here; the arrow is taken too."""
        if self.token.kind == "name":
            if next_token(self.source, self.token.end).value != "=>":
                return None
            names = [str(self.take().value)]
        elif self.accept("("):
            names = []
            while not self.accept(")"):
                kind: str = self.token.kind
                if kind != "name":
                    raise refused("a parameter that is not a plain name", self.token.at)
                names.append(str(self.take().value))
                if self.operator != ")":
                    if self.operator != ",":
                        raise refused(
                            "a callback that is not an arrow function of plain names", self.token.at
                        )
                    self.take()
        else:
            return None
        self.expect("=>")
        if len(set(names)) < len(names):
            raise syntax_error("two parameters have one name", self.token.at)
        return tuple(names)

    # --- operands -----------------------------------------------------------------------------------

    def item(self) -> Node:
        token = self.token
        if self.accept(SPREAD):
            return Call(SPREAD, (self.expression(),), token.at)
        return self.expression()

    def primary(self) -> Node:
        token = self.token
        kind: str = token.kind
        if kind in ("number", "string"):
            self.take()
            return Literal(token.value, token.at)
        if kind == "name":
            return self.named()
        if token.value == "`":
            return self.template()
        return self.bracketed(token)

    def bracketed(self, token: Token) -> Node:
        if token.value in ("/", "/="):
            raise refused("a regular expression literal", token.at, REWRITES["regex"])
        if self.accept("("):
            node = self.expression()
            if self.operator == ",":
                raise refused("the comma operator", self.token.at)
            self.expect(")")
            self.bracketed_nodes[id(node)] = node
            return node
        if self.accept("["):
            return self.list(token)
        if self.accept("{"):
            return self.object(token)
        self.unexpected("a value")

    def list(self, opening: Token) -> Node:
        items: list[Node] = []
        while not self.accept("]"):
            if self.operator == ",":
                raise refused("a hole in an array", self.token.at)
            items.append(self.item())
            if self.operator != "]":
                self.expect(",")
        return ListLiteral(tuple(items), opening.at)

    def object(self, opening: Token) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            entries.append(self.entry())
            if self.operator != "}":
                self.expect(",")
        return MapLiteral(tuple(entries), opening.at)

    def entry(self) -> tuple[Node, Node]:
        token = self.token
        if self.operator == SPREAD:
            return self.item(), Literal(None)
        if self.accept("["):
            key = self.expression()
            self.expect("]")
        elif token.kind in ("name", "string", "number"):
            self.take()
            key = Literal(token.value, token.at)
            if token.value == "__proto__":
                raise refused("the key __proto__", token.at)
            if token.kind == "name" and self.operator in (",", "}"):
                return key, self.variable(str(token.value), token.at)
        else:
            raise self.surprise("a key")
        if self.operator == "(":
            raise refused("a method in an object literal", token.at)
        self.expect(":")
        return key, self.expression()

    def named(self) -> Node:
        token = self.take()
        word = str(token.value)
        if word in self.variables:
            return Name(word, token.at)
        if word in ("true", "false", "null"):
            return Literal({"true": True, "false": False, "null": None}[word], token.at)
        if word in CONSTANTS:
            return Call(word, (), token.at)
        if self.operator == "." and word not in ROOTS:
            word = self.namespaced(word, token)
        if self.operator == "(":
            return self.call(word, token)
        if self.operator == "`":
            raise refused("a tagged template", token.at)
        if self.operator == "=>":
            raise refused("a function outside map, filter, some, every, find and their like", token.at)
        return self.variable(word, token.at)

    def namespaced(self, word: str, token: Token) -> str:
        """`Math.max`, `Object.keys` and their like; anything else is no name of this language."""
        if word not in {name.partition(".")[0] for name in FUNCTIONS if "." in name}:
            return word
        self.take()
        name = f"{word}.{self.dotted().value}"
        if self.operator != "(" or name not in FUNCTIONS:
            raise refused(f"{name}", token.at, REWRITES.get(name))
        return name

    def call(self, word: str, token: Token) -> Node:
        if word not in FUNCTIONS:
            raise refused(f"a function call to {word}", token.at, REWRITES.get(word))
        arguments = self.arguments(False)
        low, high = FUNCTIONS[word]
        spread = any(isinstance(item, Call) and item.function == SPREAD for item in arguments)
        if not low <= len(arguments) <= high or (spread and not word.startswith("Math.m")):
            raise refused(f"{word} with {'a spread argument' if spread else len(arguments)}", token.at)
        return Call(word, arguments, token.at)

    def variable(self, word: str, at: int) -> Node:
        """A root of the scope, by the name it has in this language."""
        if word in self.variables:
            return Name(word, at)
        if word not in ROOTS:
            raise ExpressionError(
                f"unknown name '{word}' in JavaScript",
                code="expr.unknown_name",
                position=at,
                word=word,
                known=sorted(ROOTS),
            )
        root, path = ROOTS[word]
        end = at + len(word)
        if not path:
            return Name(root, at)
        return Access(Name(root, at), tuple(Member(key, False, at, end) for key in path), at)

    def template(self) -> Node:
        opening = self.token
        parts: list[str | Node] = []
        position = opening.end
        while True:
            text, position, ended = self.piece(position, opening.at)
            if text:
                parts.append(text)
            if ended:
                break
            self.token = next_token(self.source, position)
            parts.append(self.expression())
            if self.operator != "}":
                self.unexpected("'}' after the expression in a template")
            position = self.token.end
        self.last_end = position
        self.token = next_token(self.source, position)
        return Interpolation(tuple(parts), opening.at)

    def piece(self, position: int, at: int) -> tuple[str, int, bool]:
        """The text up to the next `${` or the closing backquote."""
        start = position
        while position < len(self.source):
            character = self.source[position]
            if character == "\\":
                position += 2
            elif character == "`" or self.source.startswith("${", position):
                text = unescape(self.source[start:position].replace("\r\n", "\n"), at)
                return text, position + (1 if character == "`" else 2), character == "`"
            else:
                position += 1
        raise syntax_error("a template literal is never closed", at)
