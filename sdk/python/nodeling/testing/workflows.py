"""A whole workflow, run in memory, with fakes in the place of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError
from nodeling.manifest import reference_parts
from nodeling.results import RunResult
from nodeling.testing.fake import as_definition
from nodeling.workflow import Workflow, load

__all__ = ["run_workflow"]


def run_workflow(
    source: Workflow | Mapping[str, Any] | Path | str,
    inputs: Any = None,
    *,
    nodes: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
    timeout: float | str | None = 60,
    **options: Any,
) -> RunResult:
    """Run a workflow to its end, in memory.

    Args:
        source: A workflow, a document, or a file.
        inputs: The run's input, `ctx.request.body`.
        nodes: What stands in for nodes, by their names: a `Fake`, a function, or a value that every
            call gives. Installed nodes and those of the project are hidden by it.
        folders: More folders to look for nodes in.
        timeout: Seconds after which the run is given up, or a text with a unit.
        **options: As `Workflow.run` takes them: `parameters`, `request`, `max_concurrent`, …

    Raises:
        ConfigError: The document has faults, or asks for a faked node by version.
    """
    given = source if isinstance(source, Workflow) else load(source)
    workflow = Workflow.from_document(given.document, path=given.path, nodes=[*given.node_folders, *folders])
    workflow.definitions.update(given.definitions)
    for name, target in (nodes or {}).items():
        _refuse_versions(name, given.document)
        workflow.definitions[name] = as_definition(name, target)
    return workflow.run(inputs, timeout=timeout, **options)


def _refuse_versions(name: str, document: Mapping[str, Any]) -> None:
    for reference in _references(document):
        bare, wanted = reference_parts(reference)
        if bare == name and wanted:
            raise ConfigError(
                f"the fake for {name!r} cannot stand in for {reference!r}",
                code="testing.fake",
                hint=f"refer to {name!r} without a version in the workflow under test",
            )


def _references(value: Any) -> Iterator[str]:
    """Every node that a step of the document names."""
    if isinstance(value, Mapping):
        if isinstance(value.get("node"), str) and "name" in value:
            yield value["node"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _references(item)
