"""The door through which workflow files enter: native ones as they are, those of other systems converted.

Invariant: whatever comes out is a native document, and its faults are shown at the lines of the file
that its author wrote.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass
from nodeling.errors import ConfigError, Fault, PluginError, nearest
from nodeling.formats import Converted, Format, Source, Wishes
from nodeling.values import InvalidValue, decode, encode
from nodeling_runtime.documents.reader import Document, parse_document, read_text

NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file shall be read."""

    format: str | None = None  # None: by its content
    wishes: Wishes = field(default_factory=Wishes)


class ConvertedDocument(Document):
    """A native document that was made from a file of another system."""

    __slots__ = ("converted", "format_name", "reading")

    def __init__(
        self, name: str, data: Any, converted: Converted, format_name: str, reading: Reading
    ) -> None:
        super().__init__(data, name)
        self.converted = converted
        self.format_name = format_name
        self.reading = reading

    def locate(self, pointer: str, *, key: bool = False, inside: int = 0) -> tuple[int, int] | None:
        """Where the other system's file says what stands at a pointer of the native document."""
        places = self.converted.places
        while pointer not in places and pointer:
            pointer = pointer.rpartition("/")[0]
        return places.get(pointer)


def open_workflow(path: Path, reading: Reading | None = None) -> Document:
    """Read a workflow file of any format.

    Raises:
        ConfigError: It cannot be read, two formats claim it, or it cannot be converted.
    """
    wanted = reading or Reading()
    name = os.fspath(path)
    text = read_text(path)
    if path.suffix == ".py":
        message = f"{name} is Python, and no workflow's file"
        hint = f"a workflow that it makes is named module:variable, as in {path.stem}:flow"
        raise ConfigError(message, code="document.type", hint=hint)
    if wanted.format == NATIVE:
        return parse_document(text, name=name)
    document, source = _read(name, text)
    chosen = _named(wanted.format) if wanted.format is not None else _recognised(source)
    if chosen is not None:
        return _converted(chosen, source, wanted)
    return document if document is not None else parse_document(text, name=name)


def is_foreign(path: Path) -> bool:
    """Whether a file is a workflow of another system, right or wrong.

    Raises:
        ConfigError: It cannot be read, or two formats claim it.
    """
    return _recognised(_read(os.fspath(path), read_text(path))[1]) is not None


def notes_of(document: Document) -> Sequence[Fault]:
    """What was not carried over into a document."""
    return document.converted.notes if isinstance(document, ConvertedDocument) else ()


def nodes_of(document: Document) -> Sequence[Path]:
    """The folders of nodes that a document brings along."""
    return document.converted.nodes if isinstance(document, ConvertedDocument) else ()


def reading_of(document: Document) -> Reading:
    """How a file that a document includes shall be read: by its own content, with the same wishes."""
    wishes = document.reading.wishes if isinstance(document, ConvertedDocument) else Wishes()
    return Reading(None, wishes)


@functools.cache
def known_formats() -> Mapping[str, Format]:
    """Every format that a plugin brings, by its name.

    Raises:
        PluginError: Two plugins bring one name.
    """
    from nodeling_runtime import plugins

    found: dict[str, Format] = {}
    owners: dict[str, str] = {}
    for owner, format_ in plugins.formats():
        if format_.name in found or format_.name == NATIVE:
            other = owners.get(format_.name, "nodeling")
            raise PluginError(f"{other} and {owner} both bring a format called {format_.name!r}")
        found[format_.name], owners[format_.name] = format_, owner
    return found


def _read(name: str, text: str) -> tuple[Document | None, Source]:
    if text.lstrip()[:1] == "<":
        return None, Source(name, text)
    document = parse_document(text, name=name)
    return document, Source(name, text, document.data, document.locate)


def _named(name: str) -> Format:
    formats = known_formats()
    if name not in formats:
        near = nearest(name, [*formats, NATIVE])
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join([NATIVE, *formats])}"
        raise ConfigError(f"no format is called {name!r}", code="format.unknown", hint=hint)
    return formats[name]


def _recognised(source: Source) -> Format | None:
    claims = [format_ for format_ in known_formats().values() if format_.recognises(source)]
    if len(claims) > 1:
        names = " and ".join(format_.title for format_ in claims)
        hint = " or ".join(f"--from {format_.name}" for format_ in claims)
        raise ConfigError(f"{source.name} may be {names}", code="format.ambiguous", hint=f"say {hint}")
    return claims[0] if claims else None


def _converted(format_: Format, source: Source, reading: Reading) -> ConvertedDocument:
    convert = format_.convert
    if isinstance(convert, str):
        module, _, function = convert.partition(":")
        convert = getattr(importlib.import_module(module), function)
    converted: Converted = convert(source, reading.wishes)
    try:
        data = decode(encode(converted.document))
    except InvalidValue as error:
        message = f"{source.name} does not convert: {error.message} at {error.pointer or '/'}"
        raise ConfigError(message, code="format.invalid") from error
    return ConvertedDocument(source.name, data, converted, format_.name, reading)
