"""Which nodes run behind switches, and with what: any graph against a model that walks it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeling_bridges.kailash.api import LocalRuntime, Workflow
from nodeling_bridges.kailash.api.nodes.code import PythonCodeNode
from nodeling_bridges.kailash.api.nodes.logic import SwitchNode
from nodeling_bridges.kailash.order import cycles, sources_first

MOST = 7
EVEN = list(range(0, 400, 2))
Link = tuple[int, str | None]  # the source, and the branch of it where it is a switch


def add(own: int, a: Any = None, b: Any = None, c: Any = None) -> dict[str, Any]:
    return {"v": own + sum(one["v"] for one in (a, b, c) if one is not None)}


def adding(own: int) -> Callable[..., Any]:
    def adds(a: Any = None, b: Any = None, c: Any = None) -> dict[str, Any]:
        return add(own, a, b, c)

    return adds


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, list[Link]]]:
    """Nodes with their kind and up to three links from earlier ones; a switch has exactly one."""
    nodes: list[tuple[str, list[Link]]] = [("add", [])]
    for number in range(1, draw(st.integers(2, MOST))):
        kind = draw(st.sampled_from(["add", "add", "switch"]))
        count = 1 if kind == "switch" else draw(st.integers(0, 3))
        links = []
        for source in draw(st.lists(st.integers(0, number - 1), min_size=count, max_size=count)):
            branch = (
                draw(st.sampled_from(["true_output", "false_output"]))
                if nodes[source][0] == "switch"
                else None
            )
            links.append((source, branch))
        nodes.append((kind, links))
    return nodes


def model(nodes: list[tuple[str, list[Link]]]) -> list[Any]:
    """What each node gives: None where it does not run, a pair of branch and value where it is a switch."""
    given: list[Any] = []
    loose: list[bool] = []  # whether a node may be left out
    for number, (kind, links) in enumerate(nodes):
        values = []
        for source, branch in links:
            value = given[source]
            if branch is not None:
                value = value[1] if value is not None and value[0] == branch else None
            values.append(value)
        may_miss = [branch is not None or loose[source] for source, branch in links]
        loose.append(any(may_miss))
        runs = not any(may_miss) or any(
            value is not None for value, may in zip(values, may_miss, strict=True) if may
        )
        if not runs:
            given.append(None)
        elif kind == "switch":
            given.append(("true_output" if values[0]["v"] in EVEN else "false_output", values[0]))
        else:
            given.append(add(number + 1, *values))
    return given


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_a_node_runs_when_a_branch_has_come_and_gets_what_has_come(
    nodes: list[tuple[str, list[Link]]],
) -> None:
    workflow = Workflow("any")
    for number, (kind, links) in enumerate(nodes):
        if kind == "switch":
            workflow.add_node(str(number), SwitchNode(condition=f"v in {EVEN}"))
        else:
            workflow.add_node(str(number), PythonCodeNode.from_function(adding(number + 1)))
        for place, (source, branch) in zip("abc", links, strict=False):
            target = "input_data" if kind == "switch" else place
            workflow.connect(str(source), str(number), from_output=branch or "result", to_input=target)
    expected = model(nodes)
    results, _ = LocalRuntime().execute(workflow)
    for number, wanted in enumerate(expected):
        found = results[str(number)]
        if wanted is None:
            assert found is None
        elif isinstance(wanted, tuple):
            assert found[wanted[0]] == wanted[1]
        else:
            assert found == {"result": wanted}


EDGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@given(EDGES)
def test_circles_are_circles_and_without_them_there_is_an_order(edges: list[tuple[int, int]]) -> None:
    named = [(str(a), str(b)) for a, b in edges]
    names = [str(n) for n in range(6)]
    left = set(named)
    for circle in cycles(names, named):
        steps = list(zip(circle, [*circle[1:], circle[0]], strict=True))
        assert set(steps) <= set(named)
        left.discard(steps[-1])
    order = sources_first(names, left)
    assert sorted(order) == names
    assert all(order.index(a) < order.index(b) for a, b in left)
