"""split: joined, the parts are what was cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling import NodeError
from nodeling.testing import FakeContext
from nodeling_nodes.split.node import run

WHOLE = st.lists(st.integers(0, 9), max_size=40) | st.text("abc;", max_size=40)


def cut(value: Any, **how: Any) -> list[Any]:
    found = run(FakeContext(), {"value": value, **how})
    assert found["count"] == len(found["parts"])
    parts: list[Any] = found["parts"]
    return parts


def joined(parts: list[Any], like: Any) -> Any:
    out = "" if isinstance(like, str) else []
    for part in parts:
        out = out + part
    return out


@given(value=WHOLE, size=st.integers(1, 50))
def test_parts_of_a_size_are_full_but_the_last(value: Any, size: int) -> None:
    parts = cut(value, size=size)
    assert joined(parts, value) == value
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


@given(value=WHOLE, parts=st.integers(1, 50))
def test_equal_parts_differ_by_one_at_most(value: Any, parts: int) -> None:
    found = cut(value, parts=parts)
    assert joined(found, value) == value
    assert len(found) == min(parts, len(value))
    sizes = [len(part) for part in found]
    assert not sizes or max(sizes) - min(sizes) <= 1


@given(value=WHOLE, shares=st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_there_is_a_part_for_every_share_and_nothing_is_lost(value: Any, shares: list[float]) -> None:
    if sum(shares) <= 0:
        with pytest.raises(NodeError, match="add up to nothing"):
            cut(value, shares=shares)
        return
    found = cut(value, shares=shares)
    assert len(found) == len(shares) and joined(found, value) == value
    for part, share in zip(found, shares, strict=True):
        assert abs(len(part) - len(value) * share / sum(shares)) <= 1.001


@given(value=st.text("ab;", max_size=30))
def test_a_separator_cuts_a_text(value: str) -> None:
    assert ";".join(cut(value, separator=";")) == value


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(NodeError, match="100001 parts are more than 100000") as caught:
        cut("a" * 100_001, size=1)
    assert caught.value.code == 4005
