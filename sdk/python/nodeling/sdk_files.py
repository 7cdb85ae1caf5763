"""Where the SDKs for other languages are: their files travel with this package.

In a checkout they stand in `sdk/<language>/`; a wheel carries copies of them inside this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["sdk_file", "vendored"]

# How each kind of file holds a remark; the others are copied as they are.
_REMARKS = {
    **dict.fromkeys((".c", ".h"), "/* {} */"),
    **dict.fromkeys((".go", ".rs", ".java", ".mjs", ".mts"), "// {}"),
    ".sh": "# {}",
}

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "languages"
_CHECKOUT = _PACKAGE.parents[1]


def sdk_file(language: str, name: str) -> Path:
    """A file of the SDK for a language, as in `sdk_file("javascript", "nodeling.mjs")`.

    Raises:
        LookupError: This installation lacks it.
    """
    for folder in (_INSTALLED, _CHECKOUT):
        path = folder / language / name
        if path.is_file():
            return path
    raise LookupError(f"this installation lacks the file {name} of the SDK for {language}")


def vendored(
    language: str, folder: str, patterns: Sequence[str], without: Sequence[str] = ()
) -> dict[str, bytes]:
    """Files of an SDK by name, as they are put into a node's folder.

    The first line of each says whose copy it is and of which version.

    Raises:
        LookupError: This installation lacks the SDK, or a pattern fits none of its files.
    """
    found: dict[str, bytes] = {}
    for pattern in patterns:
        paths = [
            path
            for place in (_INSTALLED, _CHECKOUT)
            for path in sorted((place / language / folder).glob(pattern))
            if path.is_file() and not any(path.match(other) for other in without)
        ]
        if not paths:
            raise LookupError(f"this installation lacks {pattern} of the SDK for {language}")
        for path in paths:
            found.setdefault(path.name, _marked(language, path))
    return found


def _marked(language: str, path: Path) -> bytes:
    from nodeling import __version__

    data = path.read_bytes()
    remark = _REMARKS.get(path.suffix)
    if remark is None:
        return data
    said = remark.format(f"the nodeling SDK for {language}, {__version__}: a copy of the package's own file")
    first, line_end, rest = data.partition(b"\n")
    if first.startswith(b"#!"):
        return first + line_end + said.encode() + b"\n" + rest
    return said.encode() + b"\n" + data
