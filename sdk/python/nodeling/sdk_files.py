"""Where the SDKs for other languages are: their files travel with this package.

In a checkout they stand in `sdk/<language>/`; a wheel carries copies of them inside this package.
"""

from __future__ import annotations

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


def vendored(language: str, name: str) -> bytes:
    """A file of an SDK as it is put into a node's folder: its first line says whose and which it is.

    Raises:
        LookupError: This installation lacks it.
    """
    from nodeling import __version__

    path = sdk_file(language, name)
    data = path.read_bytes()
    remark = _REMARKS.get(path.suffix)
    if remark is None:
        return data
    said = remark.format(
        f"the nodeling SDK for {language}, {__version__}: a copy; the original is the package's"
    )
    first, line_end, rest = data.partition(b"\n")
    if first.startswith(b"#!"):
        return first + line_end + said.encode() + b"\n" + rest
    return said.encode() + b"\n" + data
