"""A run from the command line that is kept in a store, and one that was asked for before."""

from __future__ import annotations

from functools import partial

import click

from nodeling.results import RunResult
from nodeling_runtime.cli.failure import exit_code_of_run
from nodeling_runtime.cli.faults import print_faults
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.runs.resume import resume_one, tell_of_trouble
from nodeling_runtime.cli.session import Wanted, run_loaded
from nodeling_runtime.cli.summary import Timeline, print_summary
from nodeling_runtime.engine.durable import Keeper, KnownRunError, enqueue, run_durably
from nodeling_runtime.engine.loaded import Loaded
from nodeling_runtime.engine.options import check_parameters
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
                loaded,
                options,
                wanted,
                lambda: run_durably(keeper, loaded, options, key=key, target=target),
                partial(tell_of_trouble, keeper),
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


def queue_kept(
    loaded: Loaded,
    options: RunOptions,
    wanted: Wanted,
    *,
    url: str,
    durability: str,
    key: str | None,
    target: str | None,
) -> int:
    """Leave a run to whoever serves the store; its id is printed once it is kept.

    Raises:
        NodelingError: The workflow has faults, or the run cannot be kept.
    """
    for path, option in ((wanted.events, "--events"), (wanted.report, "--report")):
        if path is not None:
            raise click.UsageError(f"{option} is about a run that happens here; --queue leaves it to others")
    check_parameters(loaded.ready(), options.parameters)
    if loaded.faults and not wanted.quiet:
        print_faults(loaded.faults)
    keeper = Keeper.open(url, durability)
    try:
        created = enqueue(keeper, loaded, options, key=key, target=target)
    finally:
        keeper.close()
    row = created.run
    if created.existed and not wanted.quiet:
        talk(f"run {row.run_id} was begun with this key before")
    if wanted.as_json:
        print_json({"run_id": row.run_id, "workflow": row.workflow, "status": row.status})
    else:
        click.echo(row.run_id)
    return 0


def _shown(result: RunResult, wanted: Wanted) -> int:
    """Print a run that ended long ago as if it had just ended."""
    if wanted.as_json:
        print_json(result.to_json())
    elif result.succeeded:
        print_json(result.output)
    if not wanted.quiet:
        print_summary(result, Timeline())
    return exit_code_of_run(result.status, result.error)
