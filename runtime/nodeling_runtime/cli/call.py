"""`nodectl call`: one node, once, outside any workflow, run by the same engine as everything else.

The call is a workflow of one step whose inputs are the request's body, so what is given is never read
as an expression.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nodeling_runtime.cli.inputs import Duration, Folder, Pair, given_value, merged_input
from nodeling_runtime.cli.words import complete_nodes


@click.command("call")
@click.argument("node", shell_complete=complete_nodes)
@click.option("--input", "input_", metavar="JSON|@FILE|-", help="What the node is given; - reads stdin.")
@click.option(
    "-i", "pairs", metavar="KEY=VALUE", multiple=True, type=Pair(), help="One input: JSON, else a text."
)
@click.option("--config", metavar="JSON|@FILE", help="The step's config, for a node that has one.")
@click.option("--nodes", metavar="DIR", multiple=True, type=Folder(), help="More nodes.")
@click.option("--timeout", metavar="TIME", type=Duration(), help="End the call after so long: 30s, 10m.")
@click.option("--json", "as_json", is_flag=True, help="Print one object that tells everything.")
@click.option("--events", metavar="FILE", help="Write every event to a file, one JSON object a line.")
@click.option("--verbose", is_flag=True, help="Say who ran it, and show a traceback in full.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def command(**given: Any) -> int:
    """Call NODE once and print its output.

    NODE is a name, a name with a version such as summarise@^1, or a node's folder.
    """
    from nodeling_runtime.cli.session import Wanted, run_loaded
    from nodeling_runtime.engine.options import run_options

    loaded = _one_step(given["node"], list(given["nodes"]), given["config"] is not None)
    inputs = merged_input(given["input_"], given["pairs"])
    request: dict[str, Any] = {"body": {} if inputs is None else inputs}
    if given["config"] is not None:
        request["params"] = given_value(given["config"], "--config")
    options = run_options({"request": request})
    options.timeout_ms = given["timeout"]
    wanted = Wanted(given["as_json"], given["verbose"], given["quiet"], given["events"])
    return run_loaded(loaded, options, wanted)


def _one_step(reference: str, folders: list[Path], with_config: bool) -> Any:
    """A workflow of one step that calls the node.

    Raises:
        ConfigError: No node is called so; the nearest is named.
    """
    from nodeling.errors import ConfigError
    from nodeling_runtime.cli.test import find_node
    from nodeling_runtime.documents.reader import from_data
    from nodeling_runtime.engine.loaded import load, registry_for
    from nodeling_runtime.node_files import named_folder
    from nodeling_runtime.registry import PROJECT, read_node

    folder = named_folder(reference)
    if folder is not None:
        folders = [*folders, folder]
        reference = read_node(folder, PROJECT).name
    registry = registry_for(None, folders)
    spec = find_node(registry, reference)
    if spec.manifest.flow:
        raise ConfigError(
            f"{spec.name!r} runs steps of a workflow, so it cannot be called alone",
            code="call.container",
            hint="write a workflow that uses it, and `nodectl run` that",
        )
    step: dict[str, Any] = {
        "name": spec.name.rpartition("/")[2],
        "node": reference,
        "inputs": "${ctx.request.body}",
    }
    if with_config:
        step["config"] = "${ctx.request.params}"
    return load(from_data({"name": spec.name, "steps": [step]}, spec.name), registry=registry)
