"""From `config.json` files to nodes that can be looked up by name and version.

Reading a manifest never imports its node. A manifest that is wrong, a plugin that is broken and
a name with two owners are recorded as problems with their place; everything else goes on working,
and only a workflow that asks for a troubled node hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodeling.errors import ConfigError, Fault, nearest
from nodeling.manifest import Manifest, Version, VersionRange, reference_parts
from nodeling.node import NodeDefinition
from nodeling_runtime.documents.reader import Document, read_document
from nodeling_runtime.manifests import normalise, well_formed, without_annotated
from nodeling_runtime.schemas import Validator, compile_schema
from nodeling_runtime.toolchains.catalogue import IN_PROCESS, no_toolchain, toolchain_for
from nodeling_runtime.workflow.duration import milliseconds

if TYPE_CHECKING:
    from nodeling.toolchain import Toolchain
    from nodeling_runtime.plugins import BrokenPlugin

MANIFEST = "config.json"
SEARCH_DEPTH = 3  # nodes/<group>/<name>@<version>/config.json is the deepest layout in use
PROJECT = "project"

Home = Literal["inprocess", "worker", "exec"]


@dataclass(frozen=True, eq=False)
class NodeSpec:
    """A node as the engine knows it: its contract, where it lives and who brought it."""

    manifest: Manifest
    owner: str
    folder: Path | None = None
    definition: NodeDefinition | None = None
    declared_as: NodeSpec | None = None  # the node itself, where this is it under a step's lower limits

    @property
    def name(self) -> str:
        """The node's name, without its version."""
        return self.manifest.name

    @property
    def is_local(self) -> bool:
        """Whether the project itself holds the node."""
        return self.owner == PROJECT

    @property
    def file(self) -> str:
        """Where its contract is written."""
        if self.folder is not None:
            return str(self.folder / MANIFEST)
        return f"code of {self.owner}"

    @cached_property
    def toolchain(self) -> Toolchain | None:
        """How its language is built and launched out of process; None when nobody brings that language."""
        return toolchain_for(self.manifest.runtime.type)

    @cached_property
    def entry(self) -> str:
        """The file that holds it; empty when its command says all."""
        return self.manifest.runtime.entry or (self.toolchain.entry if self.toolchain is not None else "")

    @cached_property
    def protocol(self) -> Literal["exec", "nsp"]:
        """What it speaks out of process."""
        default = self.toolchain.protocol if self.toolchain is not None else "nsp"
        return self.manifest.runtime.protocol or default

    @cached_property
    def cannot_run(self) -> str | None:
        """Why no workflow can use this node here; None when it can."""
        runtime = self.manifest.runtime
        if runtime.type != IN_PROCESS and self.toolchain is None:
            return "; ".join(no_toolchain(runtime.type))
        if self.manifest.flow and self.runs_in != "inprocess":
            return "a container runs in the runtime's own process; leave `isolation` out"
        return None

    @cached_property
    def runs_in(self) -> Home:
        """Where its calls run: in this process, in a warm worker, or in a process for each call."""
        runtime = self.manifest.runtime
        if runtime.type == IN_PROCESS:
            return "inprocess" if runtime.isolation == "none" else "worker"
        return "worker" if self.protocol == "nsp" else "exec"

    @cached_property
    def in_worker(self) -> NodeSpec:
        """The same node, out of process."""
        if self.runs_in != "inprocess":
            return self
        runtime = replace(self.manifest.runtime, isolation="worker")
        return replace(self, manifest=replace(self.manifest, runtime=runtime), declared_as=self)

    @cached_property
    def timeout_ms(self) -> float | None:
        """How long one attempt may take; a step may ask for less."""
        timeout = self.manifest.timeout
        return None if timeout is None else milliseconds(timeout)

    @cached_property
    def _limited(self) -> dict[tuple[tuple[str, float], ...], NodeSpec]:
        return {}

    def limited(self, limits: Mapping[str, float]) -> NodeSpec:
        """The same node under lower limits; steps with equal ones share it, and so its workers."""
        key = tuple(sorted({**self.manifest.limits, **limits}.items()))
        if key not in self._limited:
            manifest = replace(self.manifest, limits=dict(key))
            self._limited[key] = replace(self, manifest=manifest, declared_as=self.declared_as or self)
        return self._limited[key]

    @cached_property
    def inputs(self) -> Validator:
        """Judges what a call is given."""
        return compile_schema(self.manifest.inputs, where=f"{self.file}#/inputs")

    @cached_property
    def output(self) -> Validator:
        """Judges what a call returned."""
        return compile_schema(self.manifest.output, where=f"{self.file}#/output")

    @cached_property
    def config(self) -> Validator:
        """Judges a step's `config`."""
        return compile_schema(self.manifest.config, where=f"{self.file}#/config")

    @cached_property
    def keys(self) -> Validator:
        """Judges a container's keys; what holds children or kept expressions passes."""
        return compile_schema(without_annotated(self.manifest.config), where=f"{self.file}#/config")


