"""Registers the languages that nodeling knows by itself, through the hook that anybody's languages use.

Invariant: what stands in this folder imports the SDK and nothing else of the runtime.
"""

from __future__ import annotations

from collections.abc import Callable

from nodeling.hookspecs import hookimpl
from nodeling.toolchain import Toolchain


@hookimpl
def nodeling_register_toolchains(register: Callable[[Toolchain], None]) -> None:
    """Register a language for each module beside this one."""
    # Imported here, as every command loads this plugin and few need a language.
    from nodeling_runtime.toolchains.languages.bash import Bash
    from nodeling_runtime.toolchains.languages.c import C
    from nodeling_runtime.toolchains.languages.command import AnyProgram
    from nodeling_runtime.toolchains.languages.go import Go
    from nodeling_runtime.toolchains.languages.java import Java
    from nodeling_runtime.toolchains.languages.nodejs import NodeJs
    from nodeling_runtime.toolchains.languages.python import Python
    from nodeling_runtime.toolchains.languages.rust import Rust
    from nodeling_runtime.toolchains.languages.typescript import TypeScript

    languages = (AnyProgram(), Bash(), C(), Go(), Java(), NodeJs(), Python(), Rust(), TypeScript())
    for language in languages:
        register(language)
