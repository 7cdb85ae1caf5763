"""The reference interpreter on retries, timeouts, deadlines and permits, against arithmetic done by hand."""

from __future__ import annotations

from typing import Any

import pytest

from reference.model import Attempt, Retry, Step
from reference.shorthand import ends, ok, on, run, span

# -- retry and clocks ---------------------------------------------------------------------------------


def tries(*codes: int | None, ms: int = 10, **keys: Any) -> Step:
    return Step("a", attempts=tuple(Attempt(ms, fail=code) for code in codes), **keys)


def test_retry_doubles_its_delay_and_stops_at_the_first_success() -> None:
    result = run(tries(5000, 5000, None, retry=Retry(5, 100)))  # 10 + 100 + 10 + 200 + 10
    assert (span(result, "a"), result.steps["a"].attempts, result.run_status) == ((0, 330), 3, "succeeded")


def test_retry_never_waits_longer_than_max_delay() -> None:
    assert run(tries(5000, retry=Retry(4, 100, 150))).ended_ms == 4 * 10 + 100 + 150 + 150


def test_retry_uses_its_default_delay_of_a_second() -> None:
    assert run(tries(5000, None, retry=Retry(2))).ended_ms == 1020


@pytest.mark.parametrize("code", [4001, 4006, 4010, 4100])
def test_codes_of_the_caller_are_never_tried_again_even_when_named(code: int) -> None:
    assert run(tries(code, None, retry=Retry(3, 100))).steps["a"].attempts == 1
    assert run(tries(code, None, retry=Retry(3, 100, on=(code,)))).steps["a"].attempts == 1


def test_a_failure_that_says_it_cannot_be_retried_is_not() -> None:
    step = Step("a", attempts=(Attempt(10, fail=5000, retryable=False), Attempt(10)), retry=Retry(3, 100))
    assert run(step).steps["a"].attempts == 1


@pytest.mark.parametrize(
    ("narrow", "attempts"), [((5000,), 2), ((5001,), 1), (("transient",), 2), (("timeout",), 1)]
)
def test_on_narrows_the_failures_that_are_tried_again(narrow: tuple[int | str, ...], attempts: int) -> None:
    assert run(tries(5000, None, retry=Retry(3, 100, on=narrow))).steps["a"].attempts == attempts


def test_a_timeout_cuts_each_attempt_and_is_retried() -> None:
    result = run(Step("a", attempts=(Attempt(90), Attempt(10)), timeout_ms=30, retry=Retry(2, 100)))
    assert (span(result, "a"), result.steps["a"].attempts) == ((0, 140), 2)  # 30 + 100 + 10


def test_a_timeout_without_retry_fails_with_9005_at_its_moment() -> None:
    end = run(ok("a", 90, timeout_ms=30)).steps["a"]
    assert (end.status, end.code, end.limit, end.ended_ms) == ("failed", 9005, "timeout", 30)


def test_a_deadline_runs_over_attempts_and_back_off_and_ends_the_retrying() -> None:
    end = run(tries(5000, retry=Retry(9, 100), deadline_ms=60)).steps["a"]
    assert (end.status, end.code, end.limit, end.ended_ms, end.attempts) == (
        "failed",
        9005,
        "deadline",
        60,
        1,
    )


def test_a_deadline_counts_the_wait_for_a_permit() -> None:
    result = run(ok("a", 50, needs=()), ok("b", needs=(), deadline_ms=30), max_concurrent=1)
    assert (ends(result)["b"], span(result, "b"), result.steps["b"].attempts) == ("failed", (None, 30), 0)


def test_retries_come_before_on_error_continue_and_links() -> None:
    result = run(
        tries(5000, None, retry=Retry(2, 100), needs=(), on_error_continue=True),
        ok("b", needs=(on("a", "failure"),)),
    )
    assert ends(result) == {"a": "succeeded", "b": "skipped(upstream)"}


# -- permits ------------------------------------------------------------------------------------------


def test_permits_go_to_leaves_in_the_order_they_became_ready() -> None:
    result = run(
        ok("a", 30, needs=()),
        ok("b", 40, needs=()),
        ok("c", 5, needs=()),
        ok("d", 5, needs=()),
        max_concurrent=2,
    )
    assert (span(result, "c"), span(result, "d"), result.starts) == ((30, 35), (35, 40), ("a", "b", "c", "d"))


def test_a_step_keeps_its_permit_while_it_backs_off() -> None:
    result = run(tries(5000, None, retry=Retry(2, 100), needs=()), ok("b", 5, needs=()), max_concurrent=1)
    assert span(result, "b") == (120, 125)


def test_a_step_that_waits_for_a_permit_is_skipped_by_stop_since_it_has_not_started() -> None:
    result = run(ok("a", 10, needs=(), stop=True), ok("b", needs=()), max_concurrent=1)
    assert ends(result)["b"] == "skipped(stopped)"
