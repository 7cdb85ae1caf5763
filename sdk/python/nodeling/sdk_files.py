"""Where the SDKs for other languages are: their files travel with this package.

In a checkout they stand in `sdk/<language>/`; a wheel carries copies of them inside this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["sdk_file", "sdk_names"]

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


def sdk_names(language: str, pattern: str, without: Sequence[str] = ()) -> list[str]:
    """The names of an SDK's files that a pattern such as `src/*.rs` means, those `without` left out.

    Raises:
        LookupError: There is none.
    """
    for folder in (_INSTALLED / language, _CHECKOUT / language):
        paths = [path for path in folder.glob(pattern) if path.is_file()]
        kept = [path for path in paths if not any(path.match(other) for other in without)]
        if kept:
            return sorted(path.relative_to(folder).as_posix() for path in kept)
    raise LookupError(f"this installation lacks the files {pattern} of the SDK for {language}")
