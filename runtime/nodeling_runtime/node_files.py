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
    """The folders below `root` (itself included) that hold a manifest, or that nobody can look into."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            try:
                children = None if (folder / MANIFEST).is_file() else _children(folder)
            except PermissionError:
                children = None  # whoever reads its manifest is told why that cannot be
            if children is None:
                yield folder
            else:
                below.extend(children)
        level = below


def named_folder(word: str) -> Path | None:
    """The node's folder when a word of the command line is its path, or its manifest's."""
    path = Path(word)
    folder = path.parent if path.name == MANIFEST else path
    return folder if os.path.isfile(folder / MANIFEST) else None


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = sorted(child.name for child in found if _may_hold_nodes(child))
    return [folder / name for name in names]


def _may_hold_nodes(child: os.DirEntry[str]) -> bool:
    if child.name[0] in "._" or child.name == "node_modules":
        return False
    try:
        return child.is_dir()
    except OSError:
        return False  # a link that leads to itself


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
    try:
        status = (folder / MANIFEST).stat()
    except OSError:
        return 0, 0, 0  # reading it says why
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_manifest(folder: Path) -> tuple[Manifest, list[Fault]]:
    from nodeling_runtime.manifests import normalise, well_formed

    if not os.access(folder, os.R_OK | os.X_OK):
        raise ConfigError(
            f"the folder {folder} cannot be read: permission denied", code="document.unreadable"
        )
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
