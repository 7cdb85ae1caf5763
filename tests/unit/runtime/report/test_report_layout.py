"""The picture's boxes never overlap, links run forward, and heights are the nearest that keep apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import node
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.loaded import load
from nodeling_runtime.graph.outline import Outline, outline
from nodeling_runtime.registry import PROJECT, build_registry, register
from nodeling_runtime.report.layers import isotonic, lay_out
from nodeling_runtime.report.layout import MOST_SHOWN, Box, Layout, lay_out_drawing


@node
def noop(ctx: Any) -> None:
    return None


REGISTRY = build_registry([], installed=True)
register(REGISTRY, noop, PROJECT)


def drawn(steps: list[dict[str, Any]]) -> Outline:
    return outline(load(from_data({"name": "w", "steps": steps}, "w"), registry=REGISTRY).ready())


NEAR = 0.01  # what floating point may take


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x + NEAR
        or other.x + other.width <= one.x + NEAR
        or one.y + one.height <= other.y + NEAR
        or other.y + other.height <= one.y + NEAR
    )


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x + NEAR
        and outer.y <= inner.y + NEAR
        and inner.x + inner.width <= outer.x + outer.width + NEAR
        and inner.y + inner.height <= outer.y + outer.height + NEAR
    )


def judge(drawing: Outline, layout: Layout) -> None:
    """Siblings are apart, children inside their container, everything inside the picture."""
    whole = Box(0, 0, layout.width, layout.height)
    for group in drawing.groups:
        if group.id not in layout.groups:
            continue
        boxes = [layout.nodes[i] for i in group.members if i in layout.nodes]
        assert all(inside(box, layout.groups[group.id]) for box in boxes)
        assert all(apart(a, b) for n, a in enumerate(boxes) for b in boxes[:n])
        outer = whole if group.owner is None else layout.nodes[group.owner]
        assert inside(layout.groups[group.id], outer)
    for edge, points in layout.links:
        source, target = layout.nodes[edge.source], layout.nodes[edge.target]
        assert points[0] == pytest.approx((source.x + source.width, source.y + source.height / 2))
        assert points[-1] == pytest.approx((target.x, target.y + target.height / 2))
        assert all(a[0] <= b[0] + NEAR for a, b in zip(points, points[1:], strict=False))


@st.composite
def nested(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Steps with random links and containers, two deep."""
    count = 0

    def scope(depth: int) -> list[dict[str, Any]]:
        nonlocal count
        steps: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(1, 5))):
            needs = draw(st.lists(st.sampled_from([s["name"] for s in steps]), unique=True)) if steps else []
            count += 1
            step: dict[str, Any] = {
                "name": f"{'n' * draw(st.integers(1, 30))}{count}",
                "node": "noop",
                "needs": needs,
            }
            if depth < 2 and draw(st.integers(0, 3)) == 0:
                step |= {"node": "sequence", "steps": scope(depth + 1)}
            elif depth < 2 and draw(st.integers(0, 3)) == 0:
                children = [{k: v for k, v in child.items() if k != "needs"} for child in scope(2)]
                step |= {"node": "parallel", "nodes": children}
            steps.append(step)
        return steps

    steps = scope(0)
    if draw(st.booleans()):
        steps.append({"name": "at-last", "node": "noop", "trigger": "always"})
    return steps


@given(nested())
@settings(deadline=None, max_examples=80)
def test_boxes_stand_apart_and_inside_their_containers(steps: list[dict[str, Any]]) -> None:
    drawing = drawn(steps)
    layout = lay_out_drawing(drawing)
    assert set(layout.nodes) == {n.id for n in drawing.nodes}
    assert len(layout.links) == len(drawing.edges)
    judge(drawing, layout)


def test_of_very_many_steps_some_are_shown_and_the_bad_ones_are_among_them() -> None:
    children = [{"name": f"c{i}", "node": "noop"} for i in range(500)]
    drawing = drawn([{"name": "p", "node": "parallel", "nodes": children}])
    bad = next(n.id for n in drawing.nodes if n.name == "c400")
    layout = lay_out_drawing(drawing, [bad])
    assert bad in layout.nodes
    assert len(layout.nodes) == 1 + MOST_SHOWN + 1
    assert [hidden for _, hidden in layout.hidden.values()] == [500 - MOST_SHOWN - 1]
    judge(drawing, layout)


def test_a_long_link_runs_around_the_boxes_between() -> None:
    chain = [{"name": f"s{i}", "node": "noop", "needs": [f"s{i - 1}"] if i else []} for i in range(5)]
    chain[-1]["needs"].append("s0")
    drawing = drawn(chain)
    layout = lay_out_drawing(drawing)
    (points,) = [points for edge, points in layout.links if (edge.source, edge.target) == (0, 4)]
    for i in (1, 2, 3):
        box = layout.nodes[i]
        beside = [y for x, y in points if box.x - 1 <= x <= box.x + box.width + 1]
        assert beside
        assert all(y < box.y or y > box.y + box.height for y in beside)


def test_crossings_that_need_not_be_are_undone() -> None:
    sizes = [(100.0, 40.0)] * 4
    found = lay_out(sizes, [[0, 1], [2, 3]], [(0, 3), (1, 2)])
    assert (found.boxes[0][1] < found.boxes[1][1]) == (found.boxes[3][1] < found.boxes[2][1])


def test_ten_thousand_boxes_of_one_layer_are_laid_out() -> None:
    number = 10_000
    found = lay_out([(100.0, 40.0)] * number, [list(range(number))], [])
    assert len({box[1] for box in found.boxes}) == number


@given(st.lists(st.integers(-6, 6).map(lambda n: n / 2) | st.floats(-1_000, 1_000), max_size=30))
@settings(deadline=None, max_examples=100)
def test_the_nearest_rising_sequence_rises_and_keeps_the_mean(values: list[float]) -> None:
    found = isotonic(values)
    assert len(found) == len(values)
    assert all(a <= b + 1e-9 for a, b in zip(found, found[1:], strict=False))
    assert sum(found) == pytest.approx(sum(values), abs=1e-6)
    if values == sorted(values):
        assert found == pytest.approx(values)
