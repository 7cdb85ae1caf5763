"""`nodectl graph`: draw a workflow without running any of it.

A file is only read. `module:workflow` imports the module: a workflow written in Python exists only then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.foreign import format_options, reading_from
from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import unwritable

if TYPE_CHECKING:
    from nodeling_runtime.engine.loaded import Loaded
    from nodeling_runtime.formats import Reading
    from nodeling_runtime.graph.outline import Outline

FORMATS = ("text", "mermaid", "dot", "json")


@click.command("graph")
@click.argument("workflow")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="What to draw it as.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a file instead of printing.",
)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@format_options
def command(workflow: str, form: str, output: Path | None, folders: tuple[Path, ...], **given: Any) -> None:
    """Draw WORKFLOW: a file, or module:name for one written in Python.

    Shows steps, links, containers with their children, waves, widths and the critical path. Nothing is run.
    """
    from nodeling_runtime.graph.outline import outline

    reading = reading_from({**given, "dry_run": True})
    text = _drawer(form)(outline(load_workflow(workflow, folders, reading).ready()))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(output, error) from error
    click.echo(f"wrote {output}", err=True)


def _drawer(form: str) -> Callable[[Outline], str]:
    if form == "mermaid":
        from nodeling_runtime.graph.mermaid import draw_mermaid

        return draw_mermaid
    if form == "dot":
        from nodeling_runtime.graph.dot import draw_dot

        return draw_dot
    if form == "json":
        return _json
    from nodeling_runtime.graph.text import draw_text

    return draw_text


def _json(drawing: Outline) -> str:
    import json

    from nodeling_runtime.graph.data import to_data

    return json.dumps(to_data(drawing), indent=2, ensure_ascii=False) + "\n"


def load_workflow(target: str, folders: tuple[Path, ...] = (), reading: Reading | None = None) -> Loaded:
    """Load a file, or the workflow that a module holds.

    Raises:
        ConfigError: There is no such file, module or workflow.
    """
    from nodeling_runtime.engine.host import EngineHost
    from nodeling_runtime.engine.loaded import load_file

    module, colon, name = target.partition(":")
    if not colon or Path(target).exists() or not _is_module(module):
        return load_file(Path(target), folders, reading=reading)
    return EngineHost().load(_from_module(module, name or "workflow"), folders)


def _is_module(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))


def _from_module(module: str, name: str) -> Any:
    """The workflow called `name` in a module, or what a function of that name gives."""
    import importlib
    import sys

    from nodeling.errors import ConfigError, nearest
    from nodeling.workflow import Workflow

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        hint = "a module is looked for in this folder and among what is installed"
        raise ConfigError(f"there is no module {error.name!r}", code="file.not_found", hint=hint) from error
    held = [key for key, value in vars(found).items() if isinstance(value, Workflow)]
    found = getattr(found, name, None)
    if callable(found) and not isinstance(found, Workflow):
        found = found()
    if not isinstance(found, Workflow):
        near = nearest(name, held)
        known = (
            f"did you mean {near!r}?" if near else f"it has {', '.join(held)}" if held else "it holds none"
        )
        raise ConfigError(f"module {module!r} has no workflow {name!r}", code="file.not_found", hint=known)
    return found
