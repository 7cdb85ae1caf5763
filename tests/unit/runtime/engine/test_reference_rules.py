"""The reference interpreter against outcomes worked out by hand, one rule at a time.

Times in the expectations are virtual milliseconds. Each test says its rule in its name; the arithmetic
that is not plain from the scenario stands beside it.
"""

from __future__ import annotations

import pytest

from reference.model import Const, Raises, StatusIs, Step, VarEquals
from reference.shorthand import bad, ends, ok, on, run, span

# -- ordered scopes -----------------------------------------------------------------------------------


def test_steps_without_needs_run_in_order_and_the_last_success_is_the_output() -> None:
    result = run(ok("a", 10, "A"), ok("b", 5, "B"))
    assert (span(result, "a"), span(result, "b")) == ((0, 10), (10, 15))
    assert (result.run_status, result.output, result.ended_ms) == ("succeeded", "B", 15)


def test_an_unhandled_failure_in_order_skips_the_rest_as_upstream_and_fails_the_run() -> None:
    result = run(bad("a"), ok("b"), ok("c"))
    assert ends(result) == {"a": "failed", "b": "skipped(upstream)", "c": "skipped(upstream)"}
    assert (result.run_status, result.output, result.outputs) == ("failed", None, {})


def test_in_order_a_step_skipped_by_its_own_condition_lets_the_next_run() -> None:
    result = run(ok("a", output=1), ok("b", if_=Const(False)), ok("c", if_=StatusIs("a", "succeeded")))
    assert ends(result) == {"a": "succeeded", "b": "skipped(condition)", "c": "succeeded"}


def test_in_order_an_inactive_step_waits_its_turn_and_lets_the_next_run() -> None:
    result = run(ok("a", 10), ok("b", active=False), ok("c"))
    assert ends(result)["b"] == "skipped(inactive)"
    assert (span(result, "b"), span(result, "c")) == ((None, 10), (10, 20))


def test_in_order_an_inactive_step_after_a_failure_is_skipped_as_upstream() -> None:
    result = run(bad("a"), ok("b", active=False), ok("c"))
    assert ends(result) == {"a": "failed", "b": "skipped(upstream)", "c": "skipped(upstream)"}


def test_on_error_continue_keeps_the_status_failed_and_lets_the_next_in_order_run() -> None:
    result = run(bad("a", on_error_continue=True), ok("b", output=2))
    assert ends(result) == {"a": "failed", "b": "succeeded"}
    assert (result.run_status, result.steps["a"].handled) == ("succeeded", True)


def test_one_empty_needs_makes_the_whole_scope_a_dag() -> None:
    result = run(ok("a", 10, 1, needs=()), ok("b", 20, 2))
    assert (span(result, "a"), span(result, "b")) == ((0, 10), (0, 20))
    assert result.output == {"a": 1, "b": 2}


# -- links --------------------------------------------------------------------------------------------

SOURCES: dict[str, Step] = {
    "succeeded": ok("a", needs=()),
    "failed": bad("a", needs=()),
    "inactive": ok("a", needs=(), active=False),
    "condition": ok("a", needs=(), if_=Const(False)),
}
SATISFIED = {
    "succeeded": {"success", "done", "any"},
    "failed": {"failure", "done", "any"},
    "inactive": {"success", "skipped", "any"},
    "condition": {"skipped", "any"},
}


@pytest.mark.parametrize("word", ["success", "failure", "done", "skipped", "any"])
@pytest.mark.parametrize("source", list(SOURCES))
def test_each_word_is_satisfied_by_its_statuses_and_no_other(source: str, word: str) -> None:
    result = run(SOURCES[source], ok("b", needs=(on("a", word),)))
    expected = "succeeded" if word in SATISFIED[source] else "skipped(upstream)"
    assert ends(result)["b"] == expected


def test_a_step_skipped_as_upstream_satisfies_skipped_but_not_success() -> None:
    result = run(
        bad("a", needs=()),
        ok("b", needs=(on("a"),)),
        ok("c", needs=(on("b", "skipped"),)),
        ok("d", needs=(on("b"),)),
    )
    assert (ends(result)["c"], ends(result)["d"]) == ("succeeded", "skipped(upstream)")


