"""The one door through which documents enter: files, text, or data made in Python.

Whatever comes out is plain JSON data inside the value profile, and it can say where each of its
values stands. Positions cost a second, slower reading, which happens only when a fault is shown.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from nodeling.errors import ConfigError, Fault, nearest
from nodeling.values import InvalidValue, decode, encode
from nodeling_runtime.documents.positions import Lines, Place, RawFault, locate, parts_of

__all__ = ["MAX_BYTES", "Document", "Format", "from_data", "parse_document", "read_document", "read_text"]

Format = Literal["json", "yaml"]

MAX_BYTES = 64 * 2**20

_SUFFIXES: dict[str, Format] = {".json": "json", ".jsonc": "json", ".yaml": "yaml", ".yml": "yaml"}


class Document:
    """One document that was read: its data, its name, and where things are in it."""

    __slots__ = ("_lines", "_places", "_text", "data", "format", "name")

    def __init__(self, data: Any, name: str, text: str | None = None, format: Format | None = None) -> None:
        self.data = data
        self.name = name
        self.format = format
        self._text = text
        self._places: Place | None = None
        self._lines: Lines | None = None

    def locate(self, pointer: str, *, key: bool = False, inside: int = 0) -> tuple[int, int] | None:
        """The 1-based line and column of a value, or of its key; None for data without a text.

        A pointer to nothing gives the place of its nearest parent that exists. `inside` counts
        characters of a text value; where the file does not spell them as they are, the value's
        beginning must do.
        """
        if self._text is None or self.format is None:
            return None
        if self._places is None or self._lines is None:
            self._lines = Lines(self._text)
            self._places = _careful(self._text, self.format, self._lines)[2]
        offset = locate(self._places, pointer, key=key)
        return self._lines.at(offset + (self._spelled(pointer, offset, inside) if inside else 0))

    def _spelled(self, pointer: str, offset: int, inside: int) -> int:
        """How far behind `offset` a character of a text value stands; 0 when escapes or folding hide it."""
        value: Any = self.data
        for part in parts_of(pointer):
            known = isinstance(value, dict) and part in value
            value = value[part] if known else value[int(part)] if isinstance(value, list) else None
        if not isinstance(value, str) or self._text is None:
            return 0
        quote = self._text[offset : offset + 1] in ("'", '"')
        return inside + quote if self._text.startswith(value[:inside], offset + quote) else 0

    def fault(
        self,
        code: str,
        message: str,
        pointer: str,
        hint: str | None = None,
        severity: Literal["error", "warning"] = "error",
        key: bool = False,
        inside: int = 0,
    ) -> Fault:
        """A fault at a place of this document, with its file, line and column filled in."""
        line, column = self.locate(pointer, key=key, inside=inside) or (None, None)
        return Fault(code, message, pointer, hint, self.name, line, column, severity)

    def __repr__(self) -> str:
        return f"Document({self.name!r})"


def read_document(path: Path) -> Document:
    """Reads a file; its suffix says whether it is JSON or YAML, else its first character does.

    Raises:
        ConfigError: the file cannot be read or is not legal; its faults say why and where.
    """
    return parse_document(_bytes_of(path), name=os.fspath(path), format=None)


def read_text(path: Path) -> str:
    """Reads the text of a file, whatever it holds.

    Raises:
        ConfigError: the file cannot be read, is too large or is not UTF-8.
    """
    name = os.fspath(path)
    raw = _bytes_of(path)
    _refuse_large(raw, name)
    return _decoded(raw, name)


def _bytes_of(path: Path) -> bytes:
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise _refusal(name, _not_found(path, name), code="document.not_found") from None
    except IsADirectoryError:
        fault = Fault("document.not_found", f"{name} is a folder, not a file", file=name)
        raise _refusal(name, fault, code="document.not_found") from None
    except OSError as error:
        fault = Fault("document.unreadable", f"{name} cannot be read: {error.strerror}", file=name)
        raise _refusal(name, fault) from None


def parse_document(text: bytes | str, *, name: str, format: Format | None = None) -> Document:
    """Reads a text; without a format the suffix of its name decides, else its first character.

    Raises:
        ConfigError: the text is not legal; its faults say what is wrong and where.
    """
    _refuse_large(text, name)
    decoded = _decoded(text, name)
    chosen = format or _SUFFIXES.get(os.path.splitext(name)[1].lower()) or _guess(decoded)
    if chosen == "json":
        from nodeling_runtime.documents.jsonc import read_fast

        sure, data = read_fast(decoded)
        if sure:
            return Document(data, name, decoded, chosen)
    lines = Lines(decoded)
    data, faults, _ = _careful(decoded, chosen, lines)
    if faults:
        raise _refusal(name, *(_placed(raw, name, lines) for raw in faults))
    return Document(data, name, decoded, chosen)


def _refuse_large(text: bytes | str, name: str) -> None:
    if len(text) > MAX_BYTES:
        message = f"the document is larger than {MAX_BYTES // 2**20} MiB"
        raise _refusal(name, Fault("document.too_large", message, file=name))


def from_data(data: Any, name: str) -> Document:
    """A document made in Python; it keeps a copy, and has no lines.

    Raises:
        ConfigError: something in the data is no JSON value.
    """
    try:
        return Document(decode(encode(data)), name)
    except InvalidValue as error:
        fault = Fault(f"document.{error.kind}", error.message, error.pointer, file=name)
        raise _refusal(name, fault) from None


def _careful(text: str, format: Format, lines: Lines) -> tuple[Any, list[RawFault], Place]:
    if format == "json":
        from nodeling_runtime.documents.jsonc_careful import CarefulReader

        json_reader = CarefulReader(text, lines.at).read()
        return json_reader.data, json_reader.faults, json_reader.root
    from nodeling_runtime.documents.yaml_core import YamlReader

    yaml_reader = YamlReader(text, lines.at).read()
    return yaml_reader.data, yaml_reader.faults, yaml_reader.root


def _guess(text: str) -> Format:
    start = text[:1000].lstrip()
    return "json" if start.startswith(("{", "[", '"', "//", "/*")) else "yaml"


def _decoded(text: bytes | str, name: str) -> str:
    """The text as characters, free of a byte order mark and of lone surrogates."""
    try:
        if isinstance(text, str):
            text.encode("utf-8")
            decoded = text
        else:
            decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8")
        byte = error.object[error.start]
        message = f"the byte 0x{byte:02x} at offset {error.start} is not UTF-8"
        raw = RawFault("document.encoding", message, len(before), "", "save the file as UTF-8")
        raise _refusal(name, _placed(raw, name, Lines(before))) from None
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        message = f"the lone surrogate U+{code:04X} is no character"
        raw = RawFault("document.surrogate", message, error.start, "")
        raise _refusal(name, _placed(raw, name, Lines(error.object))) from None
    if decoded.startswith("\ufeff"):
        hint = "save the file as UTF-8 without it"
        message = "the file begins with a byte order mark"
        raise _refusal(name, Fault("document.encoding", message, "", hint, name, 1, 1))
    return decoded


def _placed(raw: RawFault, name: str, lines: Lines) -> Fault:
    line, column = lines.at(raw.offset)
    return Fault(raw.code, raw.message, raw.pointer, raw.hint, name, line, column)


def _refusal(name: str, *faults: Fault, code: str = "document.invalid") -> ConfigError:
    message = str(faults[0])
    if len(faults) > 1:
        message += f" (and {len(faults) - 1} more)"
    return ConfigError(message, code=code, faults=faults)


def _not_found(path: Path, name: str) -> Fault:
    """A fault that proposes the file in the same folder that was most likely meant."""
    folder, wanted = os.path.split(os.fspath(path))
    try:
        meant = nearest(wanted, os.listdir(folder or "."))
    except OSError:
        # The folder is missing too, so there is nothing to propose.
        meant = None
    hint = f"did you mean {os.path.join(folder, meant)}?" if meant else None
    return Fault("document.not_found", f"there is no file {name}", "", hint, name)
