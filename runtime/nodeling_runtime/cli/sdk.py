"""`nodectl sdk`: the copies of the SDK that node folders hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.failure import EXIT_FAILED, EXIT_OK
from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.words import complete_nodes

if TYPE_CHECKING:
    from nodeling_runtime.vendored import Renewal

WORDS = {
    "current": "up to date",
    "upgraded": "upgraded",
    "added": "added",
    "removed": "removed: the SDK has it no longer",
    "edited": "edited by hand: kept, --force overwrites it",
    "unknown": "not a file of this installation: kept",
}


@click.group("sdk")
def command() -> None:
    """The SDK's files in the folders of nodes."""


@command.command("upgrade")
@click.argument("nodes", nargs=-1, shell_complete=complete_nodes)
@click.option("--force", is_flag=True, help="Overwrite files that were edited by hand.")
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def upgrade(nodes: tuple[str, ...], force: bool, folders: tuple[Path, ...], as_json: bool) -> int:
    """Renew the SDK's files in NODES: names, or folders; without any, in all nodes of the project.

    A file that was edited by hand is kept, and the exit code is 1; --force overwrites it.
    """
    from nodeling_runtime.cli.test import chosen
    from nodeling_runtime.scaffold import read_templates
    from nodeling_runtime.vendored import find_vendored, refit, renew

    homes = {spec.folder.resolve(): spec.folder for spec in chosen(nodes, folders) if spec.folder is not None}
    sdks = [template.sdk for template in read_templates() if template.sdk is not None]
    done: list[Renewal] = []
    for home in homes.values():
        files = find_vendored(home)
        done += [one for about in sdks for one in refit(files, about)]
        done += [renew(file, force=force) for file in files if file.path.exists()]
    kept = [one for one in done if one.state in ("edited", "unknown")]
    if as_json:
        print_json({"ok": not kept, "files": [_entry(one) for one in done]})
    else:
        _tell(done)
    return EXIT_FAILED if kept else EXIT_OK


def _entry(one: Renewal) -> dict[str, Any]:
    lines = {"added": one.added, "removed": one.removed}
    return {"file": str(one.path), "state": one.state, "before": one.before, "after": one.after, **lines}


def _tell(done: Sequence[Renewal]) -> None:
    for one in done:
        versions = " → ".join(dict.fromkeys(filter(None, (one.before, one.after))))
        lines = f", {one.added} lines in, {one.removed} out" if one.added or one.removed else ""
        click.echo(f"{one.path}: {WORDS[one.state]} ({versions}{lines})")
    if not done:
        talk("no node here holds a file of the SDK")
