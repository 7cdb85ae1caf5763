"""The SDK's files inside node folders: put there with a header, renewed when a newer one is installed.

Invariant: the header holds the hash of what follows it, so a file that somebody edited is known, and is
never overwritten without being told to.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from nodeling._dataclass import dataclass
from nodeling.sdk_files import sdk_file, sdk_names

_REMARKS = {
    **dict.fromkeys((".c", ".h"), "/* {} */"),
    **dict.fromkeys((".go", ".rs", ".java", ".mjs", ".mts", ".ts"), "// {}"),
    **dict.fromkeys((".sh", ".py", ".toml", ".pl", ".rb"), "# {}"),
}
_SAID = "nodeling {} {} sha256:{}; `nodectl sdk upgrade` renews this file"
_HEADER = re.compile(
    rb"^(?://|#|/\*) nodeling (?P<version>\S+) (?P<source>[a-z0-9]+/\S+) sha256:(?P<hash>[0-9a-f]{64}); "
    rb"`nodectl sdk upgrade` renews this file(?: \*/)?\r?\n(?:\r?\n)?"
)

State = Literal["current", "upgraded", "added", "removed", "edited", "unknown"]


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


def vendored_files(about: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of an SDK that a template takes along, by their places in the node's folder.

    Args:
        about: The `sdk` of a template: its `language`, the patterns of its `files` in the folder `from`,
            those that stay behind (`without`), and the folder they go `into`.

    Raises:
        LookupError: There is no such file.
    """
    into = PurePosixPath(str(about.get("into", ".")))
    return {(into / place).as_posix(): vendored_bytes(source) for source, place in _sources(about).items()}


def _sources(about: Mapping[str, Any]) -> dict[str, PurePosixPath]:
    """The files that a template takes along, each with its place in the folder that they go into."""
    language, home = str(about["language"]), PurePosixPath(str(about.get("from", ".")))
    return {
        f"{language}/{name}": PurePosixPath(name).relative_to(home)
        for pattern in about["files"]
        for name in sdk_names(language, (home / pattern).as_posix(), about.get("without", ()))
    }


def vendored_bytes(source: str) -> bytes:
    """A file of an SDK as it stands in a node's folder: its first line says which it is.

    A file that holds no remarks is copied as it is, and not renewed.

    Raises:
        LookupError: This installation lacks it.
    """
    from nodeling import __version__

    remark = _REMARKS.get(PurePosixPath(source).suffix)
    body = _body(source)
    if remark is None:
        return body
    said = _SAID.format(__version__, source, hashlib.sha256(body).hexdigest())
    # Right above a Go file's own first line it would become a part of the package's documentation.
    end = b"\n\n" if source.endswith(".go") else b"\n"
    return remark.format(said).encode("utf-8") + end + body


def _body(source: str) -> bytes:
    language, _, name = source.partition("/")
    return sdk_file(language, name).read_bytes()


def find_vendored(folder: Path) -> list[Vendored]:
    """The files of the SDK below a node's folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.suffix not in _REMARKS or any(part[0] == "." or part == "node_modules" for part in inside):
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
    except LookupError:  # of another installation, or renamed since
        return Renewal(file.path, "unknown", file.version, file.version)
    body = _HEADER.sub(b"", fresh, count=1)
    if body == file.body and file.version == __version__ and not file.is_edited:
        return Renewal(file.path, "current", file.version, __version__)
    added, removed = _changes(file.body, body)
    if file.is_edited and not force:
        return Renewal(file.path, "edited", file.version, __version__, added, removed)
    file.path.write_bytes(fresh)
    return Renewal(file.path, "upgraded", file.version, __version__, added, removed)


def refit(files: Sequence[Vendored], about: Mapping[str, Any]) -> list[Renewal]:
    """Add what an SDK of many files has and the copy in a node's folder lacks; remove what it has no longer.

    Args:
        files: The files of the SDK in the folder.
        about: The `sdk` of a template of its language. One that names each of its files is left alone.
    """
    from nodeling import __version__

    if not any("*" in pattern for pattern in about["files"]):
        return []
    fresh = _sources(about)
    own = {file.source: file for file in files if file.source.startswith(f"{about['language']}/")}
    common = next((source for source in fresh if source in own), None)
    if common is None:
        return []
    root = own[common].path.parents[len(fresh[common].parts) - 1]
    done: list[Renewal] = []
    for source in sorted(set(fresh) - set(own)):
        path = root / fresh[source]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(vendored_bytes(source))
            done.append(Renewal(path, "added", "", __version__))
    for source in sorted(set(own) - set(fresh)):
        if not own[source].is_edited:
            own[source].path.unlink()
            done.append(Renewal(own[source].path, "removed", own[source].version, ""))
    return done


def _changes(before: bytes, after: bytes) -> tuple[int, int]:
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    return sum(line[0] == "+" for line in lines), sum(line[0] == "-" for line in lines)
