"""Where the SDKs for other languages are: their files travel with this package.

In a checkout they stand in `sdk/<language>/`; a wheel carries copies of them inside this package.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["sdk_file"]

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
