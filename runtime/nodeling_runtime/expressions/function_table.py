"""What a function is to an expression, and the table functions are found in.

A table is immutable: a plugin's functions make a longer table, and a name taken twice is an error that names
both owners. Everything the language checks about a function (arity, result, cost) is data here, so that a
stranger's function is held to the same rules as a built-in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.errors import PluginError
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.operators import is_number, type_error, type_name
from nodeling_runtime.expressions.words import MACROS, RESERVED

__all__ = ["FORMS", "ExpressionFunction", "FunctionTable", "need"]

FORMS = MACROS | RESERVED | {"has", "default"}


@dataclass(frozen=True, slots=True)
class ExpressionFunction:
    """One function: `call` takes JSON values and gives one; it must neither change nor keep them.

    `max_args` None means any number. `returns_schema` is the JSON Schema of every result, where one is known.
    With `budgeted`, `call` is given the `Budget` of the evaluation first, to pay for more than its arguments.
    """

    name: str
    call: Callable[..., Any]
    min_args: int
    max_args: int | None
    doc: str
    returns_schema: Mapping[str, Any] | None = None
    signature: str = ""
    budgeted: bool = False
    owner: str = "a plugin"
    is_added: bool = False  # by a plugin, of whatever distribution: no part of the language itself

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise PluginError(f"expression function {self.name!r} is not named by a plain identifier")
        if self.name in FORMS:
            raise PluginError(f"expression function {self.name!r} has the name of a built-in form")

    @property
    def usage(self) -> str:
        """How it is called, for messages and pages."""
        if self.signature:
            return self.signature
        names = [f"x{place + 1}" for place in range(self.min_args)]
        return f"{self.name}({', '.join(names)}{', …' if self.max_args != self.min_args else ''})"

    def check_arity(self, count: int, at: int) -> None:
        """Raise `expr.arguments` unless the function takes this many arguments."""
        if count < self.min_args or (self.max_args is not None and count > self.max_args):
            raise ExpressionError(
                f"{self.name} does not take {count} argument{'' if count == 1 else 's'}",
                code="expr.arguments",
                position=at,
                hint=f"it is {self.usage}",
            )


class FunctionTable:
    """Functions by name. `extended` makes a longer table; a table never changes."""

    __slots__ = ("_functions",)

    def __init__(self, functions: Iterable[ExpressionFunction] = ()) -> None:
        self._functions: dict[str, ExpressionFunction] = {}
        for function in functions:
            held = self._functions.get(function.name)
            if held is not None:
                raise PluginError(
                    f"expression function {function.name!r} is defined by {held.owner} "
                    f"and by {function.owner}",
                    code="plugin.duplicate",
                )
            self._functions[function.name] = function

    def extended(self, functions: Iterable[ExpressionFunction]) -> FunctionTable:
        """A table with these functions too."""
        return FunctionTable([*self._functions.values(), *functions])

    def get(self, name: str) -> ExpressionFunction | None:
        """The function of a name, or None."""
        return self._functions.get(name)

    def find(self, name: str, at: int) -> ExpressionFunction:
        """The function of a name; raises `expr.unknown_function` with the nearest."""
        function = self._functions.get(name)
        if function is None:
            added = {key for key, one in self._functions.items() if one.is_added}  # by plugins, ours too
            known = [*sorted({*self._functions, *MACROS, "has", "default"} - added), *sorted(added)]
            raise ExpressionError(
                f"unknown function '{name}'",
                code="expr.unknown_function",
                position=at,
                word=name,
                known=known,
            )
        return function

    def __iter__(self) -> Iterator[ExpressionFunction]:
        return iter(self._functions.values())

    def __len__(self) -> int:
        return len(self._functions)

    def __contains__(self, name: object) -> bool:
        return name in self._functions


_KINDS: dict[str, Callable[[Any], bool]] = {
    "number": is_number,
    "string": lambda value: value.__class__ is str,
    "list": lambda value: value.__class__ is list,
    "map": lambda value: value.__class__ is dict,
    "boolean": lambda value: value.__class__ is bool,
    "integer": lambda value: value.__class__ is int,
}


def need(kind: str, value: Any, function: str) -> Any:
    """The value, if it is of this kind; raises `expr.type` in the name of the function."""
    if not _KINDS[kind](value):
        raise type_error(
            f"{function} needs a {kind}, not a {type_name(value)}".replace("a integer", "an integer")
        )
    return value
