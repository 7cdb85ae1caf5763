"""The only place that touches pluggy and entry points; everything else gets typed functions.

Discovery never imports a node. Entry points of `nodeling.nodes` are located on disk; hook modules
(`nodeling`) are imported once, when somebody first asks for hooks, and one that fails is recorded
with its traceback instead of stopping the others.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling_runtime import installed

if TYPE_CHECKING:
    from nodeling.formats import Format
    from nodeling_runtime.installed import EntryPoint

NODES_GROUP = "nodeling.nodes"
COMMANDS_GROUP = "nodeling.commands"
HOOKS_GROUP = "nodeling"
RESTRICT = "NODELING_PLUGINS"  # a comma-separated list of distributions; unset: all of them


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be used, and why."""

    name: str
    distribution: str
    reason: str
    traceback: str = ""

    def to_json(self) -> dict[str, str]:
        """The plugin as `nodectl nodes list --json` and `doctor` show it."""
        return {
            "plugin": self.name,
            "distribution": self.distribution,
            "reason": self.reason,
            "traceback": self.traceback,
        }


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """A folder that holds node folders, and the distribution that brought it."""

    path: Path
    distribution: str


@dataclass(slots=True)
class Plugins:
    """The hooks of all plugins that could be loaded, and those that could not."""

    hooks: Any
    broken: list[BrokenPlugin] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)


def entry_points(group: str) -> Iterator[tuple[str, str, EntryPoint]]:
    """`(name, distribution, entry point)` of a group, each once, in a stable order."""
    allowed = restriction()
    names = None if allowed is None else {name.strip() for name in allowed.split(",")}
    seen: set[tuple[str, str, str]] = set()
    found = []
    for point in installed.entry_points(group):
        owner = point.distribution
        key = (owner, point.name, point.value)
        if key in seen or (names is not None and owner not in names):
            continue
        seen.add(key)
        found.append((point.name, owner, point))
    return iter(sorted(found, key=lambda item: (item[1], item[0])))


def node_folders() -> tuple[list[NodeFolder], list[BrokenPlugin]]:
    """Where the installed packages keep their nodes, found without importing them."""
    folders: list[NodeFolder] = []
    broken: list[BrokenPlugin] = []
    for name, owner, point in entry_points(NODES_GROUP):
        path = locate(point.module)
        if path is None:
            broken.append(BrokenPlugin(name, owner, f"package {point.value!r} is not where it says it is"))
        else:
            folders.append(NodeFolder(path, owner))
    return folders, broken


def locate(package: str) -> Path | None:
    """The folder of a package. Only the top-level name is looked up, so nothing is imported."""
    top, *rest = package.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    for root in spec.submodule_search_locations:
        path = Path(root, *rest)
        if path.is_dir():
            return path
    return None


def load_plugins() -> Plugins:
    """Import every hook module, once per process and restriction."""
    return _load(restriction())


def restriction() -> str | None:
    """Whose plugins are used: names of distributions with commas between; None for everybody's."""
    return os.environ.get(RESTRICT)


@functools.cache
def _load(_restriction: str | None) -> Plugins:
    import pluggy

    from nodeling import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager.hook)
    for name, owner, point in entry_points(HOOKS_GROUP):
        plugins.owners[f"{owner}:{name}"] = owner
        try:
            manager.register(point.load(), name=f"{owner}:{name}")
        except Exception as error:  # a stranger's module may raise anything
            plugins.broken.append(
                BrokenPlugin(name, owner, f"{type(error).__name__}: {error}", traceback.format_exc())
            )
    return plugins


def _each(hook: str, register: Callable[[str], Callable[..., None]]) -> Iterable[BrokenPlugin]:
    """Call one plugin's hook at a time, so that a failing one is named and the others go on."""
    plugins = load_plugins()
    for implementation in getattr(plugins.hooks, hook).get_hookimpls():
        owner = plugins.owners.get(implementation.plugin_name, implementation.plugin_name)
        try:
            implementation.function(*[register(owner)][: len(implementation.argnames)])
        except Exception as error:  # as above
            yield BrokenPlugin(
                implementation.plugin_name, owner, f"{type(error).__name__}: {error}", traceback.format_exc()
            )


def registered_nodes() -> tuple[list[tuple[str, object]], list[BrokenPlugin]]:
    """`(distribution, folder or definition)` for what hooks register."""
    found: list[tuple[str, object]] = []
    broken = list(
        _each("nodeling_register_nodes", lambda owner: lambda target: found.append((owner, target)))
    )
    return found, [*load_plugins().broken, *broken]


def expression_functions() -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """`(name, function, options)` for the functions plugins add to the expression language."""
    found: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []

    def register_for(owner: str) -> Callable[..., None]:
        def register(name: str, function: Callable[..., Any], **options: Any) -> None:
            found.append((name, function, {**options, "owner": owner}))

        return register

    load_plugins().broken.extend(_each("nodeling_register_expression_functions", register_for))
    return found


def template_folders() -> list[tuple[str, Path]]:
    """`(distribution, folder of templates)`."""
    found: list[tuple[str, Path]] = []
    load_plugins().broken.extend(
        _each("nodeling_register_templates", lambda owner: lambda path: found.append((owner, Path(path))))
    )
    return found


def toolchains() -> list[tuple[str, object]]:
    """`(distribution, toolchain)` for the languages that plugins bring."""
    found: list[tuple[str, object]] = []
    load_plugins().broken.extend(
        _each("nodeling_register_toolchains", lambda owner: lambda target: found.append((owner, target)))
    )
    return found


def formats() -> list[tuple[str, Format]]:
    """`(distribution, format)` for the workflow files of other systems that plugins read."""
    found: list[tuple[str, Format]] = []
    load_plugins().broken.extend(
        _each("nodeling_register_formats", lambda owner: lambda format_: found.append((owner, format_)))
    )
    return found


def listeners() -> list[Callable[[Mapping[str, Any]], None]]:
    """The event listeners of all plugins."""
    found: list[Callable[[Mapping[str, Any]], None]] = []
    load_plugins().broken.extend(_each("nodeling_register_listeners", lambda owner: found.append))
    return found


def resolve_secret(name: str) -> str | None:
    """What the first plugin that knows the secret says."""
    value = load_plugins().hooks.nodeling_resolve_secret(name=name)
    return None if value is None else str(value)


def commands() -> dict[str, tuple[str, Callable[[], Any]]]:
    """`{name: (distribution, loader)}` of commands that packages add to `nodectl`."""
    return {name: (owner, point.load) for name, owner, point in entry_points(COMMANDS_GROUP)}
