"""Generated syntax trees, and an evaluator of them that shares nothing with the compiler.

The evaluator is written for clearness: it walks the tree, keeps no budget, and raises `Failed` for whatever
has no value.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from nodeling_runtime.expressions import syntax as s

MAX_INTEGER = 2**53 - 1
NAMES = ["n", "n", "s", "xs", "xs", "m", "m", "nil", "yes", "yes", "nowhere"]
KEYS = ["a", "b", "k-1", "in", "zz"]
SCOPE: dict[str, Any] = {
    "n": 3,
    "s": "héllo",
    "xs": [5, 1.5, "a", None],
    "m": {"a": 1, "b": {"a": [True, 2]}, "k-1": "dash", "in": None},
    "nil": None,
    "yes": True,
}


class Failed(Exception):
    """The tree has no value; `missing` when only because something is absent."""

    def __init__(self, missing: bool = False) -> None:
        super().__init__()
        self.missing = missing


# --- strategies -------------------------------------------------------------------------------------

NUMBERS = st.integers(-20, 20) | st.sampled_from([0.5, -1.5, 2.0, 1e300, MAX_INTEGER, -MAX_INTEGER])
LITERALS = st.builds(
    s.Literal, NUMBERS | st.sampled_from([None, True, False]) | st.text(max_size=3).filter(str.isprintable)
)


@st.composite
def trees(draw: st.DrawFn, names: tuple[str, ...] = tuple(NAMES), depth: int = 3) -> s.Node:
    """Trees that the parser could have made, over these names."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(LITERALS) if draw(st.booleans()) else s.Name(draw(st.sampled_from(names)))
    return draw(st.sampled_from(BUILDERS))(draw, names, depth - 1)


def _several(draw: st.DrawFn, names: tuple[str, ...], depth: int, low: int, high: int) -> tuple[s.Node, ...]:
    return tuple(draw(trees(names, depth)) for _ in range(draw(st.integers(low, high))))


