"""`nodectl nodes`: which nodes there are, who brought them, and what one of them takes and gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json, talk
from nodeling_runtime.cli.words import complete_nodes

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec, Registry

WIDEST_DESCRIPTION = 72
_folders = click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


@click.group("nodes")
def command() -> None:
    """Show the nodes there are: installed ones, the project's, and those of --nodes."""


@command.command("list")
@_folders
@_json
def list_nodes(folders: tuple[Path, ...], as_json: bool) -> None:
    """List every node; broken plugins and faulty manifests beneath."""
    registry = _registry(folders)
    if as_json:
        print_json(
            {
                "nodes": [_summary(spec) for spec in registry.each()],
                "broken": [plugin.to_json() for plugin in registry.broken],
                "faults": [fault.to_json() for fault in registry.faults],
            }
        )
        return
    rows = [("NAME", "VERSION", "FROM", "TYPE", "DESCRIPTION")]
    rows.extend(_row(spec) for spec in registry.each())
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        click.echo("  ".join(cells).rstrip())
    _tell_troubles(registry)


@command.command("show")
@click.argument("node", shell_complete=complete_nodes)
@_folders
@_json
def show_node(node: str, folders: tuple[Path, ...], as_json: bool) -> None:
    """Show what NODE takes and gives. NODE is a name, name@version, or a folder."""
    spec = _find(node, folders)
    if as_json:
        print_json(_details(spec))
        return
    for line in _lines(spec):
        click.echo(line)


def _registry(folders: Sequence[Path]) -> Registry:
    from nodeling_runtime.engine.loaded import registry_for

    return registry_for(None, folders)


def _find(node: str, folders: Sequence[Path]) -> NodeSpec:
    from nodeling_runtime.cli.test import find_node
    from nodeling_runtime.node_files import named_folder
    from nodeling_runtime.registry import PROJECT, read_node

    folder = named_folder(node)
    if folder is not None:
        return read_node(folder, PROJECT)
    return find_node(_registry(folders), node)


def _row(spec: NodeSpec) -> tuple[str, str, str, str, str]:
    manifest = spec.manifest
    text = manifest.description
    short = text if len(text) <= WIDEST_DESCRIPTION else f"{text[: WIDEST_DESCRIPTION - 1]}…"
    return (spec.name, str(manifest.version), spec.owner, manifest.runtime.type, short)


def _tell_troubles(registry: Registry) -> None:
    from nodeling_runtime.cli.faults import print_faults

    for plugin in registry.broken:
        talk(f"broken plugin {plugin.name} of {plugin.distribution}: {plugin.reason}", fg="red")
    if registry.broken:
        talk("`nodectl doctor` shows where")
    print_faults(registry.faults)


def _summary(spec: NodeSpec) -> dict[str, Any]:
    manifest = spec.manifest
    return {
        "name": spec.name,
        "version": str(manifest.version),
        "distribution": spec.owner,
        "type": manifest.runtime.type,
        "description": manifest.description,
        "group": manifest.group,
        "flow": manifest.flow,
        "aliases": list(manifest.aliases),
        "file": spec.file,
        "cannot_run": spec.cannot_run,
    }


def _details(spec: NodeSpec) -> dict[str, Any]:
    manifest = spec.manifest
    runtime = manifest.runtime
    return {
        **_summary(spec),
        "inputs": manifest.inputs,
        "config": manifest.config,
        "output": manifest.output,
        "runtime": {
            "type": runtime.type,
            "entry": spec.entry,
            "command": list(runtime.command),
            "protocol": None if runtime.type == "python" else spec.protocol,
            "isolation": runtime.isolation,
            "concurrency": runtime.concurrency,
            "blocking": runtime.blocking,
        },
        "effects": manifest.effects,
        "env": list(manifest.env),
        "secrets": list(manifest.secrets),
        "reads": None if manifest.reads is None else list(manifest.reads),
        "limits": dict(manifest.limits),
        "examples": [dict(example) for example in manifest.examples],
    }


# -- for people


def _lines(spec: NodeSpec) -> Iterator[str]:
    manifest = spec.manifest
    yield f"{spec.name} {manifest.version}" + (
        f" (also {', '.join(manifest.aliases)})" if manifest.aliases else ""
    )
    if manifest.description:
        yield f"  {manifest.description}"
    yield ""
    facts: dict[str, str] = {
        "from": spec.owner,
        "file": spec.file,
        "type": f"{manifest.runtime.type}, a container" if manifest.flow else manifest.runtime.type,
        "effects": manifest.effects,
        "secrets": ", ".join(manifest.secrets),
        "env": ", ".join(manifest.env),
        "reads": ", ".join(manifest.reads or ()),
        "cannot run": spec.cannot_run or "",
    }
    for key, value in facts.items():
        if value:
            yield f"  {key:<8} {value}"
    shown = (
        (("keys", manifest.config),)
        if manifest.flow
        else (("inputs", manifest.inputs), ("config", manifest.config))
    )
    for title, schema in (*shown, ("output", manifest.output)):
        body = list(schema_lines(schema, "    "))
        if body:
            yield ""
            yield f"  {title}"
            yield from body
    for number, example in enumerate(manifest.examples, start=1):
        yield ""
        yield f"  example: {example.get('name', number)}"
        for key in ("inputs", "config", "vars", "step", "output", "output_schema", "error", "status"):
            if key in example:
                yield f"    {key}: {json.dumps(example[key], ensure_ascii=False)}"


def schema_lines(schema: Any, indent: str) -> Iterator[str]:
    """A schema as lines to be read: one for each property, with its type, default and description."""
    if not isinstance(schema, Mapping) or not schema:
        return
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        yield f"{indent}{type_of(schema)}{_said(schema)}"
        return
    required = schema.get("required", ())
    width = max((len(str(name)) for name in properties), default=0)
    for name, inner in properties.items():
        mark = " (required)" if name in required else ""
        yield f"{indent}{name:<{width}}  {type_of(inner)}{mark}{_said(inner)}"
        if isinstance(inner, Mapping) and isinstance(inner.get("properties"), Mapping):
            yield from schema_lines(inner, indent + "  ")


def type_of(schema: Any) -> str:
    """A schema's type in a word or two."""
    if not isinstance(schema, Mapping):
        return "any" if schema is not False else "nothing"
    marked = schema.get("x-nodeling")
    if marked is not None:
        words = {
            "step": "a step, or a list of them",
            "steps": "a list of steps",
            "workflow": "a workflow's file",
        }
        return words.get(str(marked), f"a {marked}" if marked != "expression" else "an expression")
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"list of {type_of(schema['items'])}"
    if isinstance(kind, list):
        return " | ".join(str(word) for word in kind)
    if kind is not None:
        return str(kind)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = schema.get("anyOf") or schema.get("oneOf")
    return " | ".join(type_of(choice) for choice in choices) if isinstance(choices, list) else "any"


def _said(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return ""
    said = f" = {json.dumps(schema['default'], ensure_ascii=False)}" if "default" in schema else ""
    text = str(schema.get("description", ""))
    return f"{said}: {text}" if text else said
