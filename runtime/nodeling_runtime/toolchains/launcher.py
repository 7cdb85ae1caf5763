"""A node's process as one word that any shell can run: a script that goes to its folder and becomes it.

A command line with quotes in it does not survive `$(…)`, and a node wants its own folder and
variables, so both are written into a file.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from nodeling.errors import ConfigError
from nodeling_runtime.toolchains.launching import process_of

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

FOLDER = "run"


def write_launcher(spec: NodeSpec) -> Path:
    """Write the script that runs a node as a process, and say where it is.

    Raises:
        Refused: The node is not built, or a program of its language is missing.
        ConfigError: The script cannot be written.
    """
    process = process_of(spec)
    node = process.node
    settings = [f"{name}={value}" for name, value in process.environment.items()]
    words = [*(["env", *settings] if settings else []), process.program, *process.argv[1:]]
    text = (
        "#!/bin/sh\n"
        f"# The node {spec.name} as a process; `nodectl node-command {spec.name}` wrote this file.\n"
        f"cd {shlex.quote(str(node.folder))} && exec {shlex.join(words)}\n"
    )
    path = node.kept / FOLDER / spec.name.replace("/", "-").lstrip("@")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o755)
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", code="file.unwritable") from error
    return path