def test_a_list_of_words_is_satisfied_by_each_of_them() -> None:
    both = ("failure", "skipped")
    result = run(
        bad("a", needs=()),
        ok("b", needs=(), if_=Const(False)),
        ok("c", needs=(on("a", *both), on("b", *both))),
    )
    assert (ends(result)["c"], result.run_status) == ("succeeded", "succeeded")


def test_a_link_whose_if_is_false_is_unmet() -> None:
    result = run(ok("a", needs=()), ok("b", needs=(on("a", if_=StatusIs("a", "failed")),)))
    assert ends(result)["b"] == "skipped(upstream)"


def test_a_link_whose_if_raises_fails_its_target_at_once() -> None:
    result = run(
        ok("a", 10, needs=()), ok("slow", 99, needs=()), ok("b", needs=(on("a", if_=Raises()), on("slow")))
    )
    assert (ends(result)["b"], span(result, "b"), result.steps["b"].attempts) == ("failed", (None, 10), 0)


def test_the_if_of_a_link_is_not_asked_when_its_word_is_not_satisfied() -> None:
    result = run(bad("a", needs=(), on_error_continue=True), ok("b", needs=(on("a", if_=Raises()),)))
    assert (ends(result)["b"], result.run_status) == ("skipped(upstream)", "succeeded")


# -- joins --------------------------------------------------------------------------------------------


def test_all_is_given_up_only_when_every_link_is_decided() -> None:
    result = run(bad("a", 10, needs=()), ok("b", 50, needs=()), ok("c", needs=(on("a"), on("b"))))
    assert (ends(result)["c"], span(result, "c")) == ("skipped(upstream)", (None, 50))


def test_any_starts_once_at_the_first_met_link() -> None:
    result = run(
        ok("a", 10, needs=()), ok("b", 50, needs=()), ok("c", 5, needs=(on("a"), on("b")), join="any")
    )
    assert (span(result, "c"), result.steps["c"].attempts) == ((10, 15), 1)


def test_at_least_two_of_three_starts_at_the_second_met_link() -> None:
    three = (on("a"), on("b"), on("c"))
    result = run(
        ok("a", 10, needs=()), bad("b", 20, needs=()), ok("c", 30, needs=()), ok("d", needs=three, join=2)
    )
    assert span(result, "d") == (30, 40)


def test_at_least_that_can_no_longer_be_met_is_skipped_as_upstream() -> None:
    result = run(ok("a", 10, needs=()), bad("b", 20, needs=()), ok("d", needs=(on("a"), on("b")), join=2))
    assert (ends(result)["d"], span(result, "d")) == ("skipped(upstream)", (None, 20))


def test_links_decided_after_the_start_are_frozen_out_so_a_later_failure_is_not_handled() -> None:
    # c starts at 10 for a; when b fails at 50 its link to c was not among the decided ones.
    result = run(
        ok("a", 10, needs=()),
        bad("b", 50, needs=()),
        ok("c", 100, needs=(on("a"), on("b", "failure")), join="any"),
    )
    assert (ends(result)["c"], result.steps["b"].handled, result.run_status) == ("succeeded", False, "failed")


def test_the_condition_comes_after_the_join_and_one_that_raises_fails_the_step() -> None:
    result = run(
        bad("a", needs=(), on_error_continue=True),
        ok("b", needs=(on("a"),), if_=Raises()),
        ok("c", if_=Raises()),
    )
    assert (ends(result)["b"], ends(result)["c"]) == ("skipped(upstream)", "failed")
    assert (result.steps["c"].code, result.steps["c"].attempts) == ("expr.*", 0)


# -- handled failures ---------------------------------------------------------------------------------


def test_a_failure_is_handled_when_the_target_of_its_failure_link_succeeds() -> None:
    result = run(bad("a", needs=()), ok("b", needs=(on("a", "failure"),), output="saved"))
    assert (result.run_status, result.steps["a"].handled, result.output) == ("succeeded", True, "saved")


