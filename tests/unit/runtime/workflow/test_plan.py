"""Graphs: cycles, order, ancestors, against naive searches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.workflow.model import Scope
from nodeling_runtime.workflow.plan import PHASES, SUCCEEDED, find_cycles, make_plan, plan_of, topological
from reference.plans import link, plan

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25)


def sources_of(edges: list[tuple[int, int]], count: int = 10) -> list[list[int]]:
    """For each member the members it waits for; no pair twice."""
    return [sorted({source for source, target in edges if target == i}) for i in range(count)]


def reach(sources: list[list[int]], start: int) -> set[int]:
    """Everything behind a member, found by walking again and again until nothing is new."""
    found: set[int] = set(sources[start])
    while more := {k for i in found for k in sources[i]} - found:
        found |= more
    return found


@settings(deadline=None, max_examples=300)
@given(EDGES)
def test_a_circle_is_found_when_there_is_one_and_each_is_a_walk_of_links(
    edges: list[tuple[int, int]],
) -> None:
    sources = sources_of(edges)
    circles = find_cycles(sources)
    assert bool(circles) == any(i in reach(sources, i) for i in range(10))
    for circle in circles:
        members = circle[:-1] if len(circle) > 1 and circle[0] == circle[-1] else circle
        assert all(member in reach(sources, member) for member in members)
        assert len(set(members)) == len(members)
        for before, after in zip(members, [*members[1:], members[0]], strict=True):
            assert before in sources[after]
    used = [member for circle in circles for member in set(circle)]
    assert len(used) == len(set(used)), "no two share a member"


def test_every_separate_circle_is_found_up_to_a_bound() -> None:
    pairs = [edge for i in range(0, 60, 2) for edge in ((i, i + 1), (i + 1, i))]
    assert len(find_cycles(sources_of(pairs, 60), most=7)) == 7
    assert len(find_cycles(sources_of(pairs, 60), most=100)) == 30


def test_a_circle_of_ten_thousand_is_found_without_recursion() -> None:
    count = 10_000
    (circle,) = find_cycles([[(i - 1) % count] for i in range(count)])
    assert len(set(circle)) == count


@settings(deadline=None, max_examples=300)
@given(EDGES)
def test_topological_order_keeps_every_link_and_declaration_order_where_it_may(
    edges: list[tuple[int, int]],
) -> None:
    forward = [(a, b) for a, b in edges if a < b]
    made = plan(*((f"s{i}", {"needs": [f"s{k}" for k in ks]}) for i, ks in enumerate(sources_of(forward))))
    order = topological(made.links, range(10))
    assert sorted(order) == list(range(10))
    place = {step: position for position, step in enumerate(order)}
    assert all(place[a] < place[b] for a, b in forward)
    first = [i for i in range(10) if not made.links[i]]
    assert [step for step in order if step in first] == first


@settings(deadline=None, max_examples=300)
@given(EDGES, st.lists(st.sampled_from(PHASES), min_size=10, max_size=10))
def test_ancestors_are_everything_behind_and_for_handlers_every_earlier_phase(
    edges: list[tuple[int, int]], phases: list[Any]
) -> None:
    forward = [(a, b) for a, b in edges if a < b and phases[a] == phases[b]]
    sources = sources_of(forward)
    steps = [(f"s{i}", {"needs": [f"s{k}" for k in sources[i]], "trigger": phases[i]}) for i in range(10)]
    made = plan(*steps)
    for i in range(10):
        earlier = {k for k in range(10) if PHASES.index(phases[k]) < PHASES.index(phases[i])}
        wanted = reach(sources, i) | earlier
        assert {k for k in range(10) if made.ancestors[i] >> k & 1} == wanted


def test_an_ordered_phase_links_each_step_to_the_one_before_within_the_phase() -> None:
    made = plan(
        ("a", {}), ("clean", {"trigger": "always"}), ("b", {}), ("again", {"trigger": "always"}), ordered=True
    )
    assert [[one.source for one in links] for links in made.links] == [[], [], [0], [1]]
    assert all(one.sequential and one.accepts == SUCCEEDED for links in made.links for one in links)


def test_handlers_keep_their_order_in_a_graph_unless_one_of_their_phase_has_needs() -> None:
    body = ("a", {"needs": []})
    quiet = plan(body, ("x", {"trigger": "always"}), ("y", {"trigger": "always"}))
    assert [len(links) for links in quiet.links] == [0, 0, 1]
    linked = plan(body, ("x", {"trigger": "always", "needs": []}), ("y", {"trigger": "always"}))
    assert [len(links) for links in linked.links] == [0, 0, 0]


@pytest.mark.parametrize(
    ("needed", "wanted"), [(0, 2), (1, 1), (2, 2)], ids=["all", "any or at least one", "at least two"]
)
def test_how_many_links_a_join_needs(needed: int, wanted: int) -> None:
    made = plan(("a", {"needs": []}), ("b", {"needs": []}), ("c", {"needs": ["a", "b"], "needed": needed}))
    assert made.needed == (0, 0, wanted)


def test_leaves_are_the_body_steps_that_nobody_waits_for() -> None:
    made = plan(
        ("a", {"needs": []}),
        ("b", {"needs": [link("a", "any")]}),
        ("c", {"needs": []}),
        ("h", {"trigger": "always"}),
    )
    assert [made.steps[i].name for i in made.leaves()] == ["b", "c"]


def test_a_scope_is_planned_once() -> None:
    scope = Scope(plan(("a", {})).steps, "", ordered=True)
    assert plan_of(scope) is plan_of(scope)
    assert make_plan(scope) is not plan_of(scope)
