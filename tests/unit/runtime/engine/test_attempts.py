"""Retries, held to the table that the reference pages print."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.engine.attempts import delay_ms, may_retry, next_delay_ms
from nodeling_runtime.workflow.model import Retry

TABLE: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[4] / "docs" / "reference" / "retry.json").read_text(encoding="utf-8")
)
NEVER = [*TABLE["never"]["codes"], *itertools.chain(*TABLE["never"]["code_ranges"]), -32650]
HOST = TABLE["host_codes"]


def error(code: int | str, retryable: bool | None = None, **keys: Any) -> CallError:
    return CallError(code, "no", retryable=retryable, **keys)


@pytest.mark.parametrize("code", NEVER)
@pytest.mark.parametrize("retryable", [None, True, False])
def test_codes_of_the_never_list_are_never_retried(code: int, retryable: bool | None) -> None:
    assert not may_retry(error(code, retryable), Retry(3), "none")
    assert not may_retry(error(code, retryable), Retry(3, on=(code,)), "none")


@pytest.mark.parametrize("code", [4000, 4099, 5000, 5003, 5999, *HOST["retryable"]])
def test_every_other_code_is_retried_unless_its_error_says_no(code: int) -> None:
    assert may_retry(error(code), Retry(3), "idempotent")
    assert not may_retry(error(code, False), Retry(3), "idempotent")


@pytest.mark.parametrize("code", HOST["not_retryable"])
def test_some_codes_of_the_host_are_retried_only_when_the_error_says_so(code: int) -> None:
    assert not may_retry(error(code), Retry(3), "none")
    assert may_retry(error(code, True), Retry(3), "none")


@pytest.mark.parametrize("code", ["container.failed", "context.conflict", "expr.no_output"])
def test_dotted_codes_are_never_retried(code: str) -> None:
    assert not may_retry(error(code, True), Retry(3), "none")


@pytest.mark.parametrize(("word", "rule"), TABLE["on_words"].items())
def test_a_word_narrows_to_its_codes(word: str, rule: dict[str, Any]) -> None:
    every = [4000, 5000, 5001, 5002, 5003, 5004, 5005, *HOST["retryable"]]
    assert [c for c in every if may_retry(error(c), Retry(3, on=(word,)), "none")] == [
        c for c in every if c in rule["codes"]
    ]
    assert may_retry(error(5003, True), Retry(3, on=(word,)), "none") is rule.get("retryable", False)


def test_what_started_is_not_repeated_when_its_effects_are_unsafe() -> None:
    assert not may_retry(error(5000, True), Retry(3), "unsafe")
    assert may_retry(error(5000, started=False), Retry(3), "unsafe")


def test_the_defaults_are_those_of_the_table() -> None:
    retry, wanted = Retry(), TABLE["defaults"]
    assert (retry.attempts, retry.delay_ms, retry.max_delay_ms, retry.factor) == (
        wanted["attempts"],
        wanted["delay_ms"],
        wanted["max_delay_ms"],
        wanted["factor"],
    )


@settings(deadline=None, max_examples=200)
@given(
    delay=st.integers(0, 10_000),
    most=st.integers(0, 100_000),
    attempt=st.integers(1, 5_000),
    chance=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e6),
)
def test_a_pause_grows_to_its_cap_is_spread_and_waits_as_long_as_the_node_asked(
    delay: int, most: int, attempt: int, chance: float, asked: float | None
) -> None:
    pause = delay_ms(Retry(9, delay_ms=delay, max_delay_ms=most), attempt, chance, asked)
    if attempt <= 20:
        assert pause == max(min(most, delay * 2 ** (attempt - 1)) * chance, asked or 0)
    assert (asked or 0) <= pause <= max(most, asked or 0)


def test_attempts_counts_all_tries() -> None:
    retry = Retry(3, delay_ms=10)
    assert [next_delay_ms(error(5000), retry, "none", attempt, 1.0) for attempt in (1, 2, 3)] == [
        10,
        20,
        None,
    ]


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (Retry(9, delay_ms=10, backoff="fixed", jitter=False), [10, 10, 10, 10]),
        (Retry(9, delay_ms=10, backoff="linear", jitter=False), [10, 20, 30, 40]),
        (Retry(9, delay_ms=10, factor=3, jitter=False), [10, 30, 90, 270]),
        (Retry(9, delay_ms=10, max_delay_ms=25, backoff="linear", jitter=False), [10, 20, 25, 25]),
        (Retry(9, delay_ms=10, backoff="fixed"), [5, 5, 5, 5]),
    ],
)
def test_waits_grow_as_the_policy_says(retry: Retry, waits: list[float]) -> None:
    assert [delay_ms(retry, attempt, 0.5) for attempt in (1, 2, 3, 4)] == waits


def test_an_error_whose_type_or_code_is_listed_is_not_tried_again() -> None:
    policy = Retry(attempts=3, unless=("ValidationError", 4290))
    for kind, code, again in (
        ("ValidationError", 4000, False),
        ("OSError", 4290, False),
        ("OSError", 4000, True),
    ):
        assert may_retry(CallError(code, "no", kind), policy, "idempotent") is again
