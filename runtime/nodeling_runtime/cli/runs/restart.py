"""`nodectl runs restart`: what failed is done again, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.inputs import Pair
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.runs.where import durability_option, find_run, store_option, store_url
from nodeling_runtime.cli.words import complete_runs

if TYPE_CHECKING:
    from nodeling_runtime.engine.again import Again


@click.command("restart")
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--failed", is_flag=True, help="What failed or was cut short, and what comes behind it; so anyway."
)
@click.option("--from", "from_step", metavar="STEP", help="This step too, and what comes behind it.")
@click.option(
    "--set",
    "pairs",
    metavar="KEY=JSON",
    multiple=True,
    type=Pair(),
    help="What the restarted steps find under ctx.vars.KEY, whatever was written there before.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object that tells everything.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@store_option
@durability_option
def command(
    run: str,
    failed: bool,
    from_step: str | None,
    pairs: tuple[tuple[str, Any], ...],
    as_json: bool,
    quiet: bool,
    store: str | None,
    durability: str,
) -> int:
    """Do what failed in RUN again, with the nodes that are installed now.

    The results of all other steps stay as they are, byte for byte. The exit code is the run's; of a run in
    which nothing failed nothing is done again, and the code is 0.
    """
    from nodeling_runtime.cli.runs.resume import target_of
    from nodeling_runtime.cli.session import Wanted, run_loaded
    from nodeling_runtime.engine.again import plan_restart, restart_run
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.options import run_options

    if failed and from_step is not None:
        raise click.UsageError("--from includes what failed: leave --failed out")
    keeper = Keeper.open(store_url(store), durability)
    try:
        row = find_run(keeper.store, run)
        again = plan_restart(keeper.store, row.run_id, from_step, target_of(keeper, row))
        if not again.cone.paths:
            talk(f"nothing of run {row.run_id} failed; it is {row.status}, and nothing is done again")
            return 0
        if not quiet:
            _tell(again)
        options = run_options({})
        return run_loaded(
            again.loaded,
            options,
            Wanted(as_json=as_json, quiet=quiet),
            lambda: restart_run(keeper, again, options, dict(pairs)),
        )
    finally:
        keeper.close()


def _tell(again: Again) -> None:
    kept = sorted(path for path, ended in again.recorded.ends.items() if ended.status == "succeeded")
    left = [path for path in kept if path not in again.cone.containers and not _within(path, again)]
    talk(f"again: {', '.join(sorted(again.cone.paths))}; {len(left)} results stay as they are")


def _within(path: str, again: Again) -> bool:
    from nodeling_runtime.engine.recorded import within

    return within(path, tuple(again.cone.paths))
