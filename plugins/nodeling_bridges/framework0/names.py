"""The names by which scriptlets import what they are written against, while a recipe runs.

Three modules are ours, whatever lies in the recipe's folders. The packages they stand in are the recipe's own
where it has them, so that `scriptlets.framework` and `scriptlets.tutorial` go together.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from nodeling_bridges.framework0 import context, scriptlets

__all__ = ["NAMES", "in_place"]

NAMES: dict[str, dict[str, Any]] = {
    "scriptlets.framework": {
        "BaseScriptlet": scriptlets.BaseScriptlet,
        "register_scriptlet": scriptlets.register_scriptlet,
    },
    "orchestrator.context": {"Context": context.Context},
    "src.core.logger": {"get_logger": scriptlets.get_logger},
}
_PACKAGES = ("scriptlets", "orchestrator", "src", "src.core")


class _Ours(Loader):
    """Fills a module with what stands under its name."""

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__.update(NAMES.get(module.__name__, {}))


class _Modules(MetaPathFinder):
    """Finds our modules, before anybody else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, _Ours()) if fullname in NAMES else None


class _Packages(MetaPathFinder):
    """Finds the packages around them, after everybody else has failed to."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _PACKAGES:
            return None
        found = ModuleSpec(fullname, _Ours(), is_package=True)
        found.submodule_search_locations = []
        return found


@contextmanager
def in_place() -> Iterator[None]:
    """Inside the block the names can be imported; afterwards they, and what imported them, are gone."""
    finders = (_Modules(), _Packages())
    before = set(sys.modules)
    sys.meta_path.insert(0, finders[0])
    sys.meta_path.append(finders[1])
    try:
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        tops = {name.partition(".")[0] for name in _PACKAGES}
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in tops:
                del sys.modules[name]
