"""Every fault of the engine, the store and the clock has a test, or a reason why there is none.

The rows are named here as the catalogue names them. A row lists the tests that stand for it, each as
`file::test`; a test that is renamed is missed here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3]
ROWS: dict[int, tuple[str, list[str]]] = {
    53: (
        "a runner killed around a step's effect and around its result",
        [
            "test_killed_runs::a_runner_killed_at_any_moment_loses_nothing_and_does_nothing_twice",
            "test_killed_runs::a_runner_killed_at_a_named_point_loses_nothing_and_does_nothing_twice",
            "test_durable_runs::every_prefix_of_a_history_leads_to_the_same_end",
        ],
    ),
    54: ("a power cut", ["test_power::under_full_no_cut_loses_what_was_acknowledged"]),
    55: (
        "a full disk at a commit",
        [
            "test_durable_faults::a_disk_that_has_room_again_in_time_costs_a_run_nothing",
            "test_durable_faults::a_disk_that_stays_full_stops_the_run_and_nothing_is_reported_done",
            "test_sqlite_faults::a_full_disk_refuses_the_batch_and_leaves_the_store_as_it_was",
        ],
    ),
    56: (
        "a database that somebody else holds",
        ["test_sqlite_faults::a_writer_waits_for_another_process_and_says_when_it_waited_too_long"],
    ),
    57: (
        "a damaged database",
        [
            "test_sqlite_faults::what_is_no_database_is_refused_and_not_touched",
            "test_sqlite_faults::a_damaged_page_is_found_by_the_check",
        ],
    ),
    58: (
        "a database on a network file system",
        ["test_sqlite_faults::a_file_on_a_network_file_system_is_refused"],
    ),
    59: (
        "a server that restarts",
        [
            "test_postgres::a_server_that_crashes_and_comes_back_costs_a_store_nothing",
            "test_postgres::a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten",
        ],
    ),
    60: (
        "two runners and one run",
        [
            "test_contract::what_somebody_alive_holds_cannot_be_claimed",
            "test_contract::an_overtaken_owner_keeps_nothing",
            "test_postgres::of_many_runners_each_run_goes_to_one",
        ],
    ),
    61: (
        "a runner that sleeps beyond its lease",
        [
            "test_shared_runs::a_worker_that_sleeps_beyond_its_lease_loses_its_runs_and_records_nothing_more",
            "test_postgres::who_lets_the_lease_run_out_is_overtaken_and_writes_nothing_more",
            "test_cli_runs::a_runner_that_was_stopped_for_long_is_not_overtaken_and_goes_on",
        ],
    ),
    62: (
        "a run that kills its runner",
        [
            "test_contract::the_claim_after_too_many_deaths_makes_the_run_dead",
            "test_cli_runs::a_run_that_takes_its_process_with_it_is_dead_after_three_recoveries",
        ],
    ),
    63: (
        "a wall clock that jumps",
        [
            "test_durable_faults::a_jump_of_the_wall_clock_changes_no_timeout",
            "test_postgres::a_wall_clock_that_jumps_moves_no_lease",
        ],
    ),
    65: (
        "a storm of retries",
        ["test_attempts::a_pause_grows_to_its_cap_is_spread_and_waits_as_long_as_the_node_asked"],
    ),
    66: (
        "a workflow in a circle, or inside itself",
        [
            "test_plan::a_circle_is_found_when_there_is_one_and_each_is_a_walk_of_links",
            "test_subworkflow::the_depth_counts_by_every_way_down",
        ],
    ),
    67: (
        "ten thousand steps in a row and side by side",
        ["test_scale::ten_thousand_steps_are_checked_and_run_within_their_means"],
    ),
    68: (
        "a join of which all sources were skipped",
        ["test_reference_rules::all_is_given_up_only_when_every_link_is_decided"],
    ),
    69: (
        "a condition that raises",
        ["test_reference_rules::the_condition_comes_after_the_join_and_one_that_raises_fails_the_step"],
    ),
    70: (
        "a handler that fails itself",
        ["test_reference_rules::recover_does_not_count_when_another_handler_that_ran_failed"],
    ),
    71: (
        "a restart of the failed branch",
        [
            "test_restarted_runs::fault_71_the_failed_branch_and_its_successors_run_again_and_nothing_else",
            "test_restarted_runs::fault_71_a_second_restart_does_nothing",
        ],
    ),
    72: (
        "a workflow's file that is edited meanwhile",
        ["test_durable_runs::a_run_keeps_the_workflow_that_it_began_with"],
    ),
    73: (
        "a node that changed before the resume",
        ["test_durable_runs::a_changed_node_blocks_the_resume_unless_the_policy_lets_it"],
    ),
    74: (
        "a parent of a workflow that is cancelled",
        ["test_durable_faults::a_cancelled_parent_takes_everything_below_it_along"],
    ),
    75: (
        "a store of another schema, and a migration that is killed",
        [
            "test_sqlite_faults::a_newer_schema_is_refused_and_not_touched",
            "test_sqlite_faults::an_older_schema_is_brought_up_in_one_transaction_behind_a_copy",
            "test_sqlite_faults::a_migration_that_is_killed_leaves_the_old_schema_and_can_be_repeated",
        ],
    ),
    76: (
        "a value beyond what is kept inline",
        ["test_cli_runs::a_value_too_large_for_memory_is_itself_again_after_a_resume"],
    ),
    77: ("a history without end", ["test_durable_runs::a_history_without_end_ends_the_run"]),
    81: (
        "Ctrl-C once and twice",
        [
            "test_cli_run_ends::the_first_signal_cancels_the_run_in_order",
            "test_cli_run_ends::the_second_interrupt_leaves_at_once_and_kills_what_runs",
        ],
    ),
    82: (
        "SIGTERM to a process that takes runs",
        [
            "test_shared_runs::a_worker_that_is_told_to_stop_lets_its_calls_end_and_leaves_the_rest_to_others",
            "test_shared_runs::a_call_that_does_not_end_within_the_grace_is_cut_and_a_second_signal_does_not_wait",
        ],
    ),
    84: ("logs beyond what is kept", ["test_guarded_steps::fault_84_lines_beyond_the_bound_are_not_kept"]),
}
WITHOUT = {
    64: "missed schedules: there are no schedules",
    78: "no descriptor left: nothing here waits for one; the failing call says so, and may be retried",
    79: "no process number left: as for descriptors",
    80: "memory pressure: nothing here admits or refuses calls by the memory that is left",
    83: "SIGHUP: no process here keeps a configuration that could be read again",
}
_TEST = re.compile(r"^(?:async )?def test_(\w+)\(", re.MULTILINE)


@pytest.fixture(scope="module")
def there() -> set[str]:
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        names = _TEST.findall(path.read_text(encoding="utf-8"))
        found.update(f"{path.stem}::{name}" for name in names)
    return found


def test_every_row_is_here_once() -> None:
    assert sorted([*ROWS, *WITHOUT]) == list(range(53, 85))


@pytest.mark.parametrize("row", sorted(ROWS))
def test_the_tests_of_the_row_are_there(there: set[str], row: int) -> None:
    title, tests = ROWS[row]
    assert tests
    assert [name for name in tests if name not in there] == [], f"row {row}: {title}"
