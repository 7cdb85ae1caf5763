"""Who sees which write: conflicts, merges, deletions, and the same by a naive rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.engine.context import (
    ConflictError,
    Frame,
    View,
    Write,
    deep_merge,
    join_deltas,
    same,
)
from nodeling_runtime.workflow.plan import Plan
from reference.plans import plan

ALL = -1


def data(value: Any) -> bytes:
    return json.dumps(value).encode()


def wrote(frame: Frame, name: str, **values: Any) -> None:
    """A step's writes; `...` stands for a deletion."""
    step = frame.plan.index[name]
    frame.write(step, {k: Write(step, None if v is ... else data(v), name) for k, v in values.items()})


def seen(view: View) -> dict[str, Any]:
    found = {key: view.write(key) for key in view.keys()}
    return {key: json.loads(write.data) for key, write in found.items() if write and write.data is not None}


def visible(frame: Frame, name: str) -> int:
    return frame.plan.ancestors[frame.plan.index[name]]


DIAMOND = (
    ("top", {"needs": []}),
    ("left", {"needs": ["top"]}),
    ("right", {"needs": ["top"]}),
    ("end", {"needs": ["left", "right"]}),
)


@pytest.fixture
def frame() -> Frame:
    return Frame(plan(*DIAMOND), None, {})


def test_a_descendants_write_overrides_its_ancestors(frame: Frame) -> None:
    wrote(frame, "top", k=1)
    wrote(frame, "left", k=2)
    assert seen(frame.view(visible(frame, "end"), None)) == {"k": 2}


def test_two_unequal_writes_meet_as_a_conflict_that_names_both_writers(frame: Frame) -> None:
    wrote(frame, "left", k=1)
    wrote(frame, "right", k=2)
    with pytest.raises(ConflictError) as caught:
        frame.view(visible(frame, "end"), None)
    assert caught.value.code == "context.conflict"
    assert caught.value.details == {"key": "k", "writers": ["left", "right"]}


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (..., ...)])
def test_equal_writes_and_equal_deletions_do_not_conflict(frame: Frame, one: Any, other: Any) -> None:
    wrote(frame, "left", k=one)
    wrote(frame, "right", k=other)
    assert seen(frame.view(visible(frame, "end"), None)) == ({} if one is ... else {"k": one})


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (None, ...), ([], {}), ("1", 1)])
def test_values_that_only_look_alike_conflict(frame: Frame, one: Any, other: Any) -> None:
    wrote(frame, "left", k=one)
    wrote(frame, "right", k=other)
    with pytest.raises(ConflictError):
        frame.view(visible(frame, "end"), None)


def test_merge_last_goes_by_declaration_and_not_by_time(frame: Frame) -> None:
    wrote(frame, "right", k=2)
    wrote(frame, "left", k=1)
    assert seen(frame.view(visible(frame, "end"), "last")) == {"k": 2}


def test_merge_deep_joins_objects_and_lists_and_takes_the_latest_scalar(frame: Frame) -> None:
    wrote(frame, "left", k={"a": [1, 2], "b": 1, "only": 1})
    wrote(frame, "right", k={"a": [2, 3, 3], "b": {"x": 1}})
    merged = {"a": [1, 2, 3], "b": {"x": 1}, "only": 1}
    assert seen(frame.view(visible(frame, "end"), "deep")) == {"k": merged}


def test_what_a_step_merged_is_its_own_write_and_what_a_handler_saw_is_not(frame: Frame) -> None:
    wrote(frame, "left", k=1)
    wrote(frame, "right", k=2)
    assert set(frame.view(visible(frame, "end"), "last").merged) == {"k"}
    assert frame.view(visible(frame, "end"), "last", is_handler=True).merged == {}
    assert frame.view(visible(frame, "end"), None, is_handler=True).merged == {}


def test_a_deletion_hides_an_ancestors_write_and_conflicts_with_a_siblings(frame: Frame) -> None:
    wrote(frame, "top", k=1, other=1)
    wrote(frame, "left", k=...)
    view = frame.view(visible(frame, "end"), None)
    assert seen(view) == {"other": 1}
    assert not view.readable("k")
    wrote(frame, "right", k=3)
    with pytest.raises(ConflictError):
        frame.view(visible(frame, "end"), None)


