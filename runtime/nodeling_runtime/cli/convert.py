"""`nodectl convert`: another system's workflow file as a native one, and a note for what stays behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nodeling_runtime.cli.foreign import format_options, reading_from

if TYPE_CHECKING:
    from nodeling_runtime.documents.reader import Document

EXIT_FAILED = 1


@click.command("convert")
@click.argument("file", metavar="FILE", type=click.Path())
@format_options
@click.option(
    "--to", type=click.Choice(("yaml", "json")), default="yaml", show_default=True, help="What to write."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="Write a file instead of printing.")
@click.option("--strict", is_flag=True, help="Exit 1 when something does not come along.")
@click.option("--json", "as_json", is_flag=True, help="Print the document and the notes as one object.")
def command(**given: Any) -> int:
    """Print the native workflow that FILE means.

    What another system's file says and a native one cannot is listed on stderr, each with its line.
    """
    from nodeling_runtime.cli.faults import print_faults
    from nodeling_runtime.cli.output import print_json, talk
    from nodeling_runtime.formats import NATIVE, ConvertedDocument, notes_of, open_workflow

    document = open_workflow(Path(given["file"]), reading_from({**given, "dry_run": True}))
    notes = list(notes_of(document))
    if isinstance(document, ConvertedDocument):
        name = document.format_name
    else:
        name = NATIVE
        _require_steps(document)
    if given["as_json"]:
        print_json({"format": name, "document": document.data, "notes": [note.to_json() for note in notes]})
    else:
        _write(document.data, given["to"], given["output"])
        print_faults(notes)
        if given["output"]:
            talk(f"wrote {given['output']} from {name}")
    return EXIT_FAILED if notes and given["strict"] else 0


def _require_steps(document: Document) -> None:
    """Refuse what no system knows and what is no native workflow either: it would be handed on as one.

    Raises:
        ConfigError: It has no steps.
    """
    from nodeling.errors import ConfigError
    from nodeling_runtime.formats import known_formats

    if not isinstance(document.data, dict) or not isinstance(document.data.get("steps"), list):
        raise ConfigError(
            f"{document.name} is no workflow: it has no list of `steps`, and no other system's files look so",
            code="document.type",
            hint=f"`--from` says what it is: {', '.join(known_formats())}",
        )


def _write(data: Any, form: Literal["yaml", "json"], output: str | None) -> None:
    from nodeling_runtime.cli.output import unwritable
    from nodeling_runtime.documents.writer import to_text

    text = to_text(data, form)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(output, error) from error
