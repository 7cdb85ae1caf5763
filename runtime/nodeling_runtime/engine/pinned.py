"""What a run holds on to: its workflow, the workflows that it includes, and which nodes they meant.

A run that is resumed runs the workflow that it was begun with, whatever has become of its file. Its nodes
are not kept, only told apart: by version, and by a hash of what their folders hold.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

import orjson

from nodeling.errors import ConfigError, StoreError
from nodeling.manifest import Version
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.engine.loaded import Loaded, load, registry_for
from nodeling_runtime.engine.run import all_steps
from nodeling_runtime.registry import NodeSpec, Registry
from nodeling_runtime.workflow.model import Scope, Workflow
from nodeling_runtime.writable import writable

Policy = Literal["same", "compatible", "any"]
POLICIES: tuple[Policy, ...] = ("same", "compatible", "any")
PASSED_OVER = frozenset({"__pycache__", "node_modules", "target", "build", "dist", "venv"})
LARGEST_FILE = 4 * 2**20  # of a larger one the size and the time stand for what it holds


def pinned_definition(loaded: Loaded, target: str | None = None) -> bytes:
    """What a run of this workflow holds on to.

    Args:
        loaded: The workflow.
        target: `module:name`, where it was made in Python.
    """
    workflow = loaded.ready()
    data = {
        "target": target,
        "name": loaded.document.name,
        "document": loaded.document.data,
        "base": None if loaded.base is None else str(loaded.base.resolve()),
        "folders": [str(folder.resolve()) for folder in loaded.folders],
        "included": {
            str(Path(one.document.name).resolve()): one.document.data for one in _included(workflow.scope)
        },
        "nodes": [_pin(spec) for spec in _specs(workflow)],
    }
    try:
        return orjson.dumps(data)
    except TypeError:
        raise ConfigError(
            f"the run cannot be kept: bytes in a path are no characters here: {writable(data['base'])}",
            code="document.surrogate",
            hint="set a locale such as C.UTF-8, or rename the folder",
        ) from None


def load_pinned(
    definition: bytes, more: Sequence[Path] = (), *, newest: bool = False
) -> tuple[Loaded, Mapping[str, Any]]:
    """A workflow as a run began with it, resolved against the nodes that there are now.

    Of a node of which the pinned version is still there no other is taken, unless the `newest` is wanted.

    Args:
        definition: What the run holds on to.
        more: Folders of nodes that this process has; the run's own may be on another machine.
        newest: Whether the newest nodes are wanted.
    """
    kept = orjson.loads(definition)
    base = None if kept["base"] is None else Path(kept["base"])
    folders = folders_of(kept, more)
    registry = registry_for(base, folders)
    if not newest:
        _prefer(registry, kept["nodes"])
    document = Document(kept["document"], kept["name"])
    return load(document, base=base, folders=folders, registry=registry, pinned=kept["included"]), kept


def folders_of(kept: Mapping[str, Any], more: Sequence[Path] = ()) -> list[Path]:
    """The folders of nodes that a run began with, and more, each once."""
    there = [Path(folder) for folder in kept["folders"]]
    named = [folder for folder in there if folder.is_dir() or not more]
    return list(dict.fromkeys([*named, *(folder.resolve() for folder in more)]))


def changed_nodes(loaded: Loaded, kept: Mapping[str, Any], policy: Policy) -> list[dict[str, Any]]:
    """The nodes that are not what they were, as far as the policy lets them be.

    Raises:
        StoreError: It does not (`run.blocked_version`).
    """
    before: dict[str, list[Mapping[str, Any]]] = {}
    for pin in kept["nodes"]:
        before.setdefault(pin["name"], []).append(pin)
    changed: list[dict[str, Any]] = []
    refused: list[str] = []
    for spec in _specs(loaded.ready()):
        now, was = _pin(spec), before.get(spec.name, [])
        if now in was:
            continue
        old = was[0] if was else None
        changed.append({"name": spec.name, "was": old, "is": now})
        if not _allows(policy, old, now):
            then = "none" if old is None else f"{old['version']} ({str(old['hash'])[:8]})"
            refused.append(f"{spec.name} is {now['version']} ({now['hash'][:8]}) and was {then}")
    if refused:
        raise StoreError(
            f"nodes have changed since the run began: {'; '.join(refused)}",
            code="run.blocked_version",
            hint="install what was there, or say --versions any",
            details={"nodes": changed},
        )
    return changed


def _allows(policy: Policy, was: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    if policy == "any":
        return True
    if policy == "same" or was is None:
        return False
    return Version.parse(was["version"]).major == Version.parse(now["version"]).major


def _prefer(registry: Registry, pins: list[Mapping[str, Any]]) -> None:
    wanted: dict[str, set[str]] = {}
    for pin in pins:
        wanted.setdefault(pin["name"], set()).add(pin["version"])
    for name, versions in wanted.items():
        there = registry.versions_of(name)
        kept = {version: spec for version, spec in there.items() if str(version) in versions}
        if len(kept) == len(versions):
            registry.keep_only(name, kept)


def _specs(workflow: Workflow) -> list[NodeSpec]:
    """Every node of a workflow once, by name; found out once for each that is loaded."""
    if workflow not in _SPECS:
        _SPECS[workflow] = _unique(workflow)
    return _SPECS[workflow]


def _unique(workflow: Workflow) -> list[NodeSpec]:
    specs = {id(spec): spec for spec in (step.spec for step in all_steps(workflow.scope, included=True))}
    unique = {(spec.name, spec.manifest.version): spec for spec in specs.values()}
    return [unique[key] for key in sorted(unique)]


def _included(scope: Scope) -> Iterator[Workflow]:
    seen: set[int] = set()
    for step in all_steps(scope, included=True):
        for slot in step.slots:
            if slot.workflow is not None and id(slot.workflow) not in seen:
                seen.add(id(slot.workflow))
                yield slot.workflow


def _pin(spec: NodeSpec) -> dict[str, Any]:
    return {"name": spec.name, "version": str(spec.manifest.version), "hash": hash_of_node(spec)}


def hash_of_node(spec: NodeSpec) -> str:
    """What a node's folder holds, or the code of one made in Python, as a hash."""
    state = hashlib.sha256()
    if spec.folder is not None:
        for file in sorted(_files(spec.folder)):
            status = file.stat()
            state.update(f"{file.relative_to(spec.folder)}\0{status.st_size}\0".encode())
            if status.st_size > LARGEST_FILE:
                state.update(str(status.st_mtime_ns).encode())
            else:
                state.update(file.read_bytes())
    elif spec.definition is not None:
        state.update(_source(spec.definition).encode())
    return state.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in PASSED_OVER or path.name.endswith(".pyc"):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _source(definition: Any) -> str:
    """The code of a function, read once: what runs does not follow its file."""
    try:
        function = inspect.unwrap(definition.function)
        if function not in _SOURCES:
            _SOURCES[function] = inspect.getsource(function)
        return _SOURCES[function]
    except (AttributeError, OSError, TypeError) as error:
        raise ConfigError(f"the code of a node cannot be read: {error}", code="run.code") from error


_SPECS: WeakKeyDictionary[Workflow, list[NodeSpec]] = WeakKeyDictionary()
_SOURCES: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
