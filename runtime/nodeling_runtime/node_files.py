"""Where nodes lie on disk: their folders, what they are called, and what their manifests say.

A process that runs many workflows reads each file once, until it changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError, Fault
from nodeling.manifest import Manifest, Version
from nodeling_runtime.documents.reader import Document, read_document

MANIFEST = "config.json"
SEARCH_DEPTH = 3  # nodes/<group>/<name>@<version>/config.json is the deepest layout in use

Stamp = tuple[int, int, int]

_NAMES: dict[Path, tuple[Stamp, frozenset[str] | None]] = {}
_MANIFESTS: dict[Path, tuple[Stamp, Manifest, list[Fault]]] = {}


def node_folders(root: Path) -> Iterator[Path]:
    """The folders below `root` (itself included) that hold a manifest."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            if (folder / MANIFEST).is_file():
                yield folder
            elif folder.is_dir():
                below.extend(_children(folder))
        level = below


def _children(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        children = sorted(
            child.name
            for child in found
            if child.name[0] not in "._" and child.name != "node_modules" and child.is_dir()
        )
    for name in children:
        yield folder / name


def names_in(folder: Path) -> frozenset[str] | None:
    """The names that a folder's manifest claims, right or wrong; None when it takes a careful reading."""
    stamp = _stamp_of(folder)
    known = _NAMES.get(folder)
    if known is None or known[0] != stamp:
        known = _NAMES[folder] = (stamp, _names(folder / MANIFEST))
    return known[1]


def _names(path: Path) -> frozenset[str] | None:
    import orjson

    try:
        with open(path, "rb") as file:
            data = orjson.loads(file.read())
    except (OSError, ValueError):
        return None  # it may have comments
    if not isinstance(data, dict):
        return frozenset()
    aliases = data.get("aliases")
    claimed = [data.get("name"), *(aliases if isinstance(aliases, list) else ())]
    return frozenset(name for name in claimed if isinstance(name, str))


def manifest_in(folder: Path) -> tuple[Manifest, list[Fault]]:
    """A folder's manifest, and warnings about it.

    Raises:
        ConfigError: It is not well formed; `faults` lists every reason.
    """
    stamp = _stamp_of(folder)
    known = _MANIFESTS.get(folder)
    if known is None or known[0] != stamp:
        known = _MANIFESTS[folder] = (stamp, *_read_manifest(folder))
    return known[1], known[2]


def _stamp_of(folder: Path) -> Stamp:
    status = (folder / MANIFEST).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_manifest(folder: Path) -> tuple[Manifest, list[Fault]]:
    from nodeling_runtime.manifests import normalise, well_formed

    document: Document = read_document(folder / MANIFEST)
    data: Mapping[str, Any] = normalise(document.data, folder) if isinstance(document.data, dict) else {}
    faults = well_formed(document, data)
    if faults:
        raise ConfigError(f"{document.name} is no node manifest", code="manifest.invalid", faults=faults)
    manifest = Manifest.from_data(data)
    bare, _, version = folder.name.partition("@")
    if "version" not in data and version:
        manifest = replace(manifest, version=Version.parse(version))
    short = manifest.name.rpartition("/")[2]
    if bare.replace("_", "-") == short.replace("_", "-"):
        return manifest, []
    said = f"folder {folder.name!r} holds the node {manifest.name!r}"
    hint = f"rename the folder to {short!r}"
    return manifest, [document.fault("manifest.folder", said, "/name", hint=hint, severity="warning")]
