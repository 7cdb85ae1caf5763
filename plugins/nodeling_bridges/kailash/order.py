"""The order of nodes, and the circles that leave them none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

__all__ = ["cycles", "sources_first"]

Edge = tuple[str, str]


def sources_first(nodes: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Every node after those that it waits for, else in the order given."""
    return list(_sorter(nodes, edges).static_order())


def cycles(nodes: Iterable[str], edges: Iterable[Edge]) -> list[list[str]]:
    """Circles, each in the order of its edges; when they are cut there are no more."""
    left = list(dict.fromkeys(edges))
    names = list(nodes)
    found: list[list[str]] = []
    while True:
        try:
            _sorter(names, left).prepare()
        except CycleError as error:
            circle = list(error.args[1])[:-1]
            found.append(circle)
            left.remove((circle[-1], circle[0]))
            continue
        return found


def _sorter(nodes: Iterable[str], edges: Iterable[Edge]) -> TopologicalSorter[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(nodes, ()))
    for source, target in edges:
        sorter.add(target, source)
    return sorter
