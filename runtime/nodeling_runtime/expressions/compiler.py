"""A tree to closures: compiled once, evaluated as often as a step runs.

Each node becomes one Python function of a frame. Paths and comparisons, which most conditions are made of,
have closures of their own for the case that goes well; whatever does not fit them takes the general way,
which alone makes errors. Every error leaves with the position of the node that raised it.
"""

from __future__ import annotations

from typing import Any

from nodeling_runtime.expressions.calls import compile_call
from nodeling_runtime.expressions.closures import (
    constant_path,
    equality_closure,
    finder,
    general_closure,
    kept,
    ordering_closure,
    path_closure,
    truth,
    variable_closure,
    whole_closure,
)
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.expression import Expression
from nodeling_runtime.expressions.frame import Closure, Frame, Step
from nodeling_runtime.expressions.functions import BUILTINS, FunctionTable
from nodeling_runtime.expressions.macros import MACRO_BUILDERS, OPERATIONS_PER_STEP
from nodeling_runtime.expressions.operators import (
    ARITHMETIC,
    ORDERINGS,
    contains,
    member,
    negate,
    slice_of,
    type_error,
    type_name,
)
from nodeling_runtime.expressions.parser import parse
from nodeling_runtime.expressions.record import to_plain
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
    Slice,
    Unary,
    children,
    weight,
)

__all__ = ["Expression", "compile_expression", "compile_tree"]

Variables = dict[str, int]


def compile_expression(source: str, functions: FunctionTable = BUILTINS) -> Expression:
    """Parse and compile an expression.

    Raises:
        ExpressionError: the text is not an expression, or names a function that does not exist.
    """
    try:
        return compile_tree(source, parse(source), functions)
    except ExpressionError as error:
        error.source = source
        raise


def compile_tree(source: str, tree: Node, functions: FunctionTable = BUILTINS) -> Expression:
    """Compile a tree that is already there; `source` is what messages quote."""
    compiler = _Compiler(functions)
    run = compiler.whole(tree)
    path = constant_path(tree)
    find = None if path is None else finder(*path)
    return Expression(source, tree, run, compiler.slots, _builds(tree), find=find)


def _builds(node: Node) -> bool:
    """Whether a tree can make lists or maps that hold more than its data does."""
    if isinstance(node, ListLiteral | MapLiteral | Call | Chain):
        return True
    if isinstance(node, Access) and any(isinstance(link, Method | Macro) for link in node.links):
        return True
    return any(_builds(child) for child in children(node))


