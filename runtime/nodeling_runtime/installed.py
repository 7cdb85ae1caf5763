"""What the installed distributions say of themselves: their entry points, found in a millisecond.

The standard library's way parses mails to learn a distribution's name, and loading it takes longer than
starting Python. Where everything on the path is an ordinary folder the same is found here by reading
`entry_points.txt`; where anything is not (an archive, an egg, a finder of somebody's own), it is asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

UNKNOWN = "unknown"


class EntryPoint:
    """What a distribution calls something, and where that is."""

    __slots__ = ("distribution", "name", "value")

    def __init__(self, name: str, value: str, distribution: str) -> None:
        self.name = name
        self.value = value
        self.distribution = distribution

    @property
    def module(self) -> str:
        """The module it lies in."""
        return self._place[0]

    @property
    def _place(self) -> tuple[str, str]:
        module, _, attribute = self.value.partition("[")[0].partition(":")
        return module.strip(), attribute.strip()

    def load(self) -> Any:
        """Import it."""
        module, attribute = self._place
        found: Any = import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group. Of a distribution that is installed twice the first on the path counts."""
    if not _is_plain():
        return _asked(group)
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for entry in sys.path:
        for project, folder in _distributions(entry or os.getcwd()):
            if project not in seen:
                seen.add(project)
                found.extend(_points_in(folder, group))
    return found


def _is_plain() -> bool:
    """Whether folders tell all there is."""
    for finder in sys.meta_path:
        if hasattr(finder, "find_distributions") and getattr(finder, "__name__", "") != "PathFinder":
            return False
    return not any(
        not isinstance(entry, str) or entry.lower().endswith(".egg") or os.path.isfile(entry)
        for entry in sys.path
    )


def _distributions(path: str) -> list[tuple[str, str]]:
    """The distributions in a folder of the path, each with its metadata's; listed again when it changes."""
    try:
        changed = os.stat(path).st_mtime_ns
        if path not in _LISTED or _LISTED[path][0] != changed:
            _LISTED[path] = (changed, list(_listed(path)))
    except OSError:
        return []  # as a path that leads nowhere is no error of an import
    return _LISTED[path][1]


_LISTED: dict[str, tuple[int, list[tuple[str, str]]]] = {}


def _listed(path: str) -> Iterator[tuple[str, str]]:
    for name in os.listdir(path):
        stem, dot, kind = name.lower().rpartition(".")
        if dot and kind in ("dist-info", "egg-info"):
            yield _normal(stem.partition("-")[0]), os.path.join(path, name)


def _points_in(folder: str, group: str) -> Iterator[EntryPoint]:
    text = _text(folder, "entry_points.txt")
    if text is None or f"[{group}]" not in text:
        return
    distribution = _name_of(folder)
    section = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif section == group and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), distribution)


def _name_of(folder: str) -> str:
    for file in ("METADATA", "PKG-INFO"):
        text = _text(folder, file)
        for line in (text or "").splitlines():
            key, colon, value = line.partition(":")
            if colon and key.lower() == "name":
                return value.strip()
            if not line:
                break  # what follows is the description
    return UNKNOWN


def _text(folder: str, name: str) -> str | None:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None


def _normal(name: str) -> str:
    """A project's name without the differences that do not count."""
    words = name.replace("_", "-").replace(".", "-").split("-")
    return "-".join(filter(None, words)).lower()


def _asked(group: str) -> list[EntryPoint]:
    import importlib.metadata

    return [
        EntryPoint(point.name, point.value, point.dist.name if point.dist is not None else UNKNOWN)
        for point in importlib.metadata.entry_points(group=group)
    ]
