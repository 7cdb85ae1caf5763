"""Versions, ranges and references."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeling.manifest import Manifest, Version, VersionRange, reference_parts

numbers = st.integers(0, 40)
versions = st.builds(Version, numbers, numbers, numbers)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("", ["1.0.0", "0.1.0"], ["1.0.0-rc.1"]),
        ("*", ["9.9.9"], ["2.0.0-beta"]),
        ("1.2.0", ["1.2.0"], ["1.2.1", "1.1.0"]),
        ("1.2.0-rc.1", ["1.2.0-rc.1"], ["1.2.0"]),
        ("^1.2", ["1.2.0", "1.9.3"], ["1.1.9", "2.0.0", "1.3.0-rc.1"]),
        ("^0.2.1", ["0.2.1", "0.2.9"], ["0.3.0", "0.2.0", "1.0.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
    ],
)
def test_a_range_holds_what_it_says(text: str, inside: list[str], outside: list[str]) -> None:
    span = VersionRange.parse(text)
    assert [v for v in inside if not span.contains(Version.parse(v))] == []
    assert [v for v in outside if span.contains(Version.parse(v))] == []


@pytest.mark.parametrize("text", ["", "one", "1.2.3.4", "v1", "1..2", "^"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        Version.parse(text)


@given(versions, versions)
def test_versions_sort_as_their_numbers_do(one: Version, other: Version) -> None:
    numbers_of = lambda v: (v.major, v.minor, v.patch)  # noqa: E731
    assert (one < other) == (numbers_of(one) < numbers_of(other))
    assert Version.parse(str(one)) == one


def test_a_pre_release_sorts_before_its_release() -> None:
    assert Version.parse("1.0.0-rc.1") < Version.parse("1.0.0") < Version.parse("1.0.1-rc.1")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("csv", ("csv", "")),
        ("csv@^1", ("csv", "^1")),
        ("@acme/geo", ("@acme/geo", "")),
        ("@acme/geo@1.2.0", ("@acme/geo", "1.2.0")),
    ],
)
def test_a_reference_splits_at_its_last_at(reference: str, parts: tuple[str, str]) -> None:
    assert reference_parts(reference) == parts


def test_a_manifest_fills_in_what_its_runtime_implies() -> None:
    plain = Manifest.from_data({"name": "a"})
    assert (plain.runtime.type, plain.runtime.isolation, plain.effects) == ("python", "none", "idempotent")
    bash = Manifest.from_data({"name": "b", "runtime": {"type": "runtime.bash"}})
    assert (bash.runtime.command, bash.runtime.protocol, bash.runtime.entry) == ((), None, "")
    worker = Manifest.from_data({"name": "c", "runtime": {"type": "runtime.python3"}})
    assert (worker.runtime.isolation, worker.runtime.protocol) == ("worker", None)
