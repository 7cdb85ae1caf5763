"""`nodectl schema`: what editors complete and check with, and the manifest that code declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json, talk

FOLDER = "schemas"


@click.command("schema")
@click.argument("which", required=False, type=click.Choice(["node", "workflow"]))
@click.option(
    "--print", "shown", is_flag=True, help="Print the schema (WHICH, or workflow) and write nothing."
)
@click.option(
    "--write", "node", metavar="NODE", help="Write the config.json of a @node function. Imports its code."
)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(
    which: str | None, shown: bool, node: str | None, folders: tuple[Path, ...], as_json: bool
) -> None:
    """Write the schemas that editors check workflows and manifests with.

    They go to .nodeling/schemas/ of the project. The one for workflows knows every node that is there
    now: run this again after you added one. WHICH is node or workflow; without it, both.
    """
    if node is not None:
        _write_manifest(node, folders, as_json)
        return
    from nodeling_runtime.editor import node_schema, workflow_schema
    from nodeling_runtime.engine.loaded import registry_for

    if shown:
        print_json(node_schema() if which == "node" else workflow_schema(registry_for(None, folders)))
        return
    made: dict[str, dict[str, Any]] = {}
    if which != "workflow":
        made["node.v1.json"] = node_schema()
    if which != "node":
        made["workflow.v1.json"] = workflow_schema(registry_for(None, folders))
    written = _write(made)
    if as_json:
        print_json({"files": written})
        return
    for file in written:
        click.echo(file)
    talk("in a workflow:  # yaml-language-server: $schema=.nodeling/schemas/workflow.v1.json")
    talk('in a manifest:  "$schema": "../../.nodeling/schemas/node.v1.json"')


def _write(schemas: dict[str, dict[str, Any]]) -> list[str]:
    from nodeling.errors import NodelingError
    from nodeling_runtime.cli.faults import relative
    from nodeling_runtime.documents.writer import to_text
    from nodeling_runtime.project import FOLDER as PROJECT_FOLDER
    from nodeling_runtime.project import project_root

    root = project_root(Path.cwd()) / PROJECT_FOLDER / FOLDER
    written = []
    for name, schema in schemas.items():
        path = root / name
        try:
            root.mkdir(parents=True, exist_ok=True)
            path.write_text(to_text(schema, "json"), encoding="utf-8")
        except OSError as error:
            raise NodelingError(
                f"{path} cannot be written: {error.strerror}", code="schema.unwritable"
            ) from error
        written.append(relative(str(path)))
    return written


def _write_manifest(node: str, folders: tuple[Path, ...], as_json: bool) -> None:
    from nodeling_runtime.cli.faults import relative
    from nodeling_runtime.editor import manifest_from_code

    folder = _folder(node, folders)
    path, changed = manifest_from_code(folder)
    if as_json:
        print_json({"files": [relative(str(path))], "changed": changed})
        return
    click.echo(relative(str(path)))
    talk("written" if changed else "it says already what the code declares")


def _folder(node: str, folders: tuple[Path, ...]) -> Path:
    """The folder of a project's node, by its name or its path."""
    from nodeling.errors import NodelingError
    from nodeling_runtime.cli.test import find_node
    from nodeling_runtime.engine.loaded import registry_for
    from nodeling_runtime.node_files import named_folder

    folder = named_folder(node) or Path(node)
    if folder.is_dir():
        return folder
    spec = find_node(registry_for(None, folders), node)
    if not spec.is_local or spec.folder is None:
        raise NodelingError(f"{spec.owner} brings {node!r}: its manifest is not yours to write", code="usage")
    return spec.folder
