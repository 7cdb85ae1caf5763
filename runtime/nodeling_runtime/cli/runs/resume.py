"""`nodectl runs resume`: runs whose process is gone, taken up where their history ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from nodeling.errors import StoreError
from nodeling_runtime.cli.output import talk
from nodeling_runtime.cli.runs.where import durability_option, find_run, store_option, store_url
from nodeling_runtime.cli.words import complete_runs
from nodeling_runtime.engine.pinned import POLICIES, Policy
from nodeling_runtime.store.model import RunFilter, RunRow
from nodeling_runtime.store.writer import HOLD_SECONDS

if TYPE_CHECKING:
    from nodeling_runtime.cli.session import Wanted
    from nodeling_runtime.engine.durable import Keeper
    from nodeling_runtime.engine.loaded import Loaded

HELD = ("run.held", "run.ended", "run.dead", "run.limit")


@click.command("resume")
@click.argument("run", shell_complete=complete_runs, required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every run that was running or queued and that nobody runs now."
)
@click.option(
    "--versions",
    "policy",
    type=click.Choice(POLICIES),
    default="compatible",
    help="How much the nodes may have changed: not at all, within one major version, or as they like.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object that tells everything.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@store_option
@durability_option
def command(
    run: str | None,
    everything: bool,
    policy: Policy,
    as_json: bool,
    quiet: bool,
    store: str | None,
    durability: str,
) -> int:
    """Go on with RUN, or with --all of them.

    What has ended is not run again. The exit code is the run's; with --all it is 1 when one of them failed.
    """
    from nodeling_runtime.cli.session import Wanted
    from nodeling_runtime.engine.durable import Keeper

    if (run is None) != everything:
        raise click.UsageError("name a run, or say --all")
    if everything and as_json:
        raise click.UsageError("--json shows one run; `nodectl runs list --json` shows what became of all")
    keeper = Keeper.open(store_url(store), durability)
    try:
        if run is not None:
            row = find_run(keeper.store, run)
            return resume_one(keeper, row, policy, Wanted(as_json=as_json, quiet=quiet))
        return _resume_all(keeper, policy, Wanted(quiet=True, silent=True))
    finally:
        keeper.close()


def resume_one(keeper: Keeper, row: RunRow, policy: Policy, wanted: Wanted) -> int:
    """Take a run up and see it to its end; the exit code."""
    from nodeling_runtime.cli.session import run_loaded
    from nodeling_runtime.engine.durable import resume_run
    from nodeling_runtime.engine.options import run_options

    loaded, made_in_python = _loaded(keeper, row)
    options = run_options({})
    return run_loaded(
        loaded,
        options,
        wanted,
        lambda: resume_run(
            keeper, row.run_id, options, policy=policy, loaded=loaded if made_in_python else None
        ),
        partial(tell_of_trouble, keeper),
    )


def tell_of_trouble(keeper: Keeper, say: Callable[[str], None]) -> None:
    """Have it said at once, and not when it is given up, that the store cannot write for the moment."""

    def heard(error: StoreError) -> None:
        say(f"nodectl: {error}; the run waits {HOLD_SECONDS:.0f} s at most, and nothing of it is lost")

    keeper.writer.on_trouble = heard


def _loaded(keeper: Keeper, row: RunRow) -> tuple[Loaded, bool]:
    """The run's workflow, and whether it is the one of a Python module."""
    return load_kept(keeper.store.definition(row.definition) or b"{}")


def load_kept(definition: bytes, more: Sequence[Path] = ()) -> tuple[Loaded, bool]:
    """What a run holds on to, with the nodes that are here; whether it is the workflow of a Python module."""
    from nodeling_runtime.cli.target import load_target
    from nodeling_runtime.engine.pinned import folders_of, load_pinned

    kept: dict[str, Any] = orjson.loads(definition)
    if kept.get("target"):
        return load_target(kept["target"], folders_of(kept, more)), True
    return load_pinned(definition, more)[0], False


def target_of(keeper: Keeper, row: RunRow) -> Loaded | None:
    """The workflow of a run that was made in a Python module; None when it is kept with the run."""
    loaded, made_in_python = _loaded(keeper, row)
    return loaded if made_in_python else None


def _resume_all(keeper: Keeper, policy: Policy, wanted: Wanted) -> int:
    """Take up every run that nobody runs, the oldest first."""
    waiting = keeper.store.runs(RunFilter(statuses=("queued", "running")))
    failed = resumed = 0
    for row in reversed(waiting):
        try:
            code = resume_one(keeper, row, policy, wanted)
        except StoreError as error:
            if error.code not in HELD:
                raise
            if error.code == "run.dead":
                failed += 1
                talk(f"nodectl: {error}")
            continue
        resumed += 1
        failed += code != 0
        after = keeper.store.run(row.run_id)
        click.echo(f"{row.run_id}  {row.workflow}  {'gone' if after is None else after.status}")
        if code in (130, 143) and row.cancel is None:  # this process was told to end, not that run before
            return code
    if not resumed and not failed:
        talk("no run waits to be resumed")
    return 1 if failed else 0
