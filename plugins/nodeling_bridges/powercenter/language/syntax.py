"""The transformation language as a tree: what a text was read as, with where each part stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias


class SyntaxFault(ValueError):
    """A text is no expression of the language; `position` counts its characters."""

    def __init__(self, message: str, position: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, or NULL."""

    value: float | int | str | None
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`$task.Status`, `$$NAME`, `$PMName` or a built-in such as SYSDATE; names keep their spelling."""

    task: str | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`NOT x`, `-x`, `+x`."""

    operator: str
    operand: Expression
    position: int


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what is between them, in capitals."""

    operator: str
    left: Expression
    right: Expression
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function, its name in capitals, and its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    position: int


Expression: TypeAlias = "Literal | Variable | Unary | Binary | Call"


def variables_of(expression: Expression) -> Iterator[Variable]:
    """Every variable that an expression names, from left to right."""
    todo: list[Expression] = [expression]
    while todo:
        here = todo.pop()
        if isinstance(here, Variable):
            yield here
        elif isinstance(here, Unary):
            todo.append(here.operand)
        elif isinstance(here, Binary):
            todo.extend((here.right, here.left))
        elif isinstance(here, Call):
            todo.extend(reversed(here.arguments))
