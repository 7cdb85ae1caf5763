"""Reading a workflow that another one includes; inclusion never goes in a circle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nodeling.errors import ConfigError
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.formats import notes_of, open_workflow, reading_of
from nodeling_runtime.workflow.model import Workflow
from nodeling_runtime.workflow.reading import Included, Reading, is_expression

DEEPEST_INCLUSION = 16
SUFFIXES = (".yaml", ".yml", ".json")


def read_included(reading: Reading, value: Any, pointer: str) -> Workflow | None:
    """The workflow whose file a step names; None when there is none to be had, and why is said."""
    name = reading.text(value, "a workflow's file", pointer)
    if not name:
        return None
    if is_expression(name):
        reading.fault("document.value", "a workflow's file is written out, not computed", pointer)
        return None
    path = _find(Path(reading.document.name).parent / name)
    identity = str(path.resolve())
    if identity in reading.trail:
        walk = (*reading.trail[reading.trail.index(identity) :], identity)
        message = f"this workflow includes itself: {' → '.join(Path(one).name for one in walk)}"
        reading.fault("workflow.includes_itself", message, pointer, "leave one of these steps out")
        return None
    if len(reading.trail) >= DEEPEST_INCLUSION:
        _too_deep(reading, pointer)
        return None
    if identity not in reading.inclusions:
        reading.inclusions[identity] = _load(reading, path, pointer)
    found = reading.inclusions[identity]
    if found is None:
        return None
    if len(reading.trail) + found.height >= DEEPEST_INCLUSION:
        _too_deep(reading, pointer)
        return None
    reading.height = max(reading.height, found.height + 1)
    return found.workflow


def _too_deep(reading: Reading, pointer: str) -> None:
    message = f"more than {DEEPEST_INCLUSION} workflows would be inside one another here"
    reading.fault("workflow.depth", message, pointer)


def _find(path: Path) -> Path:
    if path.is_file() or path.suffix:
        return path
    return next((p for p in (path.with_suffix(suffix) for suffix in SUFFIXES) if p.is_file()), path)


def _load(reading: Reading, path: Path, pointer: str) -> Included | None:
    pinned = reading.pinned.get(str(path.resolve()))
    if pinned is not None:
        return _read(reading, Document(pinned, str(path)))
    if not path.is_file():
        hint = "the path starts at this workflow's folder"
        reading.fault("document.not_found", f"there is no workflow file {str(path)!r}", pointer, hint)
        return None
    try:
        document = open_workflow(path, reading_of(reading.document))
    except ConfigError as error:
        reading.faults.extend(error.in_file(str(path)))
        return None
    reading.faults.extend(notes_of(document))
    return _read(reading, document)


def _read(reading: Reading, document: Document) -> Included | None:
    from nodeling_runtime.workflow.load import read_workflow

    inner = reading.inside(document)
    workflow = read_workflow(inner)
    reading.faults.extend(inner.faults)
    return None if workflow is None else Included(workflow, inner.height)
