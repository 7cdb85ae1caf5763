"""Values with expressions in them: what a document's `inputs` are.

A string that is one `${…}` keeps the type of its value; inside other text it is interpolated. `$${` is a
literal `${`, and `js/…` is JavaScript. A string that has the shape of an expression and does not parse is an
error, never a literal, and all faults of a value are found at once. Evaluation shares what it reads: a whole
reference gives the very object of the scope, which nobody may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling.errors import WorkflowError
from nodeling_runtime.expressions.budget import MAX_VALUE_DEPTH, Budget
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.functions import BUILTINS, FunctionTable
from nodeling_runtime.expressions.operators import type_error
from nodeling_runtime.expressions.record import Scope, to_plain
from nodeling_runtime.expressions.text_functions import to_text

if TYPE_CHECKING:
    from nodeling_runtime.expressions.expression import Expression
    from nodeling_runtime.expressions.references import Reference

__all__ = ["Part", "Template", "TemplateErrors", "TemplateString", "compile_template"]

JAVASCRIPT = "js/"

Build = Callable[[Scope, Budget | None], Any]


class TemplateErrors(WorkflowError):
    """Everything wrong with the expressions of one value.

    `found` lists the pointer of each string, its error, and the offset of the fault in that string.
    """

    default_code = "expr.syntax"

    def __init__(self, found: list[tuple[str, ExpressionError, int]]) -> None:
        first = found[0][1]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        faults = [error.to_fault(pointer) for pointer, error, _ in found]
        super().__init__(f"{first.message}{more}", code=first.code, faults=faults)
        self.found = found


@dataclass(frozen=True, slots=True)
class Part:
    """One expression of a template: where its string is, and where in the string it begins."""

    pointer: str
    offset: int
    expression: Expression


@dataclass(frozen=True, slots=True)
class TemplateString:
    """The pieces of one string with expressions in it; `is_whole` when it is a single `${…}`."""

    pieces: tuple[str | Part, ...]
    is_whole: bool


@dataclass(frozen=True)
class Template:
    """A compiled value. It holds no state: one may be evaluated by many at once."""

    source: Any
    parts: tuple[Part, ...]
    strings: dict[str, TemplateString]
    build: Build | None
    root_pointer: str = ""
    functions: FunctionTable = BUILTINS
    spends: bool = True  # whether its expressions cost a budget, which they share: mere paths do not

    @property
    def is_constant(self) -> bool:
        """Whether the value holds no expression."""
        return not self.parts

    @property
    def constant(self) -> Any:
        """The value of a constant template, `$${` already read; raises ValueError for any other."""
        if self.parts:
            raise ValueError("the template is not constant")
        return self.source

    @cached_property
    def references(self) -> tuple[tuple[str, Reference], ...]:
        """Every reference with the pointer of its string; offsets count in that string."""
        return tuple(
            (part.pointer, reference.moved(part.offset))
            for part in self.parts
            for reference in part.expression.references
        )

    @cached_property
    def expressions(self) -> tuple[tuple[str, Expression], ...]:
        """Every expression with the pointer of its string."""
        return tuple((part.pointer, part.expression) for part in self.parts)

    def evaluate(self, scope: Scope, budget: Budget | None = None) -> Any:
        """The value for this scope.

        Raises:
            ExpressionError: with the pointer of the string whose expression has no value here.
        """
        build = self.build
        if build is None:
            return self.source
        if budget is None and self.spends:
            budget = Budget()
        return build(scope, budget)

    def infer(self, schema_of: Callable[[Reference], Any]) -> Any:
        """The JSON Schema of the value as far as it is known, or None."""
        from nodeling_runtime.expressions.infer import infer_template

        return infer_template(self, schema_of)


def compile_template(value: Any, functions: FunctionTable = BUILTINS, *, root_pointer: str = "") -> Template:
    """Compile a JSON value with expressions at any depth.

    Raises:
        TemplateErrors: one or more strings are no expressions.
    """
    compiling = _Compiling(functions)
    source, build = compiling.value(value, root_pointer)
    if compiling.faults:
        raise TemplateErrors(compiling.faults)
    spends = any(
        not string.is_whole or (isinstance(part, Part) and part.expression.find is None)
        for string in compiling.strings.values()
        for part in string.pieces
    )
    parts = tuple(compiling.parts)
    return Template(source, parts, compiling.strings, build, root_pointer, functions, spends)


class _Compiling:
    """One compilation: what was found so far."""

    def __init__(self, functions: FunctionTable) -> None:
        self.functions = functions
        self.parts: list[Part] = []
        self.strings: dict[str, TemplateString] = {}
        self.faults: list[tuple[str, ExpressionError, int]] = []
        self.depth = 0

    def value(self, value: Any, pointer: str) -> tuple[Any, Build | None]:
        """The value with its escapes read, and how to build it when it is not constant."""
        if isinstance(value, str):
            return self.string(value, pointer)
        if not isinstance(value, dict | list | tuple):
            return value, None
        if self.depth > MAX_VALUE_DEPTH:
            message = f"the value nests deeper than {MAX_VALUE_DEPTH} levels"
            self.fault(ExpressionError(message, code="expr.value"), pointer, 0)
            return None, None
        self.depth += 1
        built = self.map(value, pointer) if isinstance(value, dict) else self.list(value, pointer)
        self.depth -= 1
        return built

    def map(self, value: dict[str, Any], pointer: str) -> tuple[Any, Build | None]:
        made = {key: self.value(item, f"{pointer}/{escaped(key)}") for key, item in value.items()}
        source = {key: item for key, (item, _) in made.items()}
        changing = [(key, build) for key, (_, build) in made.items() if build is not None]
        if not changing:
            return source, None

        def build_map(scope: Scope, budget: Budget | None) -> dict[str, Any]:
            built = source.copy()
            for key, build in changing:
                built[key] = build(scope, budget)
            return built

        return source, build_map

    def list(self, value: list[Any] | tuple[Any, ...], pointer: str) -> tuple[Any, Build | None]:
        made = [self.value(item, f"{pointer}/{place}") for place, item in enumerate(value)]
        source = [item for item, _ in made]
        changing = [(place, build) for place, (_, build) in enumerate(made) if build is not None]
        if not changing:
            return source, None

        def build_list(scope: Scope, budget: Budget | None) -> list[Any]:
            built = source.copy()
            for place, build in changing:
                built[place] = build(scope, budget)
            return built

        return source, build_list

    def string(self, text: str, pointer: str) -> tuple[Any, Build | None]:
        if text.startswith(JAVASCRIPT):
            return self.javascript(text, pointer)
        if "${" not in text:
            return text, None
        pieces = tuple(self.pieces(text, pointer))
        found = [piece for piece in pieces if isinstance(piece, Part)]
        self.parts.extend(found)
        if not found:
            return "".join(piece for piece in pieces if isinstance(piece, str)), None
        self.strings[pointer] = TemplateString(pieces, len(pieces) == 1)
        return text, whole_string(found[0]) if len(pieces) == 1 else joined_string(pieces)

    def javascript(self, text: str, pointer: str) -> tuple[Any, Build | None]:
        from nodeling_runtime.expressions.javascript import compile_any_javascript

        try:
            expression = compile_any_javascript(text[len(JAVASCRIPT) :], self.functions)
        except ExpressionError as error:
            self.fault(error, pointer, len(JAVASCRIPT))
            return text, None
        part = Part(pointer, len(JAVASCRIPT), expression)
        self.parts.append(part)
        self.strings[pointer] = TemplateString((part,), True)
        return text, whole_string(part)

    def pieces(self, text: str, pointer: str) -> Iterator[str | Part]:
        """The literal texts and the expressions of a string, in order."""
        from nodeling_runtime.expressions.lexer import find_end

        literal, position = "", 0
        while True:
            opening = text.find("${", position)
            if opening < 0:
                break
            if opening > position and text[opening - 1] == "$":
                literal += text[position : opening - 1] + "${"
                position = opening + 2
                continue
            literal += text[position:opening]
            if literal:
                yield literal
            literal = ""
            try:
                end = find_end(text, opening + 2)
            except ExpressionError as error:
                self.fault(error, pointer, 0)
                return
            position = end + 1
            part = self.expression(text, opening + 2, end, pointer)
            if part is not None:
                yield part
        literal += text[position:]
        if literal:
            yield literal

    def expression(self, text: str, start: int, end: int, pointer: str) -> Part | None:
        # The language is loaded for those who use it: many a workflow holds no expression.
        from nodeling_runtime.expressions.compiler import compile_expression

        try:
            return Part(pointer, start, compile_expression(text[start:end], self.functions))
        except ExpressionError as error:
            self.fault(error, pointer, start)
            return None

    def fault(self, error: ExpressionError, pointer: str, offset: int) -> None:
        error.pointer = pointer
        self.faults.append((pointer, error, offset + (error.position or 0)))


def escaped(key: Any) -> str:
    """One key as a segment of a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")


def whole_string(part: Part) -> Build:
    """A string that is one expression: the value itself."""
    evaluate, pointer = part.expression.evaluate, part.pointer

    def build(scope: Scope, budget: Budget | None) -> Any:
        try:
            return evaluate(scope, budget)
        except ExpressionError as error:
            error.pointer = pointer
            raise

    return build


def joined_string(pieces: tuple[str | Part, ...]) -> Build:
    """A text with expressions inside: their values as text."""

    def build(scope: Scope, budget: Budget | None) -> str:
        texts: list[str] = []
        budget = Budget() if budget is None else budget
        for piece in pieces:
            if isinstance(piece, str):
                texts.append(piece)
                continue
            try:
                texts.append(_interpolated(to_plain(piece.expression.evaluate(scope, budget)), budget))
            except ExpressionError as error:
                error.pointer = piece.pointer
                error.source = piece.expression.source
                raise
        return "".join(texts)

    return build


def _interpolated(value: Any, budget: Budget) -> str:
    if value is None:
        raise type_error("null cannot stand inside text", 0, 'say what to write instead: ${x ?? ""}')
    text = to_text(value, budget)
    if value.__class__ is str:
        budget.write(len(text))
    return text
