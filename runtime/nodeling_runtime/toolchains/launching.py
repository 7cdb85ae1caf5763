"""From a node's manifest to the command of its worker.

Invariant: what is launched is decided by the manifest, the node's files and the named variables alone;
an input never becomes part of a command that outlives its call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodeling_runtime.dispatch.exec_result import Refused
from nodeling_runtime.dispatch.exec_spawn import find_program
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.toolchains.command import CommandFault, compile_command
from nodeling_runtime.toolchains.python import python_command

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

PYTHON_TYPES = ("python", "runtime.python3")
_MOST_FILES = 2000  # a folder with more is stamped by its first so many
_NOT_CODE = ("__pycache__", "node_modules")


def launch_of(spec: NodeSpec) -> Launch:
    """How the workers of a node are started.

    Raises:
        Refused: It has no folder, no program, or a command that depends on the inputs.
    """
    manifest = spec.manifest
    folder = spec.folder
    if folder is None:
        message = f"{spec.name} is defined in code and has no folder that a worker could load it from"
        raise Refused.of(9001, f"{message}; give it a folder, or run it in process", retryable=False)
    folder = folder.resolve()
    channel: Literal["fd", "stdio"]
    if manifest.runtime.type in PYTHON_TYPES:
        argv, channel = python_command(spec, folder), manifest.runtime.channel or "fd"
        program = argv[0]
    else:
        argv, channel = _command(spec), manifest.runtime.channel or "stdio"
        program = find_program(argv[0], folder, os.environ.get("PATH", os.defpath), spec.name)
    return Launch(
        name=spec.name,
        program=program,
        argv=argv,
        cwd=str(folder),
        channel=channel,
        env=tuple((name, os.environ[name]) for name in manifest.env if name in os.environ),
        memory_mb=manifest.limits.get("memory_mb"),
        processes=manifest.limits.get("processes"),
        disk_mb=manifest.limits.get("disk_mb"),
        concurrency=manifest.runtime.concurrency,
        stamp=_stamp(folder),
    )


def _command(spec: NodeSpec) -> tuple[str, ...]:
    try:
        command = compile_command(spec.manifest.runtime.command)
    except CommandFault as fault:
        raise Refused.of(fault.code, f"{spec.name}: {fault}", details={"pointer": fault.pointer}) from fault
    literal = tuple(item for item in command.items if isinstance(item, str))
    if len(literal) != len(command.items):
        message = f"{spec.name}: a worker's command serves many calls and cannot read their inputs"
        raise Refused.of(4002, message, details={"pointer": "/runtime/command"})
    return literal


def _stamp(folder: Path) -> tuple[tuple[str, int], ...]:
    """The node's files and when each was last written: a change asks for fresh workers."""
    found: list[tuple[str, int]] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _NOT_CODE)
        for name in sorted(files):
            path = os.path.join(parent, name)
            try:
                found.append((path, os.stat(path).st_mtime_ns))
            except OSError:
                continue
            if len(found) >= _MOST_FILES:
                return tuple(found)
    return tuple(found)
