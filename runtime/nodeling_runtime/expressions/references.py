"""What an expression reads: every maximal path from a root name, as data.

The checker takes edges and types from references, so a reference is found by walking the tree and never by
searching the text. The variable of a macro is not a root.
"""

from __future__ import annotations

from dataclasses import replace

from nodeling._dataclass import dataclass
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
    Name,
    Node,
    Unary,
    children,
    link_children,
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


def find_references(node: Node, javascript: bool = False) -> tuple[Reference, ...]:
    """Every maximal reference path of a tree, in the order of the text.

    In a tree made from JavaScript `undefined` is a value, so what `&&`, `||`, `!` and `typeof` look at is
    guarded too.
    """
    collector = _Collector(
        {"??", "&&", "||"} if javascript else {"??"}, {"!", "typeof"} if javascript else set()
    )
    collector.node(node, frozenset(), False)
    return tuple(collector.found)


class _Collector:
    """One walk; `guards` are the operators whose left operands may lead nowhere."""

    def __init__(self, guards: set[str], unary_guards: set[str]) -> None:
        self.guards = guards
        self.unary_guards = unary_guards
        self.found: list[Reference] = []

    def node(self, node: Node, bound: frozenset[str], guarded: bool) -> None:
        match node:
            case Name():
                if node.name not in bound:
                    end = node.at + len(node.name)
                    self.found.append(Reference(node.name, (), guarded, node.at, end))
            case Access():
                self.access(node, bound, guarded)
            case Has():
                self.node(node.operand, bound, True)
            case Unary():
                self.node(node.operand, bound, guarded or node.operator in self.unary_guards)
            case Logic():
                for operand in node.operands[:-1]:
                    self.node(operand, bound, guarded or node.operator in self.guards)
                self.node(node.operands[-1], bound, guarded)
            case Lambda():
                self.node(node.body, bound | set(node.parameters), guarded)
            case _:
                for child in children(node):
                    self.node(child, bound, guarded)

    def access(self, node: Access, bound: frozenset[str], guarded: bool) -> None:
        if isinstance(node.base, Name):
            if node.base.name not in bound:
                self.found.append(_path(node.base, node.links, guarded))
        else:
            self.node(node.base, bound, guarded)
        for link in node.links:
            inner = bound | {link.variable} if isinstance(link, Macro) else bound
            for child in link_children(link):
                self.node(child, inner, guarded)


def _path(base: Name, links: tuple[Link, ...], guarded: bool) -> Reference:
    """The longest path that the links begin with."""
    path: list[str | int | None] = []
    end = base.at + len(base.name)
    for link in links:
        guarded = guarded or link.optional
        is_step, key = constant_key(link)
        if not is_step:
            break
        path.append(key)
        end = max(end, link.end)
    return Reference(base.name, tuple(path), guarded, base.at, end)
