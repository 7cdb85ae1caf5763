"""`nodectl runs replay`: a new run that begins in the middle of an old one."""

from __future__ import annotations

from typing import Any

import click

from nodeling.errors import ConfigError
from nodeling_runtime.cli.inputs import given_value
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.runs.where import durability_option, find_run, store_option, store_url
from nodeling_runtime.cli.words import complete_runs


@click.command("replay")
@click.argument("run", shell_complete=complete_runs)
@click.option("--from", "from_step", metavar="STEP", required=True, help="The first step that is done anew.")
@click.option("--inputs", metavar="JSON|@FILE|-", help="What STEP is given instead, key by key.")
@click.option("--json", "as_json", is_flag=True, help="Print one object that tells everything.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@store_option
@durability_option
def command(
    run: str,
    from_step: str,
    inputs: str | None,
    as_json: bool,
    quiet: bool,
    store: str | None,
    durability: str,
) -> int:
    """Begin a new run that takes over from RUN what was done before STEP, and does the rest itself.

    RUN stays as it is. The nodes are those that are installed now.
    """
    from nodeling_runtime.cli.runs.resume import target_of
    from nodeling_runtime.cli.session import Wanted, run_loaded
    from nodeling_runtime.engine.again import plan_replay, replay_run
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.options import run_options

    given = _object(inputs)
    keeper = Keeper.open(store_url(store), durability)
    try:
        row = find_run(keeper.store, run)
        again = plan_replay(keeper.store, row.run_id, from_step, target_of(keeper, row))
        if not quiet:
            talk(f"a new run, from {from_step} of {row.run_id} on")
        options = run_options({})
        return run_loaded(
            again.loaded,
            options,
            Wanted(as_json=as_json, quiet=quiet),
            lambda: replay_run(keeper, again, options, given),
        )
    finally:
        keeper.close()


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    value = given_value(text, "--inputs")
    if not isinstance(value, dict):
        raise ConfigError("--inputs is no object of the step's inputs by name", code="run.input")
    return value
