"""`nodectl run`: a workflow from its file to its output and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeling_runtime.cli.foreign import format_options, print_plan, reading_from
from nodeling_runtime.cli.inputs import (
    Duration,
    Folder,
    Pair,
    StepPair,
    merged_input,
    parameters_of,
    read_request,
)
from nodeling_runtime.cli.words import complete_parameters


@click.command("run")
@click.argument("file", metavar="FILE", type=click.Path())
@click.option("--input", "input_", metavar="JSON|@FILE|-", help="The run's input; - reads stdin.")
@click.option(
    "-i",
    "pairs",
    metavar="KEY=VALUE",
    multiple=True,
    type=Pair(),
    help="One key of the input: JSON, else a text.",
)
@click.option(
    "--request", metavar="FILE", help="A whole request: method, headers, query, params, path, body."
)
@click.option(
    "-p",
    "parameters",
    metavar="STEP.KEY=VALUE",
    multiple=True,
    type=StepPair(),
    shell_complete=complete_parameters,
    help="Override one input of one step.",
)
@click.option("--nodes", metavar="DIR", multiple=True, type=Folder(), help="More nodes.")
@click.option(
    "--max-concurrent", metavar="N", type=click.IntRange(min=1), help="At most N node calls at once."
)
@click.option("--timeout", metavar="TIME", type=Duration(), help="End the run after so long: 30s, 10m.")
@click.option("--json", "as_json", is_flag=True, help="Print one object that tells everything.")
@click.option("--events", metavar="FILE", help="Write every event to a file, one JSON object a line.")
@click.option("--report", metavar="FILE", help="Write a page that shows the run.")
@click.option(
    "--store",
    metavar="URL|none",
    help="Where the run is kept: without it NODELING_STORE, else the project's store; none keeps nothing.",
)
@click.option(
    "--durability",
    type=click.Choice(("full", "fast", "off")),
    default="full",
    help="full: what is kept survives a power cut. fast: it survives the process. off: neither is promised.",
)
@click.option("--key", metavar="TEXT", help="Two requests with one key and one input are one run.")
@click.option(
    "--queue",
    is_flag=True,
    help="Do not run it: leave it in the store to a `nodectl worker`, and print the run's id.",
)
@click.option(
    "--verbose", is_flag=True, help="Say who ran each step, what it waited for, what started together."
)
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
@format_options
@click.option(
    "--dry-run", is_flag=True, help="Run nothing; print the waves of the workflow and how it will decide."
)
def command(**given: Any) -> int:
    """Run the workflow in FILE, or the Python object MODULE:WORKFLOW, and print its output.

    The exit code is 0 when the run succeeded and 1 when it failed.
    """
    from nodeling_runtime.cli.session import Wanted, run_loaded
    from nodeling_runtime.cli.target import load_target
    from nodeling_runtime.engine.options import run_options
    from nodeling_runtime.store.opening import default_url

    request = read_request(given["request"])
    loaded = load_target(given["file"], list(given["nodes"]), reading_from(given))
    loaded.ready()
    if given["dry_run"]:
        return print_plan(loaded, as_json=given["as_json"])
    options = run_options(
        {
            "inputs": merged_input(given["input_"], given["pairs"], request),
            "request": request,
            "parameters": parameters_of(given["parameters"]),
            "max_concurrent": given["max_concurrent"],
        }
    )
    options.timeout_ms = given["timeout"]
    wanted = Wanted(given["as_json"], given["verbose"], given["quiet"], given["events"], given["report"])
    url = default_url(loaded.base or Path.cwd()) if given["store"] is None else given["store"]
    if url is None or url == "none":
        for option in ("key", "queue"):
            if given[option]:
                raise click.UsageError(f"--{option} is about runs that are kept; name a store with --store")
        return run_loaded(loaded, options, wanted)
    from nodeling_runtime.cli.kept import queue_kept, run_kept

    return (queue_kept if given["queue"] else run_kept)(
        loaded,
        options,
        wanted,
        url=url,
        durability=given["durability"],
        key=given["key"],
        target=given["file"] if loaded.document.format is None and not Path(given["file"]).exists() else None,
    )
