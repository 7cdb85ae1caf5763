"""Finds a node's code in its folder, as the runtime does for nodes in its own process.

A folder is loaded as a package of its own, named after its place, so a node imports its neighbours
with `from . import helpers`.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec  # as in importlib.util, which imports much more
from _frozen_importlib_external import spec_from_file_location

from nodeling.errors import PluginError
from nodeling.implementation import Implementation, kind_of, the_node

TYPE_CHECKING = False  # importing typing would cost a worker a tenth of its start
if TYPE_CHECKING:
    import types

__all__ = ["load"]

_FUNCTION = type(lambda: None)


def load(folder: str, entry: str, name: str) -> Implementation:
    """The node that `entry` (a file of the folder, a module, or `module:attribute`) holds.

    Raises:
        PluginError: There is no such file, or nothing in it is a node.
    """
    if entry.endswith(".py"):
        where = os.path.join(folder, entry)
        found = the_node(_module_of(folder, entry), where)
    else:
        import importlib

        module_name, _, attribute = entry.partition(":")
        module = importlib.import_module(module_name)
        found = getattr(module, attribute) if attribute else the_node(module, module_name)
    if type(found) is _FUNCTION:
        return Implementation(found, kind_of(found))
    from nodeling.node import implementation_of

    implementation = implementation_of(found, f"{name} ({entry})")
    if implementation.kind == "flow":
        raise PluginError(f"{name} is a container, and containers run in the runtime's process")
    return implementation


def _digest(text: str) -> str:
    """Twelve hexadecimal digits that tell folders apart; the host's are the same."""
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # hashlib loads all of OpenSSL
    except ImportError:
        from hashlib import sha256
    return str(sha256(text.encode()).hexdigest()[:12])


def _module_of(folder: str, entry: str) -> types.ModuleType:
    path = os.path.join(os.path.realpath(folder), entry)
    if not os.path.isfile(path):
        raise PluginError(f"{path} does not exist", hint="`runtime.entry` names the file that holds the node")
    package = f"nodeling_node_{_digest(os.path.realpath(folder))}"
    holder = type(sys)(package)
    holder.__path__ = [os.path.realpath(folder)]
    sys.modules[package] = holder
    name = f"{package}.{os.path.splitext(os.path.basename(entry))[0]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