class _Compiler:
    """Builds the closures of one expression."""

    def __init__(self, functions: FunctionTable) -> None:
        self.functions = functions
        self.slots = 0

    def whole(self, node: Node) -> Closure:
        """The closure of the whole expression, which may give a deferred value."""
        run = self.raw(node, {})
        if not isinstance(node, Access | Name | Conditional | Logic):
            return run
        if isinstance(node, Logic) and node.operator != "??":
            return run
        path = constant_path(node)
        return whole_closure(run, kept) if path is None else path_closure(run, *path, kept)

    def plain(self, node: Node, variables: Variables) -> Closure:
        """A closure that gives a JSON value: a record becomes its whole."""
        run = self.raw(node, variables)
        if not isinstance(node, Access | Name | Conditional | Logic):
            return run
        if isinstance(node, Logic) and node.operator != "??":
            return run
        path = constant_path(node)
        if path is None:
            return whole_closure(run)
        slot = variables.get(path[0])
        if slot is None:
            return path_closure(run, *path)
        return variable_closure(run, slot, path[1]) if path[1] else run

    def raw(self, node: Node, variables: Variables) -> Closure:
        """A closure that may give a record, for a path to lead on from."""
        match node:
            case Literal(value=value):
                return lambda frame: value
            case Name():
                return self.name(node, variables)
            case Access():
                return self.access(node, variables)
            case Conditional():
                return self.conditional(node, variables)
            case Logic(operator="??"):
                return self.coalesce(node, variables)
            case Logic():
                return self.logic(node, variables)
            case Binary():
                return self.binary(node, variables)
            case Chain():
                return self.chain(node, variables)
        return self.other(node, variables)

    def other(self, node: Node, variables: Variables) -> Closure:
        match node:
            case Unary():
                return self.unary(node, variables)
            case Has():
                return self.has(node, variables)
            case ListLiteral():
                return self.list_literal(node, variables)
            case MapLiteral():
                return self.map_literal(node, variables)
            case Call():
                function = self.functions.find(node.function, node.at)
                arguments = tuple(self.plain(argument, variables) for argument in node.arguments)
                call = compile_call(function, arguments, node.at)
                return lambda frame: call(frame, [])
        raise ExpressionError(f"a {type(node).__name__} stands where it cannot", position=node.at)

    def name(self, node: Name, variables: Variables) -> Closure:
        name, at = node.name, node.at
        slot = variables.get(name)
        if slot is not None:
            return lambda frame: frame.slots[slot]

        def run(frame: Frame) -> Any:
            try:
                return frame.lookup(name)
            except ExpressionError as error:
                raise error.placed(at) from None

        return run

    # --- operators ----------------------------------------------------------------------------------

    def unary(self, node: Unary, variables: Variables) -> Closure:
        operand, at = self.plain(node.operand, variables), node.at
        if node.operator == "!":

            def invert(frame: Frame) -> bool:
                return not truth(operand(frame), "!", at)

            return invert

        def minus(frame: Frame) -> Any:
            value = operand(frame)
            try:
                return negate(value)
            except ExpressionError as error:
                raise error.placed(at) from None

        return minus

    def chain(self, node: Chain, variables: Variables) -> Closure:
        first = self.plain(node.first, variables)
        rest = [(ARITHMETIC[part.operator], self.plain(part.node, variables), part.at) for part in node.rest]

        def run(frame: Frame) -> Any:
            value = first(frame)
            for apply, operand, at in rest:
                other = operand(frame)
                try:
                    value = apply(value, other, frame.meter())
                except ExpressionError as error:
                    raise error.placed(at) from None
            return value

        return run

    def binary(self, node: Binary, variables: Variables) -> Closure:
        left, right = self.plain(node.left, variables), self.plain(node.right, variables)
        if node.operator in ORDERINGS:
            return ordering_closure(node.operator, left, right, node.at)
        if node.operator == "in":
            return general_closure(contains, left, right, node.at)
        constant = node.right.value if isinstance(node.right, Literal) else None
        return equality_closure(node.operator == "==", left, right, constant, node.at)

    def logic(self, node: Logic, variables: Variables) -> Closure:
        operands = [self.plain(operand, variables) for operand in node.operands]
        places = [operand.at for operand in node.operands]
        operator = node.operator
        decisive = operator == "||"
        otherwise = not decisive

        def run(frame: Frame) -> bool:
            for place, operand in enumerate(operands):
                value = operand(frame)
                if value.__class__ is not bool:
                    truth(value, operator, places[place])
                if value is decisive:
                    return not otherwise
            return otherwise

        return run

    def coalesce(self, node: Logic, variables: Variables) -> Closure:
        first = [self.raw(operand, variables) for operand in node.operands[:-1]]
        last = self.raw(node.operands[-1], variables)

        def run(frame: Frame) -> Any:
            for operand in first:
                try:
                    value = operand(frame)
                except ExpressionError as error:
                    if not error.is_missing:
                        raise
                    continue
                if value is not None:
                    return value
            return last(frame)

        return run

    def conditional(self, node: Conditional, variables: Variables) -> Closure:
        cases = [
            (self.plain(test, variables), self.raw(value, variables), test.at) for test, value in node.cases
        ]
        otherwise = self.raw(node.otherwise, variables)

        def run(frame: Frame) -> Any:
            for test, value, at in cases:
                if truth(test(frame), "?:", at):
                    return value(frame)
            return otherwise(frame)

        return run

    def has(self, node: Has, variables: Variables) -> Closure:
        run = self.access(node.operand, variables, guards=False)

        def present(frame: Frame) -> bool:
            try:
                run(frame)
            except ExpressionError as error:
                if not error.is_missing:
                    raise
                return False
            return True

        return present

    # --- literals -----------------------------------------------------------------------------------

    def list_literal(self, node: ListLiteral, variables: Variables) -> Closure:
        items = [self.plain(item, variables) for item in node.items]
        return lambda frame: [item(frame) for item in items]

    def map_literal(self, node: MapLiteral, variables: Variables) -> Closure:
        entries = [
            (self.plain(key, variables), self.plain(value, variables), key.at) for key, value in node.entries
        ]

        def run(frame: Frame) -> dict[str, Any]:
            made: dict[str, Any] = {}
            for key, value, at in entries:
                name = key(frame)
                if name.__class__ is not str:
                    raise type_error(f"the keys of a map are strings, not a {type_name(name)}", at)
                if name in made:
                    raise ExpressionError(
                        f"the key '{name[:60]}' is given twice", code="expr.value", position=at
                    )
                made[name] = value(frame)
            return made

        return run

    # --- links --------------------------------------------------------------------------------------

    def access(self, node: Access, variables: Variables, guards: bool = True) -> Closure:
        base = self.raw(node.base, variables)
        links = node.links
        steps = []
        for place, link in enumerate(links):
            follows = place + 1 < len(links) and links[place + 1].optional
            steps.append(
                (
                    self.link(link, variables),
                    guards and link.optional,
                    guards and (link.optional or follows),
                    link.at,
                )
            )

        def run(frame: Frame) -> Any:
            value = base(frame)
            for step, optional, guarded, at in steps:
                if optional and value is None:
                    return None
                try:
                    value = step(frame, value)
                except ExpressionError as error:
                    # an error that has its position comes from inside the link: an index, an argument
                    if guarded and error.position is None and error.is_missing:
                        return None
                    raise error.placed(at) from None
            return value

        return run

    def link(self, link: Link, variables: Variables) -> Step:
        match link:
            case Member():
                key = link.key
                return lambda frame, value: member(value, key)
            case Index():
                index = self.plain(link.index, variables)
                return lambda frame, value: member(value, index(frame))
            case Slice():
                return self.slice(link, variables)
            case Macro():
                return self.macro(link, variables)
        function = self.functions.find(link.name, link.at)
        arguments = tuple(self.plain(argument, variables) for argument in link.arguments)
        call = compile_call(function, arguments, link.at, receivers=1)
        return lambda frame, value: call(frame, [to_plain(value)])

    def slice(self, link: Slice, variables: Variables) -> Step:
        start = self.plain(link.start, variables) if link.start is not None else None
        stop = self.plain(link.stop, variables) if link.stop is not None else None

        def run(frame: Frame, value: Any) -> Any:
            low = start(frame) if start is not None else None
            high = stop(frame) if stop is not None else None
            return slice_of(value, low, high, frame.meter())

        return run

    def macro(self, link: Macro, variables: Variables) -> Step:
        slot = len(variables)
        inner = {**variables, link.variable: slot}
        if link.variable in variables:
            # a hidden variable keeps its slot, so that the count of variables stays the next free slot
            inner[f"{link.variable} {slot}"] = variables[link.variable]
        self.slots = max(self.slots, slot + 1)
        body = self.plain(link.body, inner)
        steps = 1 + weight(link.body) // OPERATIONS_PER_STEP
        return MACRO_BUILDERS[link.name](body, slot, steps, link.at)
