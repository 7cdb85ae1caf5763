"""The SDK's files inside node folders: put there with a header, renewed when a newer one is installed.

Invariant: the header holds the hash of what follows it, so a file that somebody edited is known, and is
never overwritten without being told to.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodeling.errors import PluginError
from nodeling.sdk_files import sdk_file, sdk_names

COMMENTS = {
    "//": (".mjs", ".mts", ".ts", ".go", ".rs", ".java", ".c", ".h"),
    "#": (".sh", ".py", ".toml", ".pl", ".rb"),
}
_MARKS = {suffix: mark for mark, suffixes in COMMENTS.items() for suffix in suffixes}
_HEADER = re.compile(
    rb"^(?://|#) nodeling (?P<version>\S+) (?P<source>[a-z0-9]+/\S+) sha256:(?P<hash>[0-9a-f]{64}); "
    rb"`nodectl sdk upgrade` renews this file\r?\n"
)

State = Literal["current", "upgraded", "edited", "unknown"]


@dataclass(frozen=True, slots=True)
class Vendored:
    """A file of the SDK in a node's folder."""

    path: Path
    source: str  # as in `javascript/nodeling.mjs`
    version: str
    is_edited: bool
    body: bytes


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of a vendored file."""

    path: Path
    state: State
    before: str
    after: str
    added: int = 0
    removed: int = 0


def vendored_files(wanted: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """The files that a template asks for, by their places in the node's folder.

    Args:
        wanted: Places and sources: `nodeling.mjs` is `javascript/nodeling.mjs`; below the folder
            `nodeling/` stand all of `go/*.go`, as they stand below the pattern's fixed part.

    Raises:
        PluginError: There is no such file.
    """
    found: dict[str, bytes] = {}
    for place, source in wanted:
        if not place.endswith("/"):
            found[place] = vendored_bytes(source)
            continue
        language, _, pattern = source.partition("/")
        fixed = pattern.partition("*")[0].rpartition("/")[0]
        try:
            names = sdk_names(language, pattern)
        except LookupError as error:
            raise PluginError(str(error)) from error
        for name in names:
            found[f"{place}{name.removeprefix(fixed).lstrip('/')}"] = vendored_bytes(f"{language}/{name}")
    return found


def vendored_bytes(source: str) -> bytes:
    """A file of the SDK as it stands in a node's folder.

    Raises:
        PluginError: There is no such file, or comments cannot stand in it.
    """
    from nodeling import __version__

    mark = _MARKS.get(Path(source).suffix)
    if mark is None:
        raise PluginError(f"{source} cannot be vendored: no comment can stand in its first line")
    body = _body(source)
    state = hashlib.sha256(body).hexdigest()
    head = f"{mark} nodeling {__version__} {source} sha256:{state}; `nodectl sdk upgrade` renews this file\n"
    return head.encode("utf-8") + body


def _body(source: str) -> bytes:
    language, _, name = source.partition("/")
    try:
        return sdk_file(language, name).read_bytes()
    except LookupError as error:
        raise PluginError(str(error)) from error


def find_vendored(folder: Path) -> list[Vendored]:
    """The files of the SDK below a node's folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.suffix not in _MARKS or any(part[0] == "." or part == "node_modules" for part in inside):
            continue
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        match = _HEADER.match(data)
        if match is not None:
            body = data[match.end() :]
            is_edited = hashlib.sha256(body).hexdigest() != match["hash"].decode()
            source, version = match["source"].decode(), match["version"].decode()
            found.append(Vendored(path, source, version, is_edited, body))
    return found


def renew(file: Vendored, *, force: bool = False) -> Renewal:
    """Bring one file up to what is installed; an edited one stays without `force`."""
    from nodeling import __version__

    try:
        fresh = vendored_bytes(file.source)
    except PluginError:  # of another installation, or renamed since
        return Renewal(file.path, "unknown", file.version, file.version)
    body = fresh.partition(b"\n")[2]
    if body == file.body and file.version == __version__ and not file.is_edited:
        return Renewal(file.path, "current", file.version, __version__)
    added, removed = _changes(file.body, body)
    if file.is_edited and not force:
        return Renewal(file.path, "edited", file.version, __version__, added, removed)
    file.path.write_bytes(fresh)
    return Renewal(file.path, "upgraded", file.version, __version__, added, removed)


def _changes(before: bytes, after: bytes) -> tuple[int, int]:
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    return sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines)
