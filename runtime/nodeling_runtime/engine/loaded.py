"""A workflow made ready: its document, the nodes it was resolved against, and all that is wrong with it.

Nothing is run here and no node is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.errors import Fault, PluginError
from nodeling.node import NodeDefinition
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.expressions.function_table import ExpressionFunction, FunctionTable
from nodeling_runtime.expressions.functions import BUILTINS
from nodeling_runtime.formats import Reading, nodes_of, notes_of, open_workflow
from nodeling_runtime.project import project_root
from nodeling_runtime.registry import Registry, build_registry
from nodeling_runtime.workflow.check import check_workflow
from nodeling_runtime.workflow.load import load_workflow, raise_faults
from nodeling_runtime.workflow.model import Workflow


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document, the nodes it was resolved against, and all that is wrong with it."""

    document: Document
    registry: Registry
    workflow: Workflow | None
    faults: list[Fault]
    functions: FunctionTable
    base: Path | None = None  # the folder that it was resolved from
    folders: tuple[Path, ...] = ()  # of nodes, beside those of that folder's project

    def ready(self) -> Workflow:
        """The workflow, when nothing is wrong with it.

        Raises:
            ConfigError: It has faults; all of them are listed.
        """
        raise_faults(self.faults, self.document.name)
        if self.workflow is None:
            raise AssertionError("a document without faults is a workflow")
        return self.workflow


def function_table() -> FunctionTable:
    """The expression functions, those of plugins included."""
    from nodeling_runtime import plugins
    from nodeling_runtime.quickjs.engine import javascript_function

    engine = javascript_function()
    table = BUILTINS if engine is None else BUILTINS.extended([engine])
    for name, function, options in plugins.expression_functions():
        try:
            table = table.extended([_function(name, function, options)])
        except PluginError as error:
            broken = plugins.BrokenPlugin(name, str(options.get("owner", "")), str(error))
            plugins.load_plugins().broken.append(broken)
    return table


def _function(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> ExpressionFunction:
    least = int(options.get("min_args", 1))
    most = options.get("max_args", least)
    owner = str(options.get("owner", "a plugin"))
    doc = str(options.get("doc", ""))
    return ExpressionFunction(name, function, least, most, doc, owner=owner, is_added=True)


def registry_for(base: Path | None, folders: Sequence[Path] = (), *, installed: bool = True) -> Registry:
    """The nodes a workflow in `base` may use: installed ones, the project's, and those of `folders`."""
    here = (base or Path.cwd()).resolve()
    near = [here / "nodes", project_root(here) / "nodes"]
    return build_registry(
        [path for path in near if path.is_dir()] + [Path(f) for f in folders], installed=installed
    )


def load(
    document: Document,
    *,
    base: Path | None = None,
    folders: Sequence[Path] = (),
    definitions: Mapping[str, NodeDefinition] | None = None,
    registry: Registry | None = None,
    strict: bool = False,
    pinned: Mapping[str, Any] | None = None,
    resolved: Callable[[Workflow], None] | None = None,
) -> Loaded:
    """Resolve and check a document; nothing is run and no node is imported.

    Args:
        document: The workflow.
        base: The folder whose project's nodes it may use.
        folders: More folders of nodes.
        definitions: Nodes made in Python.
        registry: The nodes, instead of looking for them.
        strict: Whether doubts are said too.
        pinned: Documents that it includes, by file, as they were when a run began.
        resolved: Told of a workflow that is read without a fault, before it is checked.
    """
    folders = [*folders, *nodes_of(document)]
    known = registry or registry_for(base, folders)
    for definition in (definitions or {}).values():
        known.add_own(definition)
    functions = function_table()
    workflow, faults = load_workflow(document, known, functions, pinned)
    faults = [*notes_of(document), *faults]
    if workflow is not None:
        if resolved is not None and not any(fault.severity == "error" for fault in faults):
            resolved(workflow)
        faults = [*faults, *check_workflow(workflow, strict=strict)]
    faults = sorted(faults, key=lambda fault: (fault.file or "", fault.line or 0, fault.column or 0))
    return Loaded(document, known, workflow, faults, functions, base, tuple(Path(one) for one in folders))


def load_file(
    path: Path,
    folders: Sequence[Path] = (),
    *,
    strict: bool = False,
    reading: Reading | None = None,
    resolved: Callable[[Workflow], None] | None = None,
) -> Loaded:
    """Load a workflow file, of this system or of another one.

    Raises:
        ConfigError: It is not there, or cannot be read as a document.
    """
    document = open_workflow(path, reading)
    return load(document, base=path.parent, folders=folders, strict=strict, resolved=resolved)
