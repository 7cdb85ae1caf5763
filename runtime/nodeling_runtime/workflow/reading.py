"""What every part of the loader shares: the document, the registry and the list of faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

from nodeling._dataclass import dataclass
from nodeling.errors import Fault, nearest
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.expressions.functions import FunctionTable
from nodeling_runtime.expressions.template import Template, TemplateErrors, compile_template
from nodeling_runtime.registry import Registry
from nodeling_runtime.workflow.duration import DurationError, milliseconds
from nodeling_runtime.workflow.model import Workflow

T = TypeVar("T")
OLD_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}  # of YAML 1.1; texts since


@dataclass(frozen=True, slots=True)
class Included:
    """A workflow that was included, and how many are inside one another below it."""

    workflow: Workflow
    height: int


def identity_of(document: Document) -> str:
    """What tells a document from others: its file, when it has one."""
    path = Path(document.name)
    return str(path.resolve()) if path.exists() else document.name


@dataclass
class Reading:
    """One document under way: faults are collected, never raised one by one."""

    document: Document
    registry: Registry
    functions: FunctionTable
    faults: list[Fault] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    nodes: Mapping[str, Any] = field(default_factory=dict)
    trail: tuple[str, ...] = ()  # this file, behind those of the workflows that include it
    inclusions: dict[str, Included | None] = field(default_factory=dict)  # by file; None: it cannot be read
    pinned: Mapping[str, Any] = field(default_factory=dict)  # documents as they were, by file
    height: int = 0  # how many workflows are inside one another below this one

    def inside(self, document: Document) -> Reading:
        """The reading of a workflow that this one includes."""
        trail = (*self.trail, identity_of(document))
        return Reading(
            document,
            self.registry,
            self.functions,
            trail=trail,
            inclusions=self.inclusions,
            pinned=self.pinned,
        )

    def fault(
        self,
        code: str,
        message: str,
        pointer: str,
        hint: str | None = None,
        *,
        key: bool = False,
        inside: int = 0,
    ) -> None:
        """Record one fault at a place of the document: a value, its key, or a character of a text."""
        self.faults.append(self.document.fault(code, message, pointer, hint=hint, key=key, inside=inside))

    def warn(self, code: str, message: str, pointer: str, hint: str | None = None) -> None:
        """Record something that is probably not meant."""
        self.faults.append(self.document.fault(code, message, pointer, hint=hint, severity="warning"))

    def mapping(self, value: Any, what: str, pointer: str) -> Mapping[str, Any]:
        """`value` when it is an object, else a fault and an empty one."""
        if isinstance(value, dict):
            return value
        self.fault("document.type", f"{what} is an object, not {kind_of(value)}", pointer)
        return {}

    def unknown_keys(
        self, value: Mapping[str, Any], known: Iterable[str], what: str, pointer: str
    ) -> set[str]:
        """A fault for each key that nobody reads; returns the keys that were probably meant instead."""
        names = list(known)
        meant: set[str] = set()
        for key in value:
            if key in names or key.startswith("x-"):
                continue
            place = f"{pointer}/{escape(key)}"
            near = nearest(key, names)
            if near and near not in value:
                meant.add(near)
            hint = f"did you mean {near!r}?" if near else f"it may have {', '.join(names)}"
            self.fault("document.unknown_key", f"{what} has no key {key!r}", place, hint, key=True)
        return meant

    def choice(self, value: Any, options: tuple[T, ...], what: str, pointer: str, default: T) -> T:
        """`value` when it is one of the options, else a fault and the default."""
        for option in options:
            if value == option and type(value) is type(option):
                return option
        words = [str(option) for option in options]
        near = nearest(value, words) if isinstance(value, str) else None
        hint = f"did you mean {near!r}?" if near else None
        self.fault("document.value", f"{what} is {' or '.join(words)}, not {brief(value)}", pointer, hint)
        return default

    def boolean(self, value: Any, what: str, pointer: str, default: bool) -> bool:
        """`value` when it is true or false, else a fault and the default."""
        if isinstance(value, bool):
            return value
        self.fault("document.type", f"{what} is true or false, not {brief(value)}", pointer)
        return default

    def text(self, value: Any, what: str, pointer: str, default: str = "") -> str:
        """`value` when it is a string that is not empty, else a fault and the default."""
        if isinstance(value, str) and value:
            return value
        self.fault("document.type", f"{what} is a text, not {brief(value)}", pointer)
        return default

    def count(self, value: Any, what: str, pointer: str, default: int) -> int:
        """`value` when it is a whole number from 1 up, else a fault and the default."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        self.fault("document.value", f"{what} is a whole number from 1 up, not {brief(value)}", pointer)
        return default

    def duration(self, value: Any, pointer: str) -> float | None:
        """`value` as milliseconds, or a fault and None."""
        try:
            return milliseconds(value)
        except DurationError as error:
            self.fault("document.duration", error.message, pointer, error.hint)
            return None

    def duration_or_expression(self, value: Any, pointer: str) -> float | Template | None:
        """A duration, or an expression that gives one when the step starts."""
        if is_expression(value):
            return self.template(value, pointer)
        return self.duration(value, pointer)

    def template(self, value: Any, pointer: str, *, hidden: int = 0) -> Template | None:
        """`value` compiled, or the faults of its expressions and None.

        `hidden` characters at its beginning do not stand in the document.
        """
        try:
            return compile_template(value, self.functions, root_pointer=pointer)
        except TemplateErrors as errors:
            for where, error, offset in errors.found:
                self.fault(str(error.code), error.message, where, error.hint, inside=max(0, offset - hidden))
            return None

    def condition(self, value: Any, what: str, pointer: str) -> Template | None:
        """A boolean, or an expression that gives one."""
        if isinstance(value, bool) or is_expression(value):
            return self.template(value, pointer)
        message = f"{what} is true, false or an expression, not {brief(value)}"
        hint = "write ${…}"
        if isinstance(value, str) and value:
            meant = OLD_BOOLEANS.get(value.lower())
            hint = f"write {meant}" if meant else f"write ${{{value}}}"
        self.fault("document.condition", message, pointer, hint)
        return None


def is_expression(value: Any) -> bool:
    """Whether a string is one whole expression."""
    if not isinstance(value, str):
        return False
    text = value.strip()
    return text.startswith("js/") or (text.startswith("${") and text.endswith("}"))


def escape(key: str) -> str:
    """A key as one part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def kind_of(value: Any) -> str:
    """What a JSON value is, in a word."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}[type(value)]


def brief(value: Any) -> str:
    """A value for an error message."""
    if isinstance(value, (dict, list)):
        return kind_of(value)
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
