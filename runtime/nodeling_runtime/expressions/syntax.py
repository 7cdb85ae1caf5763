"""The tree of an expression: what the parsers produce and everything else reads.

Chains are flat (`a + b - c` is one node, `a.b[0].c()` is one node), so the depth of a tree is bounded by the
brackets of its text and no walk over it can exhaust the stack. `at` is an offset in the source and takes no
part in equality. `Lambda`, `Interpolation` and a few operators occur only in trees made from JavaScript.
"""

from __future__ import annotations

from dataclasses import field

from nodeling._dataclass import dataclass

__all__ = [
    "Access",
    "Binary",
    "Call",
    "Chain",
    "Conditional",
    "Has",
    "Index",
    "Interpolation",
    "Lambda",
    "Link",
    "ListLiteral",
    "Literal",
    "Logic",
    "Macro",
    "MapLiteral",
    "Member",
    "Method",
    "Name",
    "Node",
    "Slice",
    "Unary",
    "children",
    "link_children",
    "weight",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: a text, a number, true, false or null."""

    value: str | int | float | bool | None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A root name, or the variable of a macro."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, b]`."""

    items: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """`{"key": value}`; keys are expressions that give texts."""

    entries: tuple[tuple[Node, Node], ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`!a` or `-a`."""

    operator: str
    operand: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison or `in`: it does not chain."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Operand:
    """One further operand of a chain, with the operator before it."""

    operator: str
    node: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """`a + b - c` or `a * b / c`: operators of one precedence, from left to right."""

    first: Node
    rest: tuple[Operand, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """`a && b && c`, `a || b || c` or `a ?? b ?? c`: what follows is evaluated only when needed."""

    operator: str
    operands: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Conditional:
    """`a ? b : c ? d : e`: the cases in order, then what holds otherwise."""

    cases: tuple[tuple[Node, Node], ...]
    otherwise: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`f(a, b)`."""

    function: str
    arguments: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Has:
    """`has(a.b)`: whether the path leads to a value."""

    operand: Access
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """`.key`, `?.key`."""

    key: str
    optional: bool = False
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`[i]`, `?[i]`."""

    index: Node
    optional: bool = False
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """`[a:b]`, either bound may be left out."""

    start: Node | None
    stop: Node | None
    optional: bool = False
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Method:
    """`.f(a)`: a function whose first argument is what stands before the dot."""

    name: str
    arguments: tuple[Node, ...]
    optional: bool = False
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Macro:
    """`.map(v, body)`: the body evaluated once for each element, named `v`."""

    name: str
    variable: str
    body: Node
    optional: bool = False
    at: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


Link = Member | Index | Slice | Method | Macro


@dataclass(frozen=True, slots=True)
class Access:
    """Something, and the links that lead on from it: `a.b[0].size()`."""

    base: Node
    links: tuple[Link, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Lambda:
    """A JavaScript arrow function of one expression."""

    parameters: tuple[str, ...]
    body: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Interpolation:
    """A JavaScript template literal: texts and expressions, joined."""

    parts: tuple[str | Node, ...]
    at: int = field(default=0, compare=False)


Node = (
    Literal
    | Name
    | ListLiteral
    | MapLiteral
    | Unary
    | Binary
    | Chain
    | Logic
    | Conditional
    | Call
    | Has
    | Access
    | Lambda
    | Interpolation
)


def link_children(link: Link) -> tuple[Node, ...]:
    """The expressions inside one link."""
    match link:
        case Index():
            return (link.index,)
        case Slice():
            return tuple(bound for bound in (link.start, link.stop) if bound is not None)
        case Method():
            return link.arguments
        case Macro():
            return (link.body,)
    return ()


def children(node: Node) -> tuple[Node, ...]:
    """The expressions directly inside a node, in the order they are written."""
    match node:
        case Unary() | Has():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case Chain():
            return (node.first, *(operand.node for operand in node.rest))
        case Logic():
            return node.operands
        case Conditional():
            return (*(part for case in node.cases for part in case), node.otherwise)
        case Access():
            return (node.base, *(child for link in node.links for child in link_children(link)))
    return _parts(node)


def _parts(node: Node) -> tuple[Node, ...]:
    """The expressions inside the nodes that only list them."""
    match node:
        case ListLiteral():
            return node.items
        case MapLiteral():
            return tuple(part for entry in node.entries for part in entry)
        case Call():
            return node.arguments
        case Lambda():
            return (node.body,)
        case Interpolation():
            return tuple(part for part in node.parts if not isinstance(part, str))
    return ()


def weight(node: Node) -> int:
    """How many operations a tree holds."""
    return 1 + sum(weight(child) for child in children(node))
