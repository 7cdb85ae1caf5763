"""`nodectl test`: the examples in a manifest, run as tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nodeling_runtime.cli.failure import EXIT_FAILED, EXIT_OK
from nodeling_runtime.cli.faults import print_faults
from nodeling_runtime.cli.inputs import Folder
from nodeling_runtime.cli.output import print_json, quiet_stdout, talk
from nodeling_runtime.cli.words import complete_nodes

if TYPE_CHECKING:
    from nodeling.errors import Fault
    from nodeling_runtime.examples import ExampleResult
    from nodeling_runtime.registry import NodeSpec

LONGEST_DIFF = 60


@click.command("test")
@click.argument("nodes", nargs=-1, shell_complete=complete_nodes)
@click.option("--nodes", "folders", multiple=True, type=Folder(), help="More node folders.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(nodes: tuple[str, ...], folders: tuple[Path, ...], as_json: bool) -> int:
    """Run the examples in the manifests of NODES as tests.

    NODES are names, or folders with a config.json. Without any, the nodes of the project are tested, and
    one that cannot be read is a failure. A node without examples is none, but it is said.
    """
    specs = chosen(nodes, folders)
    unbuilt = _build(specs)
    report: list[dict[str, Any]] = []
    for spec in specs:
        results = _run(spec, folders, unbuilt.get(spec.name))
        report.append(_entry(spec, results))
        if not as_json:
            _print(spec, results)
    total = _totals(report)
    unread = [] if nodes else _unread(folders)
    failed = bool(total["failed"] or unread)
    if as_json:
        faults = [fault.to_json() for fault in unread]
        print_json({"ok": not failed, **total, "nodes": report, "faults": faults})
    else:
        print_faults(unread)
        talk(_summary(total, len(specs)))
    return EXIT_FAILED if failed else EXIT_OK


def _unread(folders: Sequence[Path]) -> list[Fault]:
    """What keeps nodes of the project, or of the given folders, from being tested at all."""
    from nodeling_runtime.engine.loaded import registry_for
    from nodeling_runtime.project import project_root

    here = Path.cwd()
    homes = [folder.resolve() for folder in (here / "nodes", project_root(here) / "nodes", *folders)]
    return [
        fault
        for fault in registry_for(None, folders).faults
        if fault.severity == "error"
        and fault.file is not None
        and any(Path(fault.file).resolve().is_relative_to(home) for home in homes)
    ]


def _build(specs: Sequence[NodeSpec]) -> dict[str, str]:
    """Build once what the examples need; why not, by the names of those that could not be built."""
    wanted = [spec for spec in specs if spec.manifest.examples and spec.runs_in != "inprocess"]
    if not wanted:
        return {}
    from nodeling_runtime.cli.build import build

    return {entry["node"]: entry["error"]["message"] for entry in build(wanted) if entry["error"]}


def _run(spec: NodeSpec, folders: Sequence[Path], unbuilt: str | None) -> list[ExampleResult]:
    from nodeling_runtime.examples import ExampleResult, run_examples

    hindrance = spec.cannot_run or unbuilt
    if hindrance is not None and spec.manifest.examples:
        return [ExampleResult("all", False, 0.0, f"it cannot be run: {hindrance}")]
    with quiet_stdout():
        return list(run_examples(spec, folders))


def chosen(names: Sequence[str], folders: Sequence[Path]) -> list[NodeSpec]:
    """The nodes that were asked for, or those of the project."""
    from nodeling_runtime.engine.loaded import registry_for
    from nodeling_runtime.node_files import named_folder
    from nodeling_runtime.registry import PROJECT, read_node

    registry = registry_for(None, folders)
    if not names:
        return [spec for spec in registry.each() if spec.is_local]
    found = []
    for name in names:
        folder = named_folder(name)
        if folder is not None:
            found.append(read_node(folder, PROJECT))
        else:
            found.append(find_node(registry, name))
    return found


def find_node(registry: Any, name: str) -> NodeSpec:
    """A node by its reference.

    Raises:
        ConfigError: There is none; the nearest is named.
    """
    from nodeling.errors import ConfigError, Fault

    found: NodeSpec | Fault = registry.find(name)
    if not isinstance(found, Fault):
        return found
    faulty = registry.faulty.get(name)
    if faulty is not None:
        raise ConfigError(f"node {name!r} cannot be used", code="manifest.invalid", faults=[faulty])
    raise ConfigError(found.message, code=found.code, hint=found.hint)


def _entry(spec: NodeSpec, results: Sequence[ExampleResult]) -> dict[str, Any]:
    return {
        "node": spec.name,
        "version": str(spec.manifest.version),
        "file": spec.file,
        "examples": [result.to_json() for result in results],
    }


def _totals(report: Sequence[dict[str, Any]]) -> dict[str, int]:
    examples = [example for entry in report for example in entry["examples"]]
    passed = sum(1 for example in examples if example["passed"])
    return {
        "passed": passed,
        "failed": len(examples) - passed,
        "without_examples": sum(1 for entry in report if not entry["examples"]),
    }


def _print(spec: NodeSpec, results: Sequence[ExampleResult]) -> None:
    if not results:
        click.echo(f"{spec.name}: no examples")
    for result in results:
        mark = click.style("ok", fg="green") if result.passed else click.style("FAILED", fg="red", bold=True)
        click.echo(f"{spec.name}: {result.name}: {mark} ({result.duration_ms:.0f} ms)")
        if result.problem is not None:
            click.echo(f"  {result.problem}")
            for line in result.diff[:LONGEST_DIFF]:
                click.echo(f"    {line}")
            if len(result.diff) > LONGEST_DIFF:
                click.echo(f"    … and {len(result.diff) - LONGEST_DIFF} more lines; --json has them all")


def _summary(total: dict[str, int], nodes: int) -> str:
    if not nodes:
        return "no nodes to test: the project has none; name one, or create one with `nodectl create node`"
    said = f"{total['passed']} passed"
    if total["failed"]:
        said += f", {total['failed']} failed"
    if total["without_examples"]:
        count = total["without_examples"]
        said += f", {count} node{'' if count == 1 else 's'} without examples"
    return said