def test_only_those_who_may_see_a_failed_steps_writes(frame: Frame) -> None:
    left = frame.plan.index["left"]
    frame.write_failed(left, {"k": Write(left, data(1), "left")})
    assert seen(frame.view(visible(frame, "end"), None)) == {}
    assert seen(frame.view(visible(frame, "end"), None, failed=[left])) == {"k": 1}


def test_what_leaves_a_scope_is_joined_and_a_step_outside_sees_through_to_it(frame: Frame) -> None:
    outer = Frame(plan(("holder", {"needs": []})), None, {"base": Write(0, data(0), "before")})
    inner = Frame(plan(*DIAMOND), outer.view(0, None), {})
    wrote(inner, "left", k=1)
    wrote(inner, "right", k=2)
    assert seen(inner.view(visible(inner, "left"), None)) == {"base": 0}
    with pytest.raises(ConflictError):
        inner.leaving(ALL, None)
    assert {key: write.data for key, write in inner.leaving(ALL, "last").items()} == {"k": b"2"}


def test_deltas_of_children_conflict_unless_their_step_says_how_to_merge() -> None:
    deltas = [{"k": Write(0, data([1]), "a")}, {"k": Write(1, data([2]), "b"), "x": Write(1, data(1), "b")}]
    with pytest.raises(ConflictError):
        join_deltas(deltas, None)
    assert join_deltas(deltas, "last")["k"].data == b"[2]"
    assert join_deltas(deltas, "deep")["k"].data == b"[1,2]"
    assert join_deltas(deltas[1:], None)["x"].who == "b"


def test_a_deletion_between_writes_begins_a_deep_merge_anew() -> None:
    assert deep_merge([data({"a": 1}), None, data({"b": 2})]) == b'{"b":2}'
    assert deep_merge([data({"a": 1}), None]) is None


def test_same_knows_json_from_bytes() -> None:
    assert same(b"1.0", b"1") and same(b'{"a":1,"b":2}', b'{"b":2,"a":1}') and same(None, None)
    assert not same(b"null", None) and not same(b"true", b"1")


# -- by a naive rule

VALUES = st.sampled_from([1, 2, {"a": 1}, {"b": [1]}, [1], None, ...])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Plan, list[tuple[str, Any]], str]:
    """A graph, who wrote one key in which order of completion, and who looks."""
    count = draw(st.integers(1, 8))
    steps = []
    for i in range(count):
        sources = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        steps.append((f"s{i}", {"needs": [f"s{k}" for k in sorted(sources)]}))
    writers = draw(st.permutations(range(count)))
    writes = [(f"s{i}", draw(VALUES)) for i in writers if draw(st.booleans())]
    return plan(*steps), writes, f"s{draw(st.integers(0, count - 1))}"


@settings(deadline=None, max_examples=400)
@given(histories(), st.sampled_from([None, "last", "deep"]))
def test_a_view_finds_what_the_naive_rule_finds(
    history: tuple[Plan, list[tuple[str, Any]], str], merge: Any
) -> None:
    graph, writes, reader = history
    frame = Frame(graph, None, {})
    for name, value in writes:
        wrote(frame, name, k=value)
    ancestors = graph.ancestors[graph.index[reader]]
    mine = {graph.index[name]: value for name, value in writes if ancestors >> graph.index[name] & 1}
    top = [
        (i, value) for i, value in sorted(mine.items()) if not any(graph.ancestors[o] >> i & 1 for o in mine)
    ]
    encoded = [None if value is ... else data(value) for _, value in top]
    if merge is None and any(not same(encoded[0], other) for other in encoded):
        with pytest.raises(ConflictError):
            frame.view(ancestors, merge)
        return
    found = frame.view(ancestors, merge).write("k")
    got = None if found is None else found.data
    if not encoded:
        assert found is None
    elif all(same(encoded[0], other) for other in encoded):
        assert same(got, encoded[0])
    else:
        assert same(got, encoded[-1] if merge == "last" else deep_merge(encoded))
