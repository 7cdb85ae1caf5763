"""Formats of other systems: how a package teaches nodeling to read their workflow files.

A `Format` recognises its documents by their content and turns one into a native document. Both are
pure: they see the text, never the disk, and run nothing. What cannot be carried over is told as a
note with its line, never dropped; what would change the meaning is a `ConfigError` with faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from nodeling._dataclass import dataclass
from nodeling._python import SLOTS
from nodeling.errors import Fault

__all__ = ["Converted", "Format", "Recogniser", "Source", "Wishes"]

Position = tuple[int, int]


@dataclass(frozen=True, **SLOTS)
class Source:
    """One file of another system, as it was read.

    Attributes:
        name: The file's name, as faults shall show it.
        text: Its text.
        data: What it holds when it is JSON or YAML; None when it is neither.
        locate: The 1-based line and column of a JSON pointer into `data`; None where it is unknown.
    """

    name: str
    text: str
    data: Any = None
    locate: Callable[[str], Position | None] = lambda pointer: None

    def fault(
        self,
        code: str,
        message: str,
        pointer: str = "",
        *,
        at: Position | None = None,
        hint: str | None = None,
        warning: bool = False,
    ) -> Fault:
        """A fault or, with `warning`, a note about a place: a pointer into `data`, or a line and column."""
        line, column = at or self.locate(pointer) or (None, None)
        return Fault(code, message, pointer, hint, self.name, line, column, "warning" if warning else "error")


@dataclass(frozen=True, **SLOTS)
class Wishes:
    """What the one who converts has said about it.

    Attributes:
        bindings: Which node stands for what the other system keeps elsewhere (`--bind NAME=NODE`).
        parameters: The texts of the parameter files that were named (`--parameter-file`), by name.
        dry_run: The document is to be read, and shall never run: bindings may be missing.
    """

    bindings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, **SLOTS)
class Converted:
    """A native document, and what is to be known about how it came about.

    Attributes:
        document: The native document.
        notes: What was not carried over, each with its line; `Source.fault(…, warning=True)` makes them.
        places: For pointers into the native document, the line and column that they come from. A
            fault of the native document is shown at the nearest pointer above it that stands here.
        nodes: Folders with node folders that the document needs.
        plan: A text that tells how the workflow will decide, for `--dry-run`; empty when there is none.
    """

    document: dict[str, Any]
    notes: Sequence[Fault] = ()
    places: Mapping[str, Position] = field(default_factory=dict)
    nodes: Sequence[Path] = ()
    plan: str = ""


Recogniser = Callable[[Source], bool]


@dataclass(frozen=True, **SLOTS)
class Format:
    """A kind of workflow file.

    Attributes:
        name: What `--from` calls it.
        title: What people call it.
        recognises: Whether a file is one of these, from its content; it is asked about every workflow
            file, so it looks at a key or two and imports nothing.
        convert: A function of a `Source` and `Wishes` that gives a `Converted`; or, so that it is
            imported when it is needed, its `package.module:function`.
    """

    name: str
    title: str
    recognises: Recogniser
    convert: str | Callable[[Source, Wishes], Converted]
