"""From a node's manifest to the command of its process.

Invariant: what is launched is decided by the manifest, the node's files and the named variables alone;
an input never becomes part of a command that outlives its call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodeling._dataclass import dataclass
from nodeling.errors import NodelingError
from nodeling.toolchain import SourceNode, Toolchain
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.dispatch.exec_result import Refused
from nodeling_runtime.dispatch.exec_spawn import find_program
from nodeling_runtime.dispatch.worker.launch import Launch
from nodeling_runtime.toolchains.ahead import call_error
from nodeling_runtime.toolchains.catalogue import find_programs
from nodeling_runtime.toolchains.command import CommandFault, compile_command
from nodeling_runtime.toolchains.plan import Plan, plan_of

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

_NOT_CODE = ("__pycache__", "node_modules", "target")
_MOST_FILES = 2000  # a folder with more is stamped by its first so many
_NONE: Mapping[Any, CallError] = {}
_UNPLANNED: Mapping[Any, Plan] = {}


def launch_of(
    spec: NodeSpec, failures: Mapping[Any, CallError] = _NONE, known: Mapping[Any, Plan] = _UNPLANNED
) -> Launch:
    """How the workers of a node are started.

    Args:
        spec: The node.
        failures: The errors of the nodes that could not be built.
        known: The plans that were made of nodes a moment ago.

    Raises:
        Refused: It has no folder, no program, no build, or a command that depends on the inputs.
    """
    manifest = spec.manifest
    process = process_of(spec, failures, known)
    named = {name: os.environ[name] for name in manifest.env if name in os.environ}
    return Launch(
        name=spec.name,
        program=process.program,
        argv=process.argv,
        cwd=str(process.node.folder),
        channel=process.channel,
        env=tuple({**process.environment, **named}.items()),
        memory_mb=manifest.limits.get("memory_mb"),
        processes=manifest.limits.get("processes"),
        disk_mb=manifest.limits.get("disk_mb"),
        concurrency=manifest.runtime.concurrency,
        is_patient=process.is_patient,
        stamp=_stamp(process.node.folder),
    )


@dataclass(frozen=True, slots=True)
class Process:
    """How one process of a node is started, whoever starts it."""

    node: SourceNode
    program: str
    argv: tuple[str, ...]
    channel: Literal["fd", "stdio"]
    environment: Mapping[str, str]
    is_patient: bool


def process_of(
    spec: NodeSpec, failures: Mapping[Any, CallError] = _NONE, known: Mapping[Any, Plan] = _UNPLANNED
) -> Process:
    """How a process of a node is started.

    Raises:
        Refused: As for `launch_of`.
    """
    runtime = spec.manifest.runtime
    toolchain, node = prepared(spec, failures, known)
    argv = _literal(spec) if runtime.command else tuple(toolchain.command(node))
    program = find_program(argv[0], node.folder, os.environ.get("PATH", os.defpath), spec.name)
    channel = runtime.channel or toolchain.channel
    return Process(node, program, argv, channel, toolchain.environment(node), toolchain.is_patient)


def prepared(
    spec: NodeSpec, failures: Mapping[Any, CallError] = _NONE, known: Mapping[Any, Plan] = _UNPLANNED
) -> tuple[Toolchain, SourceNode]:
    """A node's language, and the node with its programs and its build.

    Raises:
        Refused: Something of that is not there.
    """
    if failures and spec in failures:
        raise Refused(failures[spec])
    try:
        plan = known.get(spec) or plan_of(spec)
        programs = find_programs(plan.toolchain.needs, node=spec.name, purpose="run")
    except NodelingError as error:
        raise Refused(call_error(error)) from error
    if not plan.is_ready:
        message = f"{spec.name} is not built; `nodectl build {spec.name}` builds it"
        raise Refused.of("toolchain.unbuilt", message, retryable=False)
    return plan.toolchain, replace(plan.node, programs=programs)


def exec_command(
    spec: NodeSpec, failures: Mapping[Any, CallError] = _NONE
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The items of the command that a call of a program starts with, and variables it needs.

    Items may be expressions.

    Raises:
        Refused: Its language, its programs or its build are not there.
    """
    toolchain, node = prepared(spec, failures)
    items = spec.manifest.runtime.command or tuple(_escaped(item) for item in toolchain.command(node))
    return items, toolchain.environment(node)


def _escaped(item: str) -> str:
    """A literal of a toolchain's: what looks like an expression in it is none."""
    return item.replace("${", "$${")


def _literal(spec: NodeSpec) -> tuple[str, ...]:
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
