"""A tree made from JavaScript to closures with JavaScript's meaning.

It shares the tree, the frame and the budget with the language's own compiler. Values inside are JSON values
and `undefined`; `finish` turns the last one into JSON or into an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.expressions.frame import Closure, Frame, Step
from nodeling_runtime.expressions.javascript_arrays import CALLBACK_LOOPS
from nodeling_runtime.expressions.javascript_functions import GLOBAL_FUNCTIONS
from nodeling_runtime.expressions.javascript_links import (
    cost,
    iterated,
    leading_keys,
    method_of,
    nullish,
    path_closure,
    placed,
    spread_into,
)
from nodeling_runtime.expressions.javascript_names import SPREAD
from nodeling_runtime.expressions.javascript_operators import ARITHMETIC, COMPARISONS, get, length
from nodeling_runtime.expressions.javascript_values import (
    UNDEFINED,
    finish,
    number,
    text_of,
    to_number,
    to_text,
    truthy,
    typeof,
)
from nodeling_runtime.expressions.macros import OPERATIONS_PER_STEP
from nodeling_runtime.expressions.record import Record, to_plain
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
    Unary,
    children,
    weight,
)

__all__ = ["compile_javascript_tree"]

Variables = dict[str, int]

CONSTANTS: dict[str, Any] = {"undefined": UNDEFINED, "NaN": math.nan, "Infinity": math.inf}

# These give back what they were given, so their result needs no look at its elements.
SELECTING = frozenset({"slice", "filter", "find", "at", "length", "includes", "indexOf", "some", "every"})


def compile_javascript_tree(tree: Node) -> tuple[Closure, int]:
    """The closure of a whole expression, and how many variables it needs."""
    compiler = _Compiler()
    run = compiler.node(tree, {})
    built = _builds(tree)
    return lambda frame: finish(run(frame), built, frame.meter()), compiler.slots


def _builds(node: Node) -> bool:
    if isinstance(node, ListLiteral | MapLiteral | Call):
        return True
    if isinstance(node, Access) and any(
        isinstance(link, Method) and link.name not in SELECTING for link in node.links
    ):
        return True
    return any(_builds(child) for child in children(node))


class _Compiler:
    """Builds the closures of one expression."""

    def __init__(self) -> None:
        self.slots = 0

    def node(self, node: Node, variables: Variables) -> Closure:
        match node:
            case Literal(value=value):
                return lambda frame: value
            case Name():
                return self.name(node, variables)
            case Access():
                return self.access(node, variables)
            case Unary():
                return self.unary(node, variables)
            case Binary():
                left, right = self.node(node.left, variables), self.node(node.right, variables)
                compare, at = COMPARISONS[node.operator], node.at
                return lambda frame: placed(compare, left(frame), right(frame), frame.meter(), at)
            case Chain():
                return self.chain(node, variables)
            case Logic():
                return self.logic(node, variables)
        return self.other(node, variables)

    def other(self, node: Node, variables: Variables) -> Closure:
        match node:
            case Conditional():
                return self.conditional(node, variables)
            case ListLiteral():
                return self.list(node.items, variables)
            case MapLiteral():
                return self.object(node, variables)
            case Interpolation():
                return self.template(node, variables)
            case Call() if node.function in CONSTANTS:
                value = CONSTANTS[node.function]
                return lambda frame: value
            case Call():
                return self.call(node, variables)
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
        operand = self.node(node.operand, variables)
        if node.operator == "!":
            return lambda frame: not truthy(operand(frame))
        if node.operator == "typeof":
            return lambda frame: typeof(operand(frame))
        if node.operator == "+":
            return lambda frame: to_number(operand(frame))
        return lambda frame: number(-float(to_number(operand(frame))))

    def chain(self, node: Chain, variables: Variables) -> Closure:
        first = self.node(node.first, variables)
        rest = [(ARITHMETIC[part.operator], self.node(part.node, variables), part.at) for part in node.rest]

        def run(frame: Frame) -> Any:
            value = first(frame)
            for apply, operand, at in rest:
                value = placed(apply, value, operand(frame), frame.meter(), at)
            return value

        return run

    def logic(self, node: Logic, variables: Variables) -> Closure:
        *first, last = [self.node(operand, variables) for operand in node.operands]
        decides: Callable[[Any], bool] = {
            "&&": lambda value: not truthy(value),
            "||": truthy,
            "??": lambda value: not nullish(value),
        }[node.operator]

        def run(frame: Frame) -> Any:
            for operand in first:
                value = operand(frame)
                if decides(value):
                    return value
            return last(frame)

        return run

    def conditional(self, node: Conditional, variables: Variables) -> Closure:
        cases = [(self.node(test, variables), self.node(value, variables)) for test, value in node.cases]
        otherwise = self.node(node.otherwise, variables)

        def run(frame: Frame) -> Any:
            for test, value in cases:
                if truthy(test(frame)):
                    return value(frame)
            return otherwise(frame)

        return run

    # --- literals -----------------------------------------------------------------------------------

    def template(self, node: Interpolation, variables: Variables) -> Closure:
        parts = [part if isinstance(part, str) else self.node(part, variables) for part in node.parts]

        def run(frame: Frame) -> str:
            texts = [part if isinstance(part, str) else to_text(part(frame)) for part in parts]
            frame.meter().write(sum(map(len, texts)))
            return text_of("".join(texts))

        return run

    def list(self, nodes: tuple[Node, ...], variables: Variables) -> Closure:
        items = [
            (
                isinstance(item, Call) and item.function == SPREAD,
                self.node(self.inside(item), variables),
                item.at,
            )
            for item in nodes
        ]

        def run(frame: Frame) -> list[Any]:
            made: list[Any] = []
            for spread, item, at in items:
                value = item(frame)
                if spread:
                    value = iterated(value, at)
                    frame.meter().spend(len(value))
                    made += value
                else:
                    made.append(value)
            return made

        return run

    def inside(self, node: Node) -> Node:
        """The operand of a spread, or the node itself."""
        return node.arguments[0] if isinstance(node, Call) and node.function == SPREAD else node

    def object(self, node: MapLiteral, variables: Variables) -> Closure:
        entries = [
            (
                None if isinstance(key, Call) and key.function == SPREAD else self.node(key, variables),
                self.node(
                    self.inside(key) if isinstance(key, Call) and key.function == SPREAD else value, variables
                ),
            )
            for key, value in node.entries
        ]

        def run(frame: Frame) -> dict[str, Any]:
            made: dict[str, Any] = {}
            for key, value in entries:
                if key is None:
                    spread_into(made, value(frame), frame.meter())
                else:
                    name = to_text(key(frame))
                    made[name] = value(frame)
            return made

        return run

    def call(self, node: Call, variables: Variables) -> Closure:
        function, at = GLOBAL_FUNCTIONS[node.function], node.at
        arguments = self.list(node.arguments, variables)

        def run(frame: Frame) -> Any:
            values = [to_plain(value) if isinstance(value, Record) else value for value in arguments(frame)]
            budget = frame.meter()
            try:
                budget.spend(1 + sum(map(cost, values)))
                return function(budget, *values)
            except ExpressionError as error:
                raise error.placed(at) from None

        return run

    # --- links --------------------------------------------------------------------------------------

    def access(self, node: Access, variables: Variables) -> Closure:
        keys = leading_keys(node.links)
        base = path_closure(self.node(node.base, variables), node.links[: len(keys)])
        rest = node.links[len(keys) :]
        if not rest:
            return base
        steps = [(self.link(link, variables), link.optional, link.at) for link in rest]

        def run(frame: Frame) -> Any:
            value = base(frame)
            for step, optional, at in steps:
                if optional and nullish(value):
                    return UNDEFINED
                try:
                    value = step(frame, value)
                except ExpressionError as error:
                    raise error.placed(at) from None
            return value

        return run

    def link(self, link: Link, variables: Variables) -> Step:
        if isinstance(link, Member):
            key = link.key
            return lambda frame, value: get(value, key)
        if isinstance(link, Index):
            index = self.node(link.index, variables)
            return lambda frame, value: get(value, index(frame))
        if not isinstance(link, Method):
            raise ExpressionError(f"a {type(link).__name__} stands where it cannot", position=link.at)
        if link.name == "length":
            return lambda frame, value: length(value)
        if link.name in CALLBACK_LOOPS:
            return self.loop(link, variables)
        return self.method(link, variables)

    def method(self, link: Method, variables: Variables) -> Step:
        name, at = link.name, link.at
        arguments = [self.node(argument, variables) for argument in link.arguments]

        def run(frame: Frame, value: Any) -> Any:
            method = method_of(value, name, at)
            given = [argument(frame) for argument in arguments]
            budget = frame.meter()
            budget.spend(1 + cost(value) + sum(map(cost, given)))
            result = method(value, budget, *given)
            if result.__class__ is str:
                budget.write(len(result))
            return result

        return run

    def loop(self, link: Method, variables: Variables) -> Step:
        function = link.arguments[0]
        if not isinstance(function, Lambda):
            raise ExpressionError("a callback is not an arrow function", position=link.at)
        inner = dict(variables)
        slots = []
        for parameter in function.parameters:
            slot = len(inner)
            if parameter in inner:
                inner[f"{parameter} {slot}"] = inner[parameter]
            inner[parameter] = slot
            slots.append(slot)
        self.slots = max(self.slots, len(inner))
        body = self.node(function.body, inner)
        steps = 1 + weight(function.body) // OPERATIONS_PER_STEP
        rest = [self.node(argument, variables) for argument in link.arguments[1:]]
        loop, name, at = CALLBACK_LOOPS[link.name], link.name, link.at

        def run(frame: Frame, value: Any) -> Any:
            if value.__class__ is not list:
                method_of(value, name, at)
            budget, values = frame.meter(), frame.slots

            def callback(*given: Any) -> Any:
                budget.spend(steps)
                for place, slot in enumerate(slots):
                    values[slot] = given[place] if place < len(given) else UNDEFINED
                return body(frame)

            return loop(value, callback, *[argument(frame) for argument in rest])

        return run