def test_a_failure_is_not_handled_when_the_target_fails_too() -> None:
    result = run(bad("a", needs=()), bad("b", needs=(on("a", "failure"),)))
    assert (result.run_status, result.steps["a"].handled) == ("failed", False)


@pytest.mark.parametrize("word", ["done", "any"])
def test_done_and_any_observe_a_failure_and_never_handle_it(word: str) -> None:
    result = run(bad("a", needs=()), ok("b", needs=(on("a", word),)))
    assert (ends(result)["b"], result.run_status) == ("succeeded", "failed")


def test_a_list_that_holds_failure_handles() -> None:
    result = run(bad("a", needs=()), ok("b", needs=(on("a", "success", "failure"),)))
    assert result.run_status == "succeeded"


def test_under_on_error_continue_success_links_are_unmet_and_done_links_met() -> None:
    result = run(
        bad("a", needs=(), on_error_continue=True),
        ok("b", needs=(on("a"),)),
        ok("c", needs=(on("a", "done"),)),
    )
    assert (ends(result)["b"], ends(result)["c"]) == ("skipped(upstream)", "succeeded")
    assert result.run_status == "succeeded"


def test_a_leaf_that_fails_fails_the_run_and_every_other_output_is_kept() -> None:
    result = run(ok("a", 10, "A", needs=()), bad("b", needs=()))
    assert (result.run_status, result.output, result.outputs) == ("failed", None, {"a": "A"})


# -- on_failure ---------------------------------------------------------------------------------------


def test_on_failure_continue_lets_independent_branches_finish() -> None:
    result = run(bad("a", 10, needs=()), ok("b", 50, needs=()))
    assert (ends(result)["b"], result.ended_ms) == ("succeeded", 50)


def test_on_failure_stop_cancels_everything_that_is_not_terminal_at_once() -> None:
    result = run(bad("a", 10, needs=()), ok("b", 50, needs=()), ok("c", needs=(on("b"),)), on_failure="stop")
    assert ends(result) == {"a": "failed", "b": "cancelled(stopped_by)", "c": "cancelled(stopped_by)"}
    assert (result.ended_ms, span(result, "c")) == (10, (None, 10))


def test_on_failure_stop_waits_for_a_failure_link_and_goes_on_when_it_handles() -> None:
    result = run(
        bad("a", 10, needs=()),
        ok("b", 50, needs=()),
        ok("c", 5, needs=(on("a", "failure"),)),
        on_failure="stop",
    )
    assert ends(result) == {"a": "failed", "b": "succeeded", "c": "succeeded"}
    assert result.run_status == "succeeded"


def test_on_failure_stop_waits_for_a_failure_link_and_stops_when_that_fails() -> None:
    result = run(
        bad("a", 10, needs=()),
        ok("b", 50, needs=()),
        bad("c", 5, needs=(on("a", "failure"),)),
        on_failure="stop",
    )
    assert (ends(result)["b"], span(result, "b")) == ("cancelled(stopped_by)", (0, 15))


def test_on_failure_stop_does_not_stop_for_a_continued_failure() -> None:
    result = run(bad("a", 10, needs=(), on_error_continue=True), ok("b", 50, needs=()), on_failure="stop")
    assert ends(result)["b"] == "succeeded"


# -- stop ---------------------------------------------------------------------------------------------


def test_stop_skips_what_has_not_started_and_cancels_what_runs() -> None:
    result = run(ok("a", 10, needs=(), stop=True), ok("b", 50, needs=()), ok("c", needs=(on("b"),)))
    assert ends(result) == {"a": "succeeded", "b": "cancelled(stopped)", "c": "skipped(stopped)"}
    assert (result.run_status, result.ended_ms) == ("succeeded", 10)


def test_an_earlier_unhandled_failure_still_fails_a_stopped_scope() -> None:
    assert run(bad("a", 5, needs=()), ok("b", 10, needs=(), stop=True)).run_status == "failed"


