"""Which module a recipe may name: one whose file lies in the recipe's own folders. Found before any import.

A recipe is data from whoever wrote it, and `module: os` would make it a program. So the file is looked for in
the recipe's folder and in those above it, up to the one that the run was started in, and what an import then
gives has to come from that file.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from nodeling.errors import NodeError, nearest
from nodeling_bridges.framework0.scriptlets import REGISTERED, BaseScriptlet

__all__ = ["Place", "folders_of", "found", "is_module", "is_of_python", "loaded", "scriptlet_in"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module is: its file, and the folder that its name begins in."""

    module: str
    root: Path
    file: Path


def is_module(name: str) -> bool:
    """Whether a text is the dotted name of a module."""
    return all(part.isidentifier() and part.isascii() for part in name.split("."))


def is_of_python(name: str) -> bool:
    """Whether a module is one of Python's own, or of this engine's."""
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names or top.startswith("nodeling")


def folders_of(recipe: Path, start: Path) -> list[Path]:
    """The folders that a recipe's modules may begin in: its own and those above it, up to `start`."""
    here, start = recipe.resolve(), start.resolve()
    if not here.is_relative_to(start):
        return [here]
    above = [folder for folder in here.parents if folder.is_relative_to(start)]
    return [here, *above]


def found(module: str, folders: Sequence[Path]) -> Place:
    """Where a module lies.

    Raises:
        NodeError: It is not in these folders, or it is one that a recipe must not name.
    """
    if not is_module(module) or is_of_python(module):
        raise _refused(f"a recipe may not name the module {module!r}", "name one in the recipe's own folders")
    relative = Path(*module.split("."))
    for folder in folders:
        for file in (folder / relative / "__init__.py", folder / relative.with_suffix(".py")):
            if not file.is_file():
                continue
            if not file.resolve().is_relative_to(folder.resolve()):
                raise _refused(f"{file} leads out of {folder}", "put the file itself there")
            return Place(module, folder, file)
    looked = " or ".join(str(folder) for folder in folders[:3])
    beside = next((folder / relative for folder in folders if (folder / relative).is_dir()), None)
    hint = (
        f"give {beside} an __init__.py"
        if beside
        else "run it from the folder that its module's name begins in"
    )
    raise _refused(f"there is no module {module!r} in {looked}", hint)


def loaded(place: Place) -> ModuleType:
    """Import a module that was found.

    Raises:
        NodeError: The name is taken by a module of somewhere else.
    """
    root = str(place.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    module = importlib.import_module(place.module)
    file = getattr(module, "__file__", None)
    if file is None or os.path.realpath(file) != os.path.realpath(place.file):
        where = file or "a part of Python"
        raise _refused(
            f"the name {place.module!r} belongs to {where}, not to {place.file}", "rename the module"
        )
    return module


def scriptlet_in(module: ModuleType, name: str, what: str) -> type:
    """The scriptlet of a name in a module, or one that was registered while it was imported.

    Raises:
        NodeError: There is none, or what bears the name is none.
    """
    candidate = getattr(module, name, REGISTERED.get(name))
    if inspect.isclass(candidate) and _is_scriptlet(candidate):
        return candidate
    known = [*_names(vars(module).items()), *REGISTERED]
    if candidate is not None:
        message = f"{what} names {name!r}, which is no scriptlet: a class of BaseScriptlet, or registered"
        raise _refused(message, "decorate the class with @register_scriptlet")
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known[:8]) or 'none'}"
    message = f"{what}: {module.__name__} has no scriptlet {name!r}; {hint}"
    raise NodeError(message, code=4004, retryable=False)


def _names(members: Iterable[tuple[str, Any]]) -> list[str]:
    return [name for name, value in members if value is not BaseScriptlet and _is_scriptlet(value)]


def _is_scriptlet(value: Any) -> bool:
    if not inspect.isclass(value):
        return False
    return issubclass(value, BaseScriptlet) or REGISTERED.get(value.__name__) is value


def _refused(message: str, hint: str) -> NodeError:
    return NodeError(f"{message}; {hint}", code=4003, retryable=False)
