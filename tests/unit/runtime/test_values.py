from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.values import NULL, InvalidValue, Value, flat_value, json_equal, split_list


def test_a_value_keeps_nothing_of_the_object_it_was_made_of() -> None:
    rows = [{"a": [1]}]
    value = Value.of(rows)
    rows[0]["a"].append(2)
    assert value.shared() == [{"a": [1]}]


def test_shared_is_decoded_once_and_fresh_each_time() -> None:
    value = Value.of({"a": [1]})
    assert value.shared() is value.shared()
    copy = value.fresh()
    copy["a"].append(2)
    assert value.fresh() == {"a": [1]} == value.shared()


@pytest.mark.parametrize("scalar", [None, True, 0, 1.5, "text", ""])
def test_scalars_are_handed_out_as_they_are(scalar: Any) -> None:
    value = Value.of(scalar)
    assert value.fresh() == scalar
    assert type(value.fresh()) is type(scalar)
    assert not value.is_list and not value.is_object


def test_bytes_from_outside_are_checked_and_compacted() -> None:
    value = Value.check_bytes(b' {"a" :\n [1, 2.50],\r\n "b": "x\\ny"} \n')
    assert value.data == b'{"a":[1,2.5],"b":"x\\ny"}'
    assert value.size == len(value.data)
    assert value.is_object


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "syntax"),
        (b"[1", "syntax"),
        (b"[NaN]", "nan"),
        (b"[9007199254740993]", "integer"),
        (b"[" * 65 + b"]" * 65, "depth"),
        (b'"\xff"', "encoding"),
        (b'"\\udfff"', "surrogate"),
        (b'1}\n{"jsonrpc":"2.0"', "syntax"),
    ],
)
def test_bytes_from_outside_that_break_the_profile_are_refused(data: bytes, kind: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Value.check_bytes(data)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (False, 0.0, False),
        (None, False, False),
        ([1, True], [1.0, True], True),
        ([1, True], [1.0, 1], False),
        ({"a": 1, "b": [False]}, {"b": [False], "a": 1.0}, True),
        ({"a": {"b": 0}}, {"a": {"b": False}}, False),
        ("1", 1, False),
        ([], {}, False),
        (0.0, -0.0, True),
        (2**53 - 1, float(2**53 - 1), True),
    ],
)
def test_equality_is_that_of_json(one: Any, other: Any, equal: bool) -> None:
    assert json_equal(one, other) is equal
    assert json_equal(other, one) is equal
    assert (Value.of(one) == Value.of(other)) is equal
    assert (Value.of(one) != Value.of(other)) is not equal


def test_a_value_equals_no_plain_object_and_has_no_hash() -> None:
    assert Value.of(1) != 1
    with pytest.raises(TypeError):
        hash(NULL)


def test_null_is_null() -> None:
    assert NULL == Value.of(None)
    assert NULL.fresh() is None


def test_a_long_value_is_shown_by_its_beginning() -> None:
    assert repr(Value.of([1])) == "Value([1])"
    assert len(repr(Value.of("x" * 1000))) < 80


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None, max_examples=200)
@given(st.lists(json_values, max_size=6))
def test_the_items_of_a_split_list_are_its_items(items: list[Any]) -> None:
    parts = split_list(Value.of(items))
    assert [part.shared() for part in parts] == items
    assert [orjson.loads(part.data) for part in parts] == items
    assert b"[" + b",".join(part.data for part in parts) + b"]" == Value.of(items).data


def test_only_lists_can_be_split() -> None:
    with pytest.raises(TypeError, match="only a list"):
        split_list(Value.of({"a": 1}))


def test_splitting_ten_megabytes_costs_about_one_decoding() -> None:
    data = Value.of([{"i": i, "pad": "x" * 1000} for i in range(10_000)]).data

    def best(work: Any) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    # The bound is loose for a busy machine; encoding each item into memory of its own is above it.
    decoding = best(lambda: orjson.loads(data))
    splitting = best(lambda: split_list(Value.from_checked(data)))
    assert splitting <= 4 * decoding


TEXTS = st.text(max_size=20) | st.text("ab", min_size=900, max_size=1_100)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS


@given(st.dictionaries(st.text(max_size=5), SCALARS | st.lists(st.none(), max_size=1), max_size=10))
def test_a_flat_value_is_what_the_encoded_one_is(items: dict[str, Any]) -> None:
    flat = flat_value(items)
    if flat is None:
        return
    value = Value.of(items)
    assert flat.data == value.data
    assert flat == value
    assert repr(flat.fresh()) == repr(value.fresh()) == repr(flat.shared())
    assert (flat.size, flat.is_object, flat.is_list) == (value.size, True, False)


def test_a_flat_value_keeps_nothing_of_the_map_it_was_made_of_and_gives_nothing_away() -> None:
    items = {"a": 1, "b": "text", "c": None, "d": 0.5, "e": True}
    flat = flat_value(items)
    assert flat is not None
    items["a"] = 2
    flat.fresh()["b"] = 3
    assert flat.shared() == {"a": 1, "b": "text", "c": None, "d": 0.5, "e": True}


@pytest.mark.parametrize(
    "items",
    [
        [1],
        {"a": [1]},
        {"a": {}},
        {1: 1},
        {"a": 2**53},
        {"a": float("nan")},
        {"a": float("-inf")},
        {"a": "\ud800"},
    ],
)
def test_what_is_nested_or_may_not_travel_is_no_flat_value(items: Any) -> None:
    assert flat_value(items) is None
