"""A run from the command line that is kept in a store, and one that was asked for before."""

from __future__ import annotations

from nodeling.results import RunResult
from nodeling_runtime.cli.failure import exit_code_of_run
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.runs.resume import resume_one
from nodeling_runtime.cli.session import Wanted, run_loaded
from nodeling_runtime.cli.summary import Timeline, print_summary
from nodeling_runtime.engine.durable import Keeper, KnownRunError, run_durably
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.run import RunOptions
from nodeling_runtime.engine.stored import stored_result
from nodeling_runtime.store.model import CLOSED


def run_kept(
    loaded: Loaded,
    options: RunOptions,
    wanted: Wanted,
    *,
    url: str,
    durability: str,
    key: str | None,
    target: str | None,
) -> int:
    """Run a workflow in a store; the exit code.

    A run with the same key and input is not begun again: what it gave is shown, and one that nobody has
    seen to its end is resumed.
    """
    keeper = Keeper.open(url, durability)
    try:
        try:
            return run_loaded(
                loaded, options, wanted, lambda: run_durably(keeper, loaded, options, key=key, target=target)
            )
        except KnownRunError as known:
            row = known.row
        if not wanted.quiet:
            talk(f"run {row.run_id} was begun with this key before")
        if row.status not in CLOSED:
            return resume_one(keeper, row, "compatible", wanted)
        return _shown(stored_result(keeper.store, row.run_id), wanted)
    finally:
        keeper.close()


def _shown(result: RunResult, wanted: Wanted) -> int:
    """Print a run that ended long ago as if it had just ended."""
    if wanted.as_json:
        print_json(result.to_json())
    elif result.succeeded:
        print_json(result.output)
    if not wanted.quiet:
        print_summary(result, Timeline())
    return exit_code_of_run(result.status, result.error)
