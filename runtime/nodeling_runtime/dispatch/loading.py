"""Importing a node's code, at its first call and no sooner.

A folder is loaded as a package of its own, named after its place, so that the `helpers.py` of two
nodes never meet: a node imports its neighbours with `from . import helpers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
import types
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from nodeling.errors import PluginError
from nodeling.implementation import the_node
from nodeling.node import Implementation, implementation_of
from nodeling_runtime.registry import NodeSpec

_LOADED: WeakKeyDictionary[NodeSpec, Implementation] = WeakKeyDictionary()
_LOCKS: dict[str, threading.RLock] = {}  # one for each package: a node that hangs on import hinders no other
_LOCK = threading.Lock()
_STAMPS: dict[str, dict[str, int]] = {}  # package -> its files as they were when it was loaded


def load_implementation(spec: NodeSpec) -> Implementation:
    """The node's code, imported once per process.

    Raises:
        PluginError: There is no such file, or nothing in it is a node.
    """
    known = _LOADED.get(spec)
    if known is not None:
        return known
    package = _package_of(spec.folder) if spec.folder is not None else spec.name
    with _LOCK:
        lock = _LOCKS.setdefault(package, threading.RLock())
    with lock:
        if spec not in _LOADED:
            _LOADED[spec] = _load(spec)
        return _LOADED[spec]


def loaded_implementation(spec: NodeSpec) -> Implementation | None:
    """The node's code, when that needs no import."""
    return _LOADED.get(spec)


def _load(spec: NodeSpec) -> Implementation:
    if spec.definition is not None:
        return spec.definition.implementation()
    if spec.folder is None:
        raise PluginError(f"node {spec.name!r} has no code")
    entry = spec.manifest.runtime.entry
    found = node_in(spec.folder, entry)
    implementation = implementation_of(found, f"{spec.name} ({entry})")
    blocking = implementation.blocking and spec.manifest.runtime.blocking
    return Implementation(implementation.call, implementation.kind, blocking, implementation.takes_context)


def node_in(folder: Path, entry: str) -> Any:
    """Import a node's code and find the one thing in it that is a node.

    Raises:
        PluginError: There is no such file, or nothing in it is a node, or more than one thing is.
    """
    if entry.endswith(".py"):
        return the_node(_folder_module(folder, entry), f"{folder / entry}")
    name, _, attribute = entry.partition(":")
    module = importlib.import_module(name)
    return getattr(module, attribute) if attribute else the_node(module, name)


def _folder_module(folder: Path, entry: str) -> types.ModuleType:
    path = folder / entry
    if not path.is_file():
        raise PluginError(f"{path} does not exist", hint="`runtime.entry` names the file that holds the node")
    package = _package_of(folder)
    name = f"{package}.{path.stem}"
    if name in sys.modules and _STAMPS.get(package) == _stamps(package):
        return sys.modules[name]
    _forget(package)
    holder = types.ModuleType(package)
    holder.__path__ = [str(folder.resolve())]
    sys.modules[package] = holder
    module_spec = importlib.util.spec_from_file_location(name, folder.resolve() / entry)
    if module_spec is None or module_spec.loader is None:
        raise PluginError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException:
        _forget(package)
        raise
    _STAMPS[package] = _stamps(package)
    return module


def _package_of(folder: Path) -> str:
    return f"nodeling_node_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _modules(package: str) -> list[tuple[str, types.ModuleType]]:
    inside = f"{package}."
    return [(name, module) for name, module in list(sys.modules.items()) if name.startswith(inside)]


def _stamps(package: str) -> dict[str, int]:
    """Every file of a loaded package, and when it was last written."""
    files = [file for _, module in _modules(package) if (file := getattr(module, "__file__", None))]
    return {file: os.stat(file).st_mtime_ns if os.path.exists(file) else 0 for file in files}


def _forget(package: str) -> None:
    """Unload a package whose files have changed, its compiled ones too: those only count whole seconds."""
    for name, module in _modules(package):
        del sys.modules[name]
        cached = getattr(module, "__cached__", None)
        if cached:
            with contextlib.suppress(OSError):
                os.unlink(cached)
    sys.modules.pop(package, None)
    _STAMPS.pop(package, None)
    importlib.invalidate_caches()
