"""What the command line says about files of other systems: their format, and what stands for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling.errors import ConfigError

if TYPE_CHECKING:
    from nodeling_runtime.engine.loaded import Loaded
    from nodeling_runtime.formats import Reading

Command = Callable[..., Any]


def format_options(function: Command) -> Command:
    """Add the options that say how a file of another system is read."""
    for option in reversed(
        (
            click.option(
                "--from", "from_", metavar="FORMAT", help="What the file is; without it, its content says so."
            ),
            click.option(
                "--bind",
                "bind",
                metavar="NAME=NODE",
                multiple=True,
                help="Which node stands for what another system keeps elsewhere.",
            ),
            click.option(
                "--bindings", metavar="FILE", type=click.Path(), help="A file of such pairs, as one object."
            ),
            click.option(
                "--parameter-file",
                "parameter_files",
                metavar="FILE",
                multiple=True,
                type=click.Path(),
                help="A parameter file of the other system.",
            ),
        )
    ):
        function = option(function)
    return function


def reading_from(given: Mapping[str, Any]) -> Reading:
    """How the file shall be read.

    Raises:
        ConfigError: A binding names nothing, is given twice, or a file is not to be had.
    """
    from nodeling.formats import Wishes
    from nodeling_runtime.documents.reader import read_text
    from nodeling_runtime.formats import Reading

    bindings = _from_file(given["bindings"]) if given["bindings"] else {}
    for text in given["bind"]:
        name, equals, node = text.partition("=")
        if not (name and equals and node):
            raise click.UsageError(f"--bind {text!r} is no NAME=NODE")
        bindings[name] = node
    parameters = {path: read_text(Path(path)) for path in given["parameter_files"]}
    return Reading(given["from_"], Wishes(bindings, parameters, bool(given.get("dry_run"))))


def print_plan(loaded: Loaded, *, as_json: bool = False) -> int:
    """Print the waves of a workflow and how it will decide, instead of running it."""
    from nodeling_runtime.cli.faults import print_faults
    from nodeling_runtime.cli.output import print_json
    from nodeling_runtime.formats import ConvertedDocument
    from nodeling_runtime.graph.data import to_data
    from nodeling_runtime.graph.outline import outline
    from nodeling_runtime.graph.text import draw_text

    drawing = outline(loaded.ready())
    document = loaded.document
    plan = document.converted.plan if isinstance(document, ConvertedDocument) else ""
    print_faults(loaded.faults)
    if as_json:
        print_json({**to_data(drawing), "plan": plan})
    else:
        click.echo(draw_text(drawing) + (f"\n{plan.rstrip()}\n" if plan else ""), nl=False)
    return 0


def _from_file(path: str) -> dict[str, str]:
    from nodeling_runtime.documents.reader import read_document

    found = read_document(Path(path)).data
    if not isinstance(found, dict) or not all(isinstance(node, str) for node in found.values()):
        raise ConfigError(
            f"{path} is no object of names and nodes",
            code="format.bindings",
            hint='write {"s_m_load": "my-node"}',
        )
    return dict(found)
