"""`nodectl node-command`: a node as something that a shell, a debugger or the conformance kit can start."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nodeling.errors import NodelingError, PluginError
from nodeling_runtime.cli.failure import EXIT_OK
from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json
from nodeling_runtime.cli.words import complete_nodes

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec


@click.command("node-command")
@click.argument("node", shell_complete=complete_nodes)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@click.option("--json", "as_json", is_flag=True, help="Print the command, its folder and its channel.")
def command(node: str, folders: tuple[Path, ...], as_json: bool) -> int:
    """Print the command that runs NODE as a process, built if need be.

    It is one word: a script under `.nodeling/run` that goes to the node's folder, sets its variables and
    becomes it. So `nodectl conformance -- $(nodectl node-command NODE)` works in any shell.
    """
    from nodeling_runtime.cli.test import chosen

    (spec,) = chosen((node,), folders)
    path = launcher_of(spec)
    if not as_json:
        click.echo(shortest(path))
        if spec.in_worker.protocol == "exec":
            message = f"{spec.name!r} is a program that is started for each call, not a worker: "
            click.echo(message + "`nodectl conformance` has nothing to ask it", err=True)
        return EXIT_OK
    from nodeling_runtime.toolchains.launching import process_of

    process = process_of(spec.in_worker)
    print_json(
        {
            "node": spec.name,
            "launcher": str(path),
            "command": [process.program, *process.argv[1:]],
            "folder": str(process.node.folder),
            "environment": dict(process.environment),
            "channel": process.channel,
            "protocol": spec.in_worker.protocol,
        }
    )
    return EXIT_OK


def launcher_of(spec: NodeSpec) -> Path:
    """The script that runs a node as a process, built and written.

    Raises:
        NodelingError: It is a container, does not build, or a program is missing.
    """
    from nodeling_runtime.cli.build import build
    from nodeling_runtime.dispatch.exec_result import Refused
    from nodeling_runtime.toolchains.launcher import write_launcher

    if spec.manifest.flow:
        raise NodelingError(
            f"{spec.name!r} is a container, and containers run in the runtime's own process", code="usage"
        )
    outside = spec.in_worker
    (entry,) = build([outside])
    if entry["error"] is not None:
        error = entry["error"]
        raise PluginError(error["message"], code=error["code"], details=error.get("details"))
    try:
        return write_launcher(outside)
    except Refused as refused:
        found = refused.error
        raise PluginError(found.message, code=found.code, details=found.details) from refused


def shortest(path: Path) -> str:
    """A path as one word of a command line: absolute, or from here where that spares quoting."""
    text = str(path)
    if shlex.quote(text) == text or not path.is_relative_to(Path.cwd()):
        return shlex.quote(text)
    return shlex.quote(str(path.relative_to(Path.cwd())))