@dataclass
class Registry:
    """Every node that was found, and everything that was wrong while looking."""

    specs: dict[str, dict[Version, NodeSpec]] = field(default_factory=dict)
    clashes: dict[tuple[str, Version], list[NodeSpec]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: list[BrokenPlugin] = field(default_factory=list)
    faulty: dict[str, Fault] = field(default_factory=dict)
    _folders: set[Path] = field(default_factory=set)

    def add(self, spec: NodeSpec) -> None:
        """Register a node under its name and its aliases."""
        for name in (spec.name, *spec.manifest.aliases):
            versions = self.specs.setdefault(name, {})
            version = spec.manifest.version
            held = versions.get(version)
            if held is None:
                versions[version] = spec
                continue
            clash = self.clashes.setdefault((name, version), [held])
            clash.append(spec)
            owners = " and ".join(f"{one.owner} ({one.file})" for one in clash)
            self.faults.append(
                Fault(
                    "registry.duplicate",
                    f"node {name}@{version} has two owners: {owners}",
                    file=spec.file,
                    hint="rename one of them, or give it another version",
                )
            )

    def add_own(self, definition: NodeDefinition) -> None:
        """Register a function that the workflow itself brings: under its name nobody else is meant."""
        from nodeling_runtime.codefirst import manifest_of

        spec = NodeSpec(manifest_of(definition), PROJECT, definition=definition)
        self.specs[spec.name] = {spec.manifest.version: spec}
        for key in [key for key in self.clashes if key[0] == spec.name]:
            del self.clashes[key]

    def add_folder(self, root: Path, owner: str) -> None:
        """Register every node folder below `root`."""
        for folder in node_folders(root):
            real = folder.resolve()
            if real in self._folders:
                continue
            self._folders.add(real)
            try:
                self.add(read_node(folder, owner, self.faults))
            except ConfigError as error:
                self.faults.extend(error.faults)
                for fault in error.faults[:1]:
                    self.faulty[folder.name.partition("@")[0].replace("_", "-")] = fault

    def names(self) -> list[str]:
        """Every name, aliases included."""
        return sorted(self.specs)

    def each(self) -> list[NodeSpec]:
        """Every node once, by name and version."""
        unique = {id(spec): spec for versions in self.specs.values() for spec in versions.values()}
        return sorted(unique.values(), key=lambda spec: (spec.name, spec.manifest.version))

    def find(self, reference: str) -> NodeSpec | Fault:
        """The newest node that `name`, `name@1.2.0` or `name@^1` means, or why there is none."""
        name, wanted = reference_parts(reference)
        try:
            span = VersionRange.parse(wanted)
        except ValueError as error:
            return Fault("registry.version", f"{reference!r}: {error}")
        versions = self.specs.get(name)
        if versions is None:
            return self._unknown(name)
        fitting = [version for version in versions if span.contains(version)]
        if not fitting:
            there = ", ".join(str(version) for version in sorted(versions))
            return Fault(
                "registry.version", f"no version of {name!r} satisfies {wanted!r}", hint=f"there is {there}"
            )
        best = max(fitting)
        clash = self.clashes.get((name, best))
        if clash:
            owners = " and ".join(f"{spec.owner} ({spec.file})" for spec in clash)
            return Fault(
                "registry.duplicate", f"{name}@{best} has two owners: {owners}", hint="rename one of them"
            )
        return versions[best]

    def _unknown(self, name: str) -> Fault:
        fault = self.faulty.get(name)
        if fault is not None:
            return Fault(
                "registry.unknown",
                f"node {name!r} cannot be used: {fault.message}",
                hint=f"mend {fault.file}",
            )
        near = nearest(name, self.specs)
        hint = f"did you mean {near!r}?" if near else "`nodectl nodes list` shows what there is"
        return Fault("registry.unknown", f"no node is called {name!r}", hint=hint)


def build_registry(folders: Iterable[Path] = (), *, installed: bool = True) -> Registry:
    """Find the nodes of the installed packages, of hooks and of the given folders."""
    registry = Registry()
    if installed:
        from nodeling_runtime import plugins  # looking for packages loads sockets; a registry alone does not

        found, registry.broken = plugins.node_folders()
        for folder in found:
            registry.add_folder(folder.path, folder.distribution)
        registered, broken = plugins.registered_nodes()
        registry.broken.extend(broken)
        for owner, target in registered:
            register(registry, target, owner)
    for path in folders:
        registry.add_folder(path, PROJECT)
    return registry


def register(registry: Registry, target: object, owner: str) -> None:
    """Register a folder of nodes, or a function under `@node`."""
    if isinstance(target, NodeDefinition):
        from nodeling_runtime.codefirst import manifest_of

        registry.add(NodeSpec(manifest_of(target), owner, definition=target))
    elif isinstance(target, (str, Path)):
        registry.add_folder(Path(target), owner)
    else:
        registry.faults.append(
            Fault(
                "plugin.register",
                f"{owner} registers a {type(target).__name__}; give a folder or a @node function",
            )
        )


def node_folders(root: Path) -> Iterator[Path]:
    """The folders below `root` (itself included) that hold a manifest."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            if (folder / MANIFEST).is_file():
                yield folder
            elif folder.is_dir():
                below.extend(
                    child
                    for child in sorted(folder.iterdir())
                    if child.is_dir() and child.name[0] not in "._" and child.name != "node_modules"
                )
        level = below


def read_node(folder: Path, owner: str, warnings: list[Fault] | None = None) -> NodeSpec:
    """Read one node folder.

    Raises:
        ConfigError: Its manifest is not well formed; `faults` lists every reason.
    """
    status = (folder / MANIFEST).stat()
    stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _MANIFESTS.get(folder)
    if known is None or known[0] != stamp:
        known = _MANIFESTS[folder] = (stamp, *_read_manifest(folder))
    _, manifest, found = known
    if warnings is not None:
        warnings.extend(found)
    return NodeSpec(manifest, owner, folder)


# A process that runs many workflows reads each manifest once, until its file changes.
_MANIFESTS: dict[Path, tuple[tuple[int, int, int], Manifest, list[Fault]]] = {}


def _read_manifest(folder: Path) -> tuple[Manifest, list[Fault]]:
    """A folder's manifest, and warnings about it."""
    document: Document = read_document(folder / MANIFEST)
    data: Mapping[str, Any] = normalise(document.data, folder) if isinstance(document.data, dict) else {}
    faults = well_formed(document, data)
    if faults:
        raise ConfigError(f"{document.name} is no node manifest", code="manifest.invalid", faults=faults)
    manifest = Manifest.from_data(data)
    bare, _, version = folder.name.partition("@")
    if "version" not in data and version:
        manifest = replace(manifest, version=Version.parse(version))
    short = manifest.name.rpartition("/")[2]
    if bare.replace("_", "-") == short.replace("_", "-"):
        return manifest, []
    said = f"folder {folder.name!r} holds the node {manifest.name!r}"
    hint = f"rename the folder to {short!r}"
    return manifest, [document.fault("manifest.folder", said, "/name", hint=hint, severity="warning")]
