"""Every hook a plugin may implement, with when it is called and what it may do.

A plugin is a module named by an entry point of the group `nodeling`. It is imported once, by the
commands that need hooks, and its functions marked with `hookimpl` are called:

    from nodeling.hookspecs import hookimpl

    @hookimpl
    def nodeling_register_nodes(register):
        register(Path(__file__).parent / "nodes")

Nodes that are folders need no hook: an entry point of the group `nodeling.nodes` whose value is
the package that holds the folders is enough, and its code is not imported until a node runs. A
`nodectl` command is an entry point of the group `nodeling.commands` whose value is a click command.

A plugin that fails to import is listed as broken, with its traceback, and hurts nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pluggy

from nodeling.formats import Format
from nodeling.node import NodeDefinition
from nodeling.toolchain import Toolchain

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "nodeling"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def nodeling_register_nodes(register: Callable[[Path | NodeDefinition], None]) -> None:
    """Register nodes that the `nodeling.nodes` entry point does not reach.

    Called once, when the registry is built. `register` takes a folder that holds node folders, or
    a function under `@node`. Two owners of one name and version are an error that names both.
    """


@hookspec
def nodeling_register_expression_functions(register: Callable[..., None]) -> None:
    """Add functions to the expression language.

    Called once, before the first expression is compiled. `register(name, function, min_args=1,
    max_args=None, doc="")`: the function gets and returns JSON values, must be pure and total, and
    may not take a name that exists.
    """


@hookspec
def nodeling_register_templates(register: Callable[[Path], None]) -> None:
    """Add templates to `nodectl create`.

    Called by `create`. `register` takes a folder that holds one folder per template; every file to
    be copied ends in `.tmpl`.
    """


@hookspec
def nodeling_register_toolchains(register: Callable[[Toolchain], None]) -> None:
    """Add languages: how the nodes of `runtime.<language>` are found, built and launched.

    Called once, when the first node that is no Python function is looked at. `register` takes an
    instance of a subclass of `nodeling.toolchain.Toolchain`. A language has one owner: the second
    plugin that brings it is listed as broken, naming the first.
    """


@hookspec
def nodeling_register_formats(register: Callable[[Format], None]) -> None:
    """Read the workflow files of another system.

    Called once, before the first workflow file is read. `register` takes a `nodeling.formats.Format`.
    Two formats of one name are an error that names both owners; a file that two formats claim needs `--from`.
    """


@hookspec
def nodeling_register_listeners(register: Callable[[Callable[[Mapping[str, Any]], None]], None]) -> None:
    """Listen to the events of every run.

    Called once per process, before the first run. A listener is called in the engine's loop with
    one event at a time, as `--events` writes them; it must return at once. A listener that raises is
    reported once and called no more.
    """


@hookspec(firstresult=True)
def nodeling_resolve_secret(name: str) -> str | None:
    """Find a secret that neither the environment nor the project's secrets file holds.

    Called before a run starts, once for each secret that a node of the workflow declares. Return None
    to let the next plugin try.
    """
