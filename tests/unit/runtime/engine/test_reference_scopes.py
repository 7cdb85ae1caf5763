"""The reference interpreter on contexts and containers, against outcomes worked out by hand."""

from __future__ import annotations

from typing import Any

from reference.model import Attempt, Const, Execution, Link, Retry, Step
from reference.shorthand import bad, ends, ok, run, seen

BOTH = (Link("a"), Link("b"))


# -- context ------------------------------------------------------------------------------------------


def test_a_descendants_write_overrides_its_ancestors() -> None:
    result = run(ok("a", sets={"k": 1}), ok("b", sets={"k": 2}), ok("c"))
    assert (seen(result, "b"), seen(result, "c"), result.vars) == ({"k": 1}, {"k": 2}, {"k": 2})


def test_a_step_sees_its_ancestors_only() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()),
        ok("b", 20, sets={"j": 1}, needs=()),
        ok("c", needs=(Link("b"),)),
    )
    assert seen(result, "c") == {"j": 1}


def test_a_step_started_by_any_does_not_see_an_ancestor_that_was_still_running() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()),
        ok("b", 50, sets={"j": 1}, needs=()),
        ok("c", needs=BOTH, join="any"),
    )
    assert (seen(result, "c"), result.vars) == ({"k": 1}, {"k": 1, "j": 1})


def test_unequal_writes_of_unrelated_steps_fail_the_step_where_they_meet() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()), ok("b", 20, sets={"k": 2}, needs=()), ok("c", needs=BOTH)
    )
    assert (ends(result)["c"], result.steps["c"].code, result.steps["c"].attempts) == (
        "failed",
        "context.conflict",
        0,
    )


def test_equal_writes_of_unrelated_steps_are_no_conflict() -> None:
    result = run(
        ok("a", 10, sets={"k": [1]}, needs=()), ok("b", 20, sets={"k": [1]}, needs=()), ok("c", needs=BOTH)
    )
    assert (seen(result, "c"), result.run_status) == ({"k": [1]}, "succeeded")


def test_one_and_true_are_unequal_writes() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()), ok("b", 20, sets={"k": True}, needs=()), ok("c", needs=BOTH)
    )
    assert ends(result)["c"] == "failed"


def test_merge_last_takes_the_later_in_declaration_not_in_time() -> None:
    result = run(
        ok("a", 90, sets={"k": 1}, needs=()),
        ok("b", 20, sets={"k": 2}, needs=()),
        ok("c", needs=BOTH, merge="last"),
    )
    assert (seen(result, "c"), result.vars, result.run_status) == ({"k": 2}, {"k": 2}, "succeeded")


def test_merge_deep_merges_objects_and_joins_arrays_without_duplicates() -> None:
    left = {"k": {"x": 1, "l": [1, 2], "o": {"p": 1}}}
    right = {"k": {"x": 2, "l": [2, 3], "o": {"q": 2}}}
    result = run(
        ok("a", 10, sets=left, needs=()), ok("b", 20, sets=right, needs=()), ok("c", needs=BOTH, merge="deep")
    )
    assert seen(result, "c") == {"k": {"x": 2, "l": [1, 2, 3], "o": {"p": 1, "q": 2}}}


def test_a_resolved_conflict_does_not_come_up_again_further_down() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()),
        ok("b", 20, sets={"k": 2}, needs=()),
        ok("c", needs=BOTH, merge="last"),
        ok("d", needs=(Link("c"), Link("a"))),
    )
    assert (seen(result, "d"), result.run_status) == ({"k": 2}, "succeeded")


def test_two_leaves_that_conflict_fail_the_run_at_its_end() -> None:
    result = run(ok("a", 10, sets={"k": 1}, needs=()), ok("b", 20, sets={"k": 2}, needs=()))
    assert (result.run_status, result.run_code) == ("failed", "context.conflict")
    assert ends(result) == {"a": "succeeded", "b": "succeeded"}


def test_a_deleted_key_is_gone_for_descendants_and_from_the_end() -> None:
    result = run(ok("a", sets={"k": 1, "j": 1}), ok("b", deletes=("k",)), ok("c"))
    assert (seen(result, "c"), result.vars) == ({"j": 1}, {"j": 1})


def test_a_deletion_and_a_write_conflict() -> None:
    result = run(
        ok("a", 10, sets={"k": 1}, needs=()), ok("b", 20, deletes=("k",), needs=()), ok("c", needs=BOTH)
    )
    assert result.steps["c"].code == "context.conflict"


