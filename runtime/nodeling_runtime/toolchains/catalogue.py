"""The languages there are, and the programs they need.

Invariant: `runtime.<language>` is an open set. What is in it is decided by the installed plugins, ours
among them; a word that is not in it is told with the nearest that is.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from nodeling.errors import PluginError, nearest
from nodeling.toolchain import Program, Toolchain

IN_PROCESS = "python"
PYTHON_WORKER = "runtime.python3"
PREFIX = "runtime."
OURS = "nodeling"
_TYPE = re.compile(r"runtime\.[a-z0-9]+")


def toolchains() -> Mapping[str, Toolchain]:
    """Every language by its type; a plugin's that is wrong or comes second is listed as broken."""
    from nodeling_runtime import plugins

    return _collected(plugins.restriction())


@functools.cache
def _collected(_restriction: str | None) -> Mapping[str, Toolchain]:
    from nodeling_runtime import plugins

    found: dict[str, Toolchain] = {}
    owners: dict[str, str] = {}
    # Ours come first, whatever the names of other distributions: a plugin cannot take a language over.
    for owner, given in sorted(plugins.toolchains(), key=lambda one: one[0] != OURS):
        reason = _wrong(given, owners)
        if reason is None and isinstance(given, Toolchain):
            found[given.type] = given
            owners[given.type] = owner
        else:
            name = str(getattr(given, "type", type(given).__name__))
            plugins.load_plugins().broken.append(plugins.BrokenPlugin(name, owner, str(reason)))
    return found


def _wrong(given: object, owners: Mapping[str, str]) -> str | None:
    if not isinstance(given, Toolchain):
        return f"a toolchain is an instance of nodeling.toolchain.Toolchain, not {given!r}"
    kind = getattr(given, "type", None)
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return f"a toolchain's type is runtime.<language>, in small letters and digits, not {kind!r}"
    if kind in owners:
        return f"the language {kind!r} has an owner already: {owners[kind]}"
    return None


def toolchain_for(kind: str) -> Toolchain | None:
    """The language that a manifest's `runtime.type` means out of process; None when nobody brings it."""
    return toolchains().get(PYTHON_WORKER if kind == IN_PROCESS else kind)


def no_toolchain(kind: str) -> tuple[str, str]:
    """What is said of a type that nobody brings, and what to try."""
    from nodeling_runtime import plugins

    known = toolchains()
    message = f"no toolchain is registered for `{kind}`"
    if PYTHON_WORKER not in known and plugins.restriction() is None:
        return message, "this installation is older than its code: install nodeling again"
    near = nearest(kind.removeprefix(PREFIX), [name.removeprefix(PREFIX) for name in known])
    if near is not None:
        return message, f"did you mean '{PREFIX}{near}'?"
    listed = ", ".join(sorted(known))
    return message, f"there is {listed}; a plugin can bring another, and `runtime.command` runs any program"


def language_of(toolchain: Toolchain) -> str:
    """What a language is called in messages."""
    return toolchain.title or toolchain.type.removeprefix(PREFIX)


def find_program(program: Program) -> str | None:
    """Where a program is: on PATH, else where it is usually put."""
    import shutil  # few nodes are built

    for name in (program.name, *program.also):
        found = shutil.which(name)
        if found is not None:
            return found
    for folder in program.folders:
        for name in (program.name, *program.also):
            path = Path(folder).expanduser() / name
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    return None


def find_programs(programs: Iterable[Program], *, node: str, purpose: str) -> dict[str, str]:
    """The paths of all programs.

    Raises:
        PluginError: Some are not there; one error names them all and what to install.
    """
    found: dict[str, str] = {}
    absent: list[Program] = []
    for program in programs:
        path = find_program(program)
        if path is None:
            absent.append(program)
        else:
            found[program.name] = path
    if absent:
        names = " and ".join(program.name for program in absent)
        packages = list(dict.fromkeys(program.package for program in absent))
        raise PluginError(
            f"{node} needs {names} to be {purpose}, which is not here",
            code="toolchain.missing",
            hint=f"apt-get install {' '.join(packages)}, or put it on PATH",
            details={"programs": [program.name for program in absent], "packages": packages},
        )
    return found
