"""What an expression reads: every maximal path from a root name, as data.

The checker takes edges and types from references, so a reference is found by walking the tree and never by
searching the text. The variable of a macro is not a root.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodeling_runtime.expressions.syntax import (
    Access,
    Has,
    Index,
    Lambda,
    Link,
    Literal,
    Logic,
    Macro,
    Member,
    Method,
    Name,
    Node,
    children,
)

__all__ = ["Reference", "find_references", "whole_path"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One path: `steps["a"].output[0]` is root `steps`, path `("a", "output", 0)`.

    None in the path is an index that is only known at run time. `guarded` says that the expression has an
    answer for the case that the path leads nowhere.
    """

    root: str
    path: tuple[str | int | None, ...]
    guarded: bool
    position: int
    end: int

    def __str__(self) -> str:
        text = self.root
        for key in self.path:
            if key is None:
                text += "[…]"
            elif isinstance(key, str) and key.isidentifier():
                text += f".{key}"
            else:
                text += f'["{key}"]' if isinstance(key, str) else f"[{key}]"
        return text

    def moved(self, offset: int) -> Reference:
        """The same reference, `offset` characters further into a longer text."""
        return replace(self, position=self.position + offset, end=self.end + offset)


def constant_key(link: Link) -> tuple[bool, str | int | None]:
    """Whether a link is a step of a path, and the key it takes (None: not constant)."""
    if isinstance(link, Member):
        return True, link.key
    if isinstance(link, Index):
        value = link.index.value if isinstance(link.index, Literal) else None
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return True, value
        return True, None
    return False, None


def whole_path(node: Node) -> Reference | None:
    """The reference an expression consists of, when it is one unguarded path with constant keys."""
    if isinstance(node, Name):
        return Reference(node.name, (), False, node.at, node.at + len(node.name))
    if not isinstance(node, Access) or not isinstance(node.base, Name):
        return None
    path: list[str | int | None] = []
    for link in node.links:
        is_step, key = constant_key(link)
        if not is_step or key is None or link.optional:
            return None
        path.append(key)
    return Reference(node.base.name, tuple(path), False, node.base.at, node.links[-1].end)


def find_references(node: Node) -> tuple[Reference, ...]:
    """Every maximal reference path of a tree, in the order of the text."""
    found: list[Reference] = []
    _collect(node, frozenset(), False, found)
    return tuple(found)


def _collect(node: Node, bound: frozenset[str], guarded: bool, found: list[Reference]) -> None:
    match node:
        case Name():
            if node.name not in bound:
                found.append(Reference(node.name, (), guarded, node.at, node.at + len(node.name)))
        case Access():
            _collect_access(node, bound, guarded, found)
        case Has():
            _collect(node.operand, bound, True, found)
        case Logic(operator="??"):
            for operand in node.operands[:-1]:
                _collect(operand, bound, True, found)
            _collect(node.operands[-1], bound, guarded, found)
        case Lambda():
            _collect(node.body, bound | set(node.parameters), guarded, found)
        case _:
            for child in children(node):
                _collect(child, bound, guarded, found)


def _collect_access(node: Access, bound: frozenset[str], guarded: bool, found: list[Reference]) -> None:
    rest = node.links
    if isinstance(node.base, Name):
        path: list[str | int | None] = []
        optional = False
        end = node.base.at + len(node.base.name)
        for link in node.links:
            is_step, key = constant_key(link)
            optional = optional or link.optional
            if not is_step:
                break
            path.append(key)
            end = link.end
        if node.base.name not in bound:
            found.append(Reference(node.base.name, tuple(path), guarded or optional, node.base.at, end))
        rest = node.links
    else:
        _collect(node.base, bound, guarded, found)
    for link in rest:
        _collect_link(link, bound, guarded, found)


def _collect_link(link: Link, bound: frozenset[str], guarded: bool, found: list[Reference]) -> None:
    if isinstance(link, Macro):
        _collect(link.body, bound | {link.variable}, guarded, found)
    elif isinstance(link, Index):
        _collect(link.index, bound, guarded, found)
    elif isinstance(link, Method):
        for argument in link.arguments:
            _collect(argument, bound, guarded, found)
    elif not isinstance(link, Member):
        for bound_node in (link.start, link.stop):
            if bound_node is not None:
                _collect(bound_node, bound, guarded, found)