def test_a_failed_attempt_is_seen_by_the_target_of_its_failure_link_and_nobody_after() -> None:
    result = run(
        bad("a", sets={"k": 1}, needs=()),
        ok("b", needs=(Link("a", ("failure",)),)),
        ok("c", needs=(Link("a", ("done",)),)),
        ok("d", needs=(Link("b"),)),
    )
    assert (seen(result, "b"), seen(result, "c"), seen(result, "d"), result.vars) == ({"k": 1}, {}, {}, {})


def test_a_failed_attempt_is_seen_by_handlers_but_not_by_always_steps() -> None:
    result = run(bad("a", sets={"k": 1}), ok("h", trigger="on_error"), ok("z", trigger="always"))
    assert (seen(result, "h"), seen(result, "z")) == ({"k": 1}, {})


def test_unrelated_writes_meet_in_a_handler_as_last() -> None:
    result = run(
        ok("a", 20, sets={"k": 1}, needs=()),
        ok("b", 10, sets={"k": 2}, needs=()),
        bad("c", needs=()),
        ok("h", trigger="on_error"),
    )
    assert seen(result, "h") == {"k": 2}


def test_every_attempt_starts_from_the_same_snapshot_and_only_the_successful_one_writes() -> None:
    attempts = (Attempt(10, fail=5000, set={"j": 1}), Attempt(10, set={"k": 1}))
    result = run(Step("a", attempts=attempts, retry=Retry(2, 100)), ok("b"))
    assert seen(result, "b") == {"k": 1}


def test_set_var_stores_the_output_under_another_key() -> None:
    result = run(ok("a", output="A", set_var="v1"), ok("b"))
    assert seen(result, "b") == {"v1": "A"}


# -- sequence -----------------------------------------------------------------------------------------


def test_a_sequence_threads_its_childrens_writes_through_and_out() -> None:
    inner = (ok("x", sets={"k": 2}), ok("y"))
    result = run(ok("a", sets={"k": 1, "j": 1}), Step("s", "sequence", body=inner), ok("b"))
    assert (seen(result, "s/x"), seen(result, "s/y")) == ({"k": 1, "j": 1}, {"k": 2, "j": 1})
    assert (seen(result, "b"), result.ended_ms) == ({"k": 2, "j": 1}, 40)


def test_a_failing_child_fails_its_sequence_and_the_enclosing_scope_judges_that_in_turn() -> None:
    inner = (bad("x"), ok("y"))
    result = run(Step("s", "sequence", body=inner, needs=()), ok("b", needs=(Link("s", ("failure",)),)))
    assert ends(result) == {"s": "failed", "s/x": "failed", "s/y": "skipped(upstream)", "b": "succeeded"}
    assert (result.run_status, result.steps["s/x"].handled) == ("succeeded", False)


def test_a_nested_scope_has_handlers_of_its_own() -> None:
    inner = (bad("x"), ok("h", trigger="on_error", recover=True), ok("z", trigger="always"))
    result = run(Step("s", "sequence", body=inner), ok("b"))
    assert (ends(result)["s"], ends(result)["b"], result.ended_ms) == ("succeeded", "succeeded", 40)


def test_a_conflict_of_two_leaves_fails_their_sequence_under_its_own_merge() -> None:
    inner = (ok("x", 10, sets={"k": 1}, needs=()), ok("y", 20, sets={"k": 2}, needs=()))
    assert run(Step("s", "sequence", body=inner)).steps["s"].code == "context.conflict"
    assert run(Step("s", "sequence", body=inner, merge="last"), ok("b")).vars == {"k": 2}


def test_cancelling_a_sequence_cancels_its_children_and_lets_its_always_steps_end_first() -> None:
    inner = (ok("x", 90), ok("y"), ok("z", 7, trigger="always"))
    result = run(Step("s", "sequence", body=inner), ok("w", 3, trigger="always"), cancel_at_ms=20)
    assert ends(result) == {
        "s": "cancelled(cancelled)",
        "s/x": "cancelled(cancelled)",
        "s/y": "cancelled(cancelled)",
        "s/z": "succeeded",
        "w": "succeeded",
    }
    assert (result.steps["s"].ended_ms, result.steps["w"].started_ms) == (27, 27)


def test_stop_ends_only_its_own_scope() -> None:
    result = run(Step("s", "sequence", body=(ok("x", stop=True), ok("y"))), ok("b"))
    assert ends(result) == {"s": "succeeded", "s/x": "succeeded", "s/y": "skipped(stopped)", "b": "succeeded"}


def test_containers_take_no_permit() -> None:
    result = run(Step("s", "sequence", body=(Step("t", "sequence", body=(ok("x"),)),)), max_concurrent=1)
    assert (result.run_status, result.ended_ms) == ("succeeded", 10)


# -- parallel -----------------------------------------------------------------------------------------


