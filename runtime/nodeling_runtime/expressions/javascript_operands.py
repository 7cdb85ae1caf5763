"""The operands of JavaScript expressions: literals, names, calls, arrow functions, templates."""

from __future__ import annotations

from abc import ABC, abstractmethod

from nodeling_runtime.expressions.errors import ExpressionError, syntax_error
from nodeling_runtime.expressions.javascript_lexer import Token, next_token, unescape
from nodeling_runtime.expressions.javascript_names import (
    CALLBACKS,
    CONSTANTS,
    FUNCTIONS,
    REWRITES,
    ROOTS,
    SPREAD,
)
from nodeling_runtime.expressions.javascript_reader import Reader
from nodeling_runtime.expressions.javascript_values import refused
from nodeling_runtime.expressions.syntax import (
    Access,
    Call,
    Interpolation,
    Lambda,
    ListLiteral,
    Literal,
    MapLiteral,
    Member,
    Name,
    Node,
)

__all__ = ["Operands"]


class Operands(Reader, ABC):
    """Parses what operators and links stand around."""

    @abstractmethod
    def expression(self) -> Node:
        """A whole expression; the parser of operators says what that is."""

    def arguments(self, takes_function: bool) -> tuple[Node, ...]:
        """The arguments of a call, from its opening bracket."""
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
        """An arrow function, or one of the functions that may stand for one."""
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
        """An element of an array or an argument; it may be a spread."""
        token = self.token
        if self.accept(SPREAD):
            return Call(SPREAD, (self.expression(),), token.at)
        return self.expression()

    def primary(self) -> Node:
        """What stands before any link."""
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
        """What begins with a bracket of any kind."""
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
        """An array literal, after its opening bracket."""
        items: list[Node] = []
        while not self.accept("]"):
            if self.operator == ",":
                raise refused("a hole in an array", self.token.at)
            items.append(self.item())
            if self.operator != "]":
                self.expect(",")
        return ListLiteral(tuple(items), opening.at)

    def object(self, opening: Token) -> Node:
        """An object literal, after its opening brace."""
        entries: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            entries.append(self.entry())
            if self.operator != "}":
                self.expect(",")
        return MapLiteral(tuple(entries), opening.at)

    def entry(self) -> tuple[Node, Node]:
        """One property of an object literal."""
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
        """A name: a variable, a constant, a root or a call."""
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
        """A call of a global function."""
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
        """A template literal."""
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
