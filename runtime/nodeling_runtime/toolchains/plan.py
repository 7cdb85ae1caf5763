"""What a node's language makes of it: what is to be built, where that is kept, what starts its process.

Nothing is built or started here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nodeling._dataclass import dataclass
from nodeling.errors import PluginError
from nodeling.toolchain import SourceNode, Toolchain
from nodeling_runtime.project import FOLDER, project_root
from nodeling_runtime.toolchains.catalogue import no_toolchain, toolchain_for
from nodeling_runtime.toolchains.content import content_hash

if TYPE_CHECKING:
    from nodeling_runtime.registry import NodeSpec

BUILDS = "builds"


@dataclass(frozen=True, slots=True)
class Plan:
    """A node, its language, and where its build is kept: nowhere for one that is not built."""

    toolchain: Toolchain
    node: SourceNode
    target: Path | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing left to build."""
        return self.target is None or self.target.is_dir()


def plan_of(spec: NodeSpec) -> Plan:
    """What is to be built for a node.

    Raises:
        PluginError: Nobody brings its language, it has no folder, or its files cannot be read.
    """
    manifest = spec.manifest
    toolchain = toolchain_for(manifest.runtime.type)
    if toolchain is None:
        message, hint = no_toolchain(manifest.runtime.type)
        raise PluginError(f"{spec.name}: {message}", code="toolchain.unknown", hint=hint)
    places = spec.places
    if places is None:
        raise PluginError(
            f"{spec.name} is defined in code and has no folder that a worker could load it from",
            code=9001,
            hint="give it a folder, or run it in process",
        )
    folder, kept = places
    node = SourceNode(manifest, folder, manifest.runtime.entry or toolchain.entry, kept=kept)
    try:
        files = toolchain.sources(node)
        if not files:
            return Plan(toolchain, node)
        name = content_hash(toolchain, node, files)
    except OSError as error:
        raise PluginError(
            f"{spec.name} could not be built: {error.filename}: {error.strerror}", code="toolchain.build"
        ) from error
    target = builds_folder(toolchain, node) / name
    return Plan(toolchain, replace(node, built=target), target)


def builds_folder(toolchain: Toolchain, node: SourceNode) -> Path:
    """Where the builds of a language are kept."""
    return node.kept / BUILDS / toolchain.type.removeprefix("runtime.")


def kept_folder(start: Path) -> Path:
    """Where things made for a node are kept: its project's `.nodeling`, else among the user's caches."""
    kept = project_root(start) / FOLDER
    return kept if kept.is_dir() and os.access(kept, os.W_OK) else user_cache()


def user_cache() -> Path:
    """The user's caches of ours."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "nodeling"
