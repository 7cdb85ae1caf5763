"""From `config.json` files to nodes that can be looked up by name and version.

Reading a manifest never imports its node. A manifest that is wrong, a plugin that is broken and
a name with two owners are recorded as problems with their place; everything else goes on working,
and only a workflow that asks for a troubled node hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodeling._dataclass import dataclass
from nodeling.errors import ConfigError, Fault, nearest
from nodeling.manifest import Manifest, Version, VersionRange, reference_parts
from nodeling.node import NodeDefinition
from nodeling_runtime.manifests import without_annotated
from nodeling_runtime.node_files import MANIFEST, manifest_in, names_in, node_folders
from nodeling_runtime.schemas import Validator, compile_schema
from nodeling_runtime.toolchains.catalogue import IN_PROCESS, no_toolchain, toolchain_for
from nodeling_runtime.workflow.duration import milliseconds

if TYPE_CHECKING:
    from nodeling.toolchain import Toolchain
    from nodeling_runtime.plugins import BrokenPlugin

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
    def places(self) -> tuple[Path, Path] | None:
        """Its folder without links, and where things made for it are kept; None when it has no folder.

        Looked for once: a node that is loaded stays in its project.
        """
        from nodeling_runtime.toolchains.plan import kept_folder

        if self.folder is None:
            return None
        folder = self.folder.resolve()
        return folder, kept_folder(folder)

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


class _Unread:
    """A folder of which only the names are known."""

    __slots__ = ("folder", "names", "owner")

    def __init__(self, folder: Path, owner: str) -> None:
        self.folder = folder
        self.owner = owner
        self.names = names_in(folder)


class Registry:
    """Every node that was found, and everything that was wrong while looking.

    Of a folder the names alone are read at first. Its manifest is read and judged when somebody asks for one
    of them, or for all there is: a workflow pays for the nodes that it uses, and finds what it would have
    found had all been read in their order.
    """

    def __init__(self) -> None:
        self.broken: list[BrokenPlugin] = []
        self._specs: dict[str, dict[Version, NodeSpec]] = {}
        self._clashes: dict[tuple[str, Version], list[NodeSpec]] = {}
        self._faults: list[Fault] = []
        self._faulty: dict[str, Fault] = {}
        self._folders: set[tuple[int, int]] = set()  # a folder may be reached by several ways
        self._unread: list[_Unread] = []

    @property
    def specs(self) -> dict[str, dict[Version, NodeSpec]]:
        """The nodes by name and version."""
        self._read_all()
        return self._specs

    @property
    def clashes(self) -> dict[tuple[str, Version], list[NodeSpec]]:
        """Names and versions that have two owners and more."""
        self._read_all()
        return self._clashes

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with nodes that were found."""
        self._read_all()
        return self._faults

    @property
    def faulty(self) -> dict[str, Fault]:
        """What keeps a node from being used, by the name that its folder bears."""
        self._read_all()
        return self._faulty

    def versions_of(self, name: str) -> dict[Version, NodeSpec]:
        """The nodes of one name; none when nobody has it."""
        self._read_named({name})
        return self._specs.get(name, {})

    def keep_only(self, name: str, versions: Mapping[Version, NodeSpec]) -> None:
        """Forget all other nodes of a name."""
        self._read_named({name})
        self._specs[name] = dict(versions)

    def add(self, spec: NodeSpec) -> None:
        """Register a node under its name and its aliases."""
        names = (spec.name, *spec.manifest.aliases)
        self._read_named(set(names))
        self._add(spec, names)

    def _add(self, spec: NodeSpec, names: Iterable[str]) -> None:
        for name in dict.fromkeys(names):  # an alias may repeat another, or the name
            versions = self._specs.setdefault(name, {})
            version = spec.manifest.version
            held = versions.get(version)
            if held is None:
                versions[version] = spec
                continue
            clash = self._clashes.setdefault((name, version), [held])
            clash.append(spec)
            owners = " and ".join(f"{one.owner} ({one.file})" for one in clash)
            self._faults.append(
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
        self.keep_only(spec.name, {spec.manifest.version: spec})
        for key in [key for key in self._clashes if key[0] == spec.name]:
            del self._clashes[key]

    def add_folder(self, root: Path, owner: str) -> None:
        """Register every node folder below `root`."""
        for folder in node_folders(root):
            status = folder.stat()
            if (status.st_dev, status.st_ino) not in self._folders:
                self._folders.add((status.st_dev, status.st_ino))
                self._unread.append(_Unread(folder, owner))

    def add_fault(self, fault: Fault) -> None:
        """Note what is wrong with something that was to be registered."""
        self._faults.append(fault)

    def _read_named(self, names: set[str]) -> None:
        """Read what may bear one of these names, or another name of what does: each name's order is kept."""
        while True:
            wanted = [one for one in self._unread if one.names is None or not names.isdisjoint(one.names)]
            reached = names.union(*(one.names for one in wanted if one.names is not None))
            if reached == names:
                break
            names = reached
        if wanted:
            taken = set(map(id, wanted))
            self._unread = [one for one in self._unread if id(one) not in taken]
            self._read(wanted)

    def _read_all(self) -> None:
        if self._unread:
            wanted, self._unread = self._unread, []
            self._read(wanted)

    def _read(self, wanted: Iterable[_Unread]) -> None:
        for one in wanted:
            try:
                spec = read_node(one.folder, one.owner, self._faults)
            except ConfigError as error:
                found = error.in_file(str(one.folder))
                self._faults.extend(found)
                for fault in found[:1]:
                    self._faulty[one.folder.name.partition("@")[0].replace("_", "-")] = fault
            else:
                self._add(spec, (spec.name, *spec.manifest.aliases))

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
        versions = self.versions_of(name)
        if not versions:
            return self._unknown(name)
        fitting = [version for version in versions if span.contains(version)]
        if not fitting:
            there = ", ".join(str(version) for version in sorted(versions))
            return Fault(
                "registry.version", f"no version of {name!r} satisfies {wanted!r}", hint=f"there is {there}"
            )
        best = max(fitting)
        clash = self._clashes.get((name, best))
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
        said = f"{owner} registers a {type(target).__name__}; give a folder or a @node function"
        registry.add_fault(Fault("plugin.register", said))


def read_node(folder: Path, owner: str, warnings: list[Fault] | None = None) -> NodeSpec:
    """Read one node folder.

    Raises:
        ConfigError: Its manifest is not well formed; `faults` lists every reason.
    """
    manifest, found = manifest_in(folder)
    if warnings is not None:
        warnings.extend(found)
    return NodeSpec(manifest, owner, folder)
