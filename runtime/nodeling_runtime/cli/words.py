"""What a shell is offered while a command line is typed. What cannot be completed offers nothing."""

from __future__ import annotations

from pathlib import Path

import click

from nodeling.errors import NodelingError

MOST_RUNS = 100  # older ones are looked up in a list


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names of nodes that can be called from here."""
    from nodeling_runtime.engine.loaded import registry_for

    given = ctx.params.get("folders" if "folders" in ctx.params else "nodes")  # what `--nodes` gave
    folders = [Path(folder) for folder in given or ()]
    return [name for name in registry_for(None, folders).names() if name.startswith(incomplete)]


def complete_templates(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The templates that a node can be made from."""
    from nodeling_runtime.scaffold import read_templates

    return [one.name for one in read_templates() if one.kind == "node" and one.name.startswith(incomplete)]


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The ids of the newest runs that are kept."""
    from nodeling_runtime.cli.runs.where import open_existing
    from nodeling_runtime.store.model import RunFilter

    try:
        opened = open_existing(ctx.params.get("store"))
        if opened is None:
            return []
        try:
            rows = opened.runs(RunFilter(MOST_RUNS))
        finally:
            opened.close()
    except NodelingError:
        return []
    return [row.run_id for row in rows if row.run_id.startswith(incomplete)]


def complete_parameters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """`step.` of each step at the top of the file that was named already."""
    # the file is still among the unread words while the value of an option is missing
    file = ctx.params.get("file") or next(iter(ctx.args), None)
    if not file or "=" in incomplete:
        return []
    from nodeling_runtime.documents.reader import read_document

    try:
        data = read_document(Path(file)).data
    except NodelingError:
        return []
    steps = data.get("steps") if isinstance(data, dict) else None
    names = (
        [step.get("name") for step in steps or [] if isinstance(step, dict)]
        if isinstance(steps, list)
        else []
    )
    return [f"{name}." for name in names if isinstance(name, str) and f"{name}.".startswith(incomplete)]