def parallel(*children: Step, merge: Any = None, **execution: Any) -> Step:
    return Step("p", "parallel", body=children, execution=Execution(**execution), merge=merge)


def test_parallel_runs_no_more_children_than_its_bound_in_declared_order() -> None:
    result = run(parallel(ok("x", 30), ok("y", 40), ok("w", 5), ok("v", 5), max_concurrent=2))
    assert (result.steps["p/w"].started_ms, result.steps["p/v"].started_ms, result.ended_ms) == (30, 35, 40)


def test_fail_fast_cancels_the_rest_at_the_first_failure_in_time() -> None:
    result = run(parallel(ok("x", 90), bad("y", 20), ok("w", 5), max_concurrent=2))
    assert ends(result) == {
        "p": "failed",
        "p/x": "cancelled(cancelled)",
        "p/y": "failed",
        "p/w": "cancelled(cancelled)",
    }
    assert (result.ended_ms, result.steps["p/w"].may_be_absent, result.steps["p/x"].may_be_absent) == (
        20,
        True,
        False,
    )


def test_continue_partial_succeeds_even_if_all_fail_and_the_failures_are_handled() -> None:
    result = run(parallel(bad("x"), bad("y", 20), error_handling="continue-partial"))
    assert (ends(result)["p"], result.run_status, result.steps["p/x"].handled) == (
        "succeeded",
        "succeeded",
        True,
    )


def test_min_success_unmet_fails_the_step() -> None:
    result = run(parallel(bad("x"), ok("y", 20), error_handling="continue-partial", min_success=2))
    assert (ends(result)["p"], result.steps["p"].code) == ("failed", "container.min_success")


def test_a_child_skipped_by_its_own_condition_is_no_success() -> None:
    result = run(parallel(ok("x", if_=Const(False)), ok("y"), min_success=2))
    assert (ends(result)["p/x"], ends(result)["p"]) == ("skipped(condition)", "failed")


def test_parallel_children_do_not_see_each_other_and_merge_at_the_end() -> None:
    result = run(
        ok("a", sets={"k": 0}),
        parallel(ok("x", 10, sets={"k": 1}), ok("y", 20, sets={"j": 1}), max_concurrent=1),
        ok("b"),
    )
    assert (seen(result, "p/y"), seen(result, "b")) == ({"k": 0}, {"k": 1, "j": 1})


def test_parallel_children_that_write_one_key_unequally_fail_the_step_or_merge() -> None:
    children = (ok("x", 10, sets={"k": [1]}), ok("y", 20, sets={"k": [2]}))
    assert run(parallel(*children)).steps["p"].code == "context.conflict"
    assert run(parallel(*children, merge="deep")).vars == {"k": [1, 2]}


def test_a_failed_parallel_leaves_nothing() -> None:
    result = run(parallel(ok("x", 10, sets={"k": 1}), bad("y", 20)), ok("h", trigger="on_error"))
    assert seen(result, "h") == {}


# -- try ----------------------------------------------------------------------------------------------


def test_catch_runs_after_a_failure_and_finally_after_that() -> None:
    step = Step("t", "try", body=(ok("x", sets={"k": 1}), bad("y")), catch=(ok("c"),), finally_=(ok("f"),))
    result = run(step, ok("b"))
    assert (ends(result)["t"], seen(result, "t/c"), seen(result, "b"), result.ended_ms) == (
        "succeeded",
        {"k": 1},
        {"k": 1},
        50,
    )
    assert result.steps["t/y"].handled is True


def test_a_try_that_succeeds_never_opens_its_catch() -> None:
    result = run(Step("t", "try", body=(ok("x"),), catch=(ok("c"),), finally_=(ok("f"),)))
    assert ends(result) == {"t": "succeeded", "t/x": "succeeded", "t/f": "succeeded"}


def test_a_try_fails_when_its_catch_or_its_finally_fails_or_there_is_no_catch() -> None:
    assert run(Step("t", "try", body=(bad("x"),), catch=(bad("c"),))).run_status == "failed"
    assert run(Step("t", "try", body=(ok("x"),), finally_=(bad("f"),))).run_status == "failed"
    assert run(Step("t", "try", body=(bad("x"),), finally_=(ok("f"),))).run_status == "failed"


def test_a_cancelled_try_passes_its_catch_over_and_runs_its_finally() -> None:
    result = run(
        Step("t", "try", body=(ok("x", 90),), catch=(ok("c"),), finally_=(ok("f", 7),)), cancel_at_ms=20
    )
    assert ends(result) == {"t": "cancelled(cancelled)", "t/x": "cancelled(cancelled)", "t/f": "succeeded"}
    assert (result.run_status, result.ended_ms) == ("cancelled", 27)