def test_a_step_with_stop_that_fails_is_an_ordinary_failure() -> None:
    result = run(bad("a", 10, needs=(), stop=True), ok("b", 50, needs=()))
    assert (ends(result)["b"], result.run_status) == ("succeeded", "failed")


# -- phases -------------------------------------------------------------------------------------------


def test_handlers_start_when_the_body_is_terminal_and_always_steps_after_them() -> None:
    result = run(bad("a", 10), ok("h", 20, trigger="on_error"), ok("z", 5, trigger="always"))
    assert (span(result, "h"), span(result, "z"), result.run_status) == ((10, 30), (30, 35), "failed")


def test_without_a_failure_handlers_are_skipped_and_always_steps_run() -> None:
    result = run(ok("a", 10), ok("h", trigger="on_error"), ok("z", trigger="always"))
    assert ends(result) == {"a": "succeeded", "h": "skipped(upstream)", "z": "succeeded"}


def test_recover_handles_the_failures_of_the_body() -> None:
    result = run(bad("a"), ok("h", trigger="on_error", recover=True))
    assert (result.run_status, result.steps["a"].handled) == ("succeeded", True)


def test_recover_does_not_count_when_another_handler_that_ran_failed() -> None:
    result = run(
        bad("a", needs=()),
        ok("h", 10, needs=(), trigger="on_error", recover=True),
        bad("g", 20, needs=(), trigger="on_error"),
    )
    assert result.run_status == "failed"


def test_recover_counts_when_another_handler_was_skipped() -> None:
    result = run(
        bad("a"),
        ok("g", trigger="on_error", if_=StatusIs("a", "succeeded")),
        ok("h", trigger="on_error", recover=True),
    )
    assert (ends(result)["g"], result.run_status) == ("skipped(condition)", "succeeded")


def test_a_failing_always_step_fails_a_run_that_succeeded() -> None:
    assert run(ok("a"), bad("z", trigger="always")).run_status == "failed"


def test_a_handler_may_look_at_every_step_of_the_earlier_phases() -> None:
    result = run(
        bad("a", needs=()), ok("b", needs=()), ok("h", trigger="on_error", if_=StatusIs("b", "succeeded"))
    )
    assert ends(result)["h"] == "succeeded"


def test_after_a_cancel_handlers_are_passed_over_and_always_steps_run() -> None:
    result = run(
        ok("a", 50), ok("b"), ok("h", trigger="on_error"), ok("z", 7, trigger="always"), cancel_at_ms=20
    )
    assert ends(result) == {
        "a": "cancelled(cancelled)",
        "b": "cancelled(cancelled)",
        "h": "skipped(upstream)",
        "z": "succeeded",
    }
    assert (result.run_status, span(result, "z")) == ("cancelled", (20, 27))


def test_a_run_timeout_cancels_like_a_cancel_and_fails_the_run() -> None:
    result = run(ok("a", 50), ok("z", 7, trigger="always"), run_timeout_ms=20)
    assert ends(result) == {"a": "cancelled(run_timeout)", "z": "succeeded"}
    assert (result.run_status, result.run_code) == ("failed", 9005)


def test_a_cancel_after_the_end_changes_nothing() -> None:
    assert run(ok("a", 10), cancel_at_ms=11).run_status == "succeeded"


# -- conditions on the context ------------------------------------------------------------------------


def test_a_condition_sees_what_the_ancestors_wrote() -> None:
    result = run(ok("a", sets={"k1": 1}), ok("b", if_=VarEquals("k1", 1)), ok("c", if_=VarEquals("k1", 2)))
    assert (ends(result)["b"], ends(result)["c"]) == ("succeeded", "skipped(condition)")


def test_a_dag_with_one_leaf_gives_that_leafs_output() -> None:
    assert run(ok("a", needs=(), output=1), ok("b", needs=(on("a"),), output=2)).output == 2


def test_a_dag_gives_null_for_a_leaf_that_was_skipped() -> None:
    result = run(
        ok("a", needs=(), output=1), ok("b", needs=(on("a"),), output=2), ok("c", needs=(on("a", "failure"),))
    )
    assert result.output == {"b": 2, "c": None}