def _likely_boolean(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    """Mostly a tree that gives a boolean, so that trees with a value are no rarity."""
    match draw(st.integers(0, 4)):
        case 0:
            return draw(trees(names, depth))
        case 1 | 2:
            operator = draw(st.sampled_from(["==", "!="]))
            return s.Binary(operator, draw(trees(names, depth)), draw(trees(names, 0)))
        case 3:
            return s.Binary("<", s.Name("n"), s.Literal(draw(NUMBERS)))
    return s.Name("yes")


def _likely_number(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    match draw(st.integers(0, 4)):
        case 0:
            return draw(trees(names, depth))
        case 1:
            return s.Access(s.Name(draw(st.sampled_from(["xs", "s", "m"]))), (s.Method("size", ()),))
        case 2:
            return s.Name("n")
    return s.Literal(draw(NUMBERS))


def _likely_container(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    if draw(st.integers(0, 3)) == 0:
        return draw(trees(names, depth))
    return s.Name(draw(st.sampled_from(["m", "xs", "s", "nil", "m", "xs"])))


def _list(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    return s.ListLiteral(_several(draw, names, depth, 0, 3))


def _map(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    values = _several(draw, names, depth, 0, 2)
    return s.MapLiteral(tuple((s.Literal(draw(st.sampled_from(KEYS))), value) for value in values))


def _unary(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    operand = _likely_boolean(draw, names, depth)
    is_number = isinstance(operand, s.Literal) and type(operand.value) in (int, float)
    return s.Unary("!" if is_number else draw(st.sampled_from("!-")), operand)


def _binary(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in"]))
    return s.Binary(operator, draw(trees(names, depth)), draw(trees(names, depth)))


def _chain(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    level = draw(st.sampled_from(["+-", "*/%"]))
    rest = _several(draw, names, depth, 1, 2)
    return s.Chain(
        draw(trees(names, depth)), tuple(s.Operand(draw(st.sampled_from(level)), node) for node in rest)
    )


def _logic(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    if draw(st.booleans()):
        return s.Logic("??", _several(draw, names, depth, 2, 3))
    operands = [_likely_boolean(draw, names, depth) for _ in range(draw(st.integers(2, 3)))]
    return s.Logic(draw(st.sampled_from(["&&", "||"])), tuple(operands))


def _conditional(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    tests = [_likely_boolean(draw, names, depth) for _ in range(draw(st.integers(1, 2)))]
    cases = tuple((test, draw(trees(names, depth))) for test in tests)
    return s.Conditional(cases, draw(trees(names, depth)))


def _has(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Node:
    path = _access(draw, names, min(depth, 1))
    last = s.Member(draw(st.sampled_from(["a", "b", "zz"])), draw(st.booleans()))
    return s.Has(s.Access(path.base, (*path.links, last)))


def _access(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Access:
    base = _likely_container(draw, names, depth)
    links = tuple(_link(draw, names, depth) for _ in range(draw(st.integers(1, 3))))
    if isinstance(base, s.Access) and not any(link.optional for link in base.links):
        return s.Access(base.base, (*base.links, *links))
    return s.Access(base, links)


def _link(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> s.Link:
    optional = draw(st.booleans())
    match draw(st.integers(0, 6)):
        case 0 | 1:
            key = draw(st.sampled_from(KEYS))
            # a key that no dot can precede is an index to the parser
            return s.Member(key, optional) if key.isidentifier() else s.Index(s.Literal(key), optional)
        case 2 | 3:
            likely = st.sampled_from([0, 1, -1, 2, 4, "a", "b"]).map(s.Literal)
            return s.Index(draw(likely | trees(names, depth)), optional)
        case 4:
            likely = st.none() | st.integers(-4, 4).map(s.Literal)
            bounds = [draw(likely | trees(names, depth)) for _ in range(2)]
            return s.Slice(bounds[0], bounds[1], optional)
        case 5:
            macro = draw(st.sampled_from(["all", "exists", "exists_one", "map", "filter"]))
            variable = draw(st.sampled_from(["v", "w", "n"]))
            inner = (*names, variable)
            body = draw(trees(inner, depth)) if macro == "map" else _likely_boolean(draw, inner, depth)
            return s.Macro(macro, variable, body, optional)
    return s.Method(draw(st.sampled_from(["size", "type"])), (), optional)


BUILDERS = [_list, _map, _unary, _binary, _chain, _logic, _conditional, _has, _access, _access, _access]


# --- the naive evaluator ----------------------------------------------------------------------------


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {type(None): "null", int: "number", float: "number", str: "string", list: "list", dict: "map"}
    return names[type(value)]


def equal(left: Any, right: Any) -> bool:
    if kind(left) != kind(right):
        return False
    if kind(left) == "list":
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if kind(left) == "map":
        return set(left) == set(right) and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def evaluate(node: s.Node, scope: dict[str, Any]) -> Any:
    return globals()[f"on_{type(node).__name__.lower()}"](node, scope)


def on_literal(node: s.Literal, scope: dict[str, Any]) -> Any:
    return node.value


def on_name(node: s.Name, scope: dict[str, Any]) -> Any:
    if node.name not in scope:
        raise Failed
    return scope[node.name]


def on_listliteral(node: s.ListLiteral, scope: dict[str, Any]) -> Any:
    return [evaluate(item, scope) for item in node.items]


def on_mapliteral(node: s.MapLiteral, scope: dict[str, Any]) -> Any:
    made: dict[str, Any] = {}
    for key, value in node.entries:
        name = evaluate(key, scope)
        if name in made:
            raise Failed
        made[name] = evaluate(value, scope)
    return made


def boolean(value: Any) -> bool:
    if kind(value) != "boolean":
        raise Failed
    return bool(value)


def numbers(*values: Any) -> None:
    if any(kind(value) != "number" for value in values):
        raise Failed


def on_unary(node: s.Unary, scope: dict[str, Any]) -> Any:
    value = evaluate(node.operand, scope)
    if node.operator == "!":
        return not boolean(value)
    numbers(value)
    return -value


def on_binary(node: s.Binary, scope: dict[str, Any]) -> Any:
    left, right = evaluate(node.left, scope), evaluate(node.right, scope)
    if node.operator in ("==", "!="):
        return equal(left, right) == (node.operator == "==")
    if node.operator == "in":
        if kind(right) == "list":
            return any(equal(left, item) for item in right)
        if kind(right) not in ("map", "string") or kind(left) != "string":
            raise Failed
        return left in right
    if kind(left) != kind(right) or kind(left) not in ("number", "string"):
        raise Failed
    sign = (left > right) - (left < right)
    return {"<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[node.operator]


def on_chain(node: s.Chain, scope: dict[str, Any]) -> Any:
    value = evaluate(node.first, scope)
    for operand in node.rest:
        value = apply(operand.operator, value, evaluate(operand.node, scope))
    return value


def apply(operator: str, left: Any, right: Any) -> Any:
    if operator == "+" and kind(left) == kind(right) and kind(left) in ("string", "list"):
        return left + right
    numbers(left, right)
    if operator in "/%" and right == 0:
        raise Failed
    if operator == "/":
        whole = isinstance(left, int) and isinstance(right, int) and left % right == 0
        result = left // right if whole else left / right
    elif operator == "%":
        result = math.fmod(left, right)
        if isinstance(left, int) and isinstance(right, int):
            result = int(math.copysign(abs(left) % abs(right), left))
    else:
        result = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right}[operator]()
    if isinstance(result, int) and abs(result) > MAX_INTEGER or not math.isfinite(result):
        raise Failed
    return result


def on_logic(node: s.Logic, scope: dict[str, Any]) -> Any:
    if node.operator == "??":
        for operand in node.operands[:-1]:
            try:
                value = evaluate(operand, scope)
            except Failed as failure:
                if not failure.missing:
                    raise
                continue
            if value is not None:
                return value
        return evaluate(node.operands[-1], scope)
    decisive = node.operator == "||"
    for operand in node.operands:
        if boolean(evaluate(operand, scope)) is decisive:
            return decisive
    return not decisive


def on_conditional(node: s.Conditional, scope: dict[str, Any]) -> Any:
    for test, value in node.cases:
        if boolean(evaluate(test, scope)):
            return evaluate(value, scope)
    return evaluate(node.otherwise, scope)


def on_has(node: s.Has, scope: dict[str, Any]) -> Any:
    links = tuple(_required(link) for link in node.operand.links)
    try:
        evaluate(s.Access(node.operand.base, links), scope)
    except Failed as failure:
        if not failure.missing:
            raise
        return False
    return True


def _required(link: s.Link) -> s.Link:
    import dataclasses

    return dataclasses.replace(link, optional=False)


def on_access(node: s.Access, scope: dict[str, Any]) -> Any:
    value = evaluate(node.base, scope)
    for place, link in enumerate(node.links):
        if link.optional and value is None:
            return None
        inside = (
            tuple(evaluate(part, scope) for part in s.link_children(link))
            if isinstance(link, s.Index)
            else ()
        )
        following = node.links[place + 1 : place + 2]
        try:
            value = follow(value, link, inside, scope)
        except MissingHere:
            if link.optional or (following and following[0].optional):
                return None
            raise Failed(missing=True) from None
    return value


class MissingHere(Exception):
    """The link itself leads nowhere, as against something inside it."""


def follow(value: Any, link: s.Link, inside: tuple[Any, ...], scope: dict[str, Any]) -> Any:
    if isinstance(link, s.Member):
        return member(value, link.key)
    if isinstance(link, s.Index):
        return member(value, inside[0])
    if isinstance(link, s.Slice):
        return sliced(value, link, scope)
    if isinstance(link, s.Method):
        if link.name == "type":
            return kind(value)
        if kind(value) not in ("string", "list", "map"):
            raise Failed
        return len(value)
    return looped(value, link, scope)


def member(value: Any, key: Any) -> Any:
    if value is None:
        raise MissingHere
    if kind(value) == "map" and kind(key) == "string":
        if key not in value:
            raise MissingHere
        return value[key]
    if kind(value) in ("list", "string") and kind(key) == "number" and key == int(key):
        if not -len(value) <= key < len(value):
            raise MissingHere
        return value[int(key)]
    raise Failed


def sliced(value: Any, link: s.Slice, scope: dict[str, Any]) -> Any:
    bounds = [None if bound is None else evaluate(bound, scope) for bound in (link.start, link.stop)]
    if value is None:
        raise MissingHere
    if kind(value) not in ("list", "string"):
        raise Failed
    for bound in bounds:
        if bound is not None and (kind(bound) != "number" or bound != int(bound)):
            raise Failed
    low, high = (None if bound is None else int(bound) for bound in bounds)
    return value[low:high]


def looped(value: Any, link: s.Link, scope: dict[str, Any]) -> Any:
    assert isinstance(link, s.Macro)
    if kind(value) not in ("list", "map"):
        raise Failed
    items = list(value)
    results = ((item, evaluate(link.body, {**scope, link.variable: item})) for item in items)
    if link.name == "map":
        return [result for _, result in results]
    if link.name in ("filter", "exists_one"):
        kept = [item for item, result in results if boolean(result)]
        return kept if link.name == "filter" else len(kept) == 1
    stop = link.name == "exists"
    return stop if any(boolean(result) is stop for _, result in results) else not stop
