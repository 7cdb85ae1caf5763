"""Faults of documents, as people read them: all of them, by file, each with its line and a caret."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from nodeling.errors import Fault, NodelingError
from nodeling.fault import one_line
from nodeling_runtime.cli.output import talk

if TYPE_CHECKING:
    from nodeling_runtime.expressions.errors import ExpressionError

WIDEST = 160  # a longer line is cut around the place that matters


def print_faults(faults: Sequence[Fault]) -> None:
    """Print every fault on stderr, grouped by file, and then how many there were."""
    if not faults:
        return
    for text in lines_of(faults):
        talk(text)
    talk(count_of(faults), bold=True)


def lines_of(faults: Sequence[Fault]) -> Iterable[str]:
    """The lines that show the faults."""
    sources: dict[str, list[str]] = {}
    for fault in _grouped(faults):
        mark = click.style("warning: ", fg="yellow") if fault.severity == "warning" else ""
        yield f"{mark}{fault}"
        if fault.file is not None and fault.line is not None:
            if fault.file not in sources:
                sources[fault.file] = _read(fault.file)
            yield from _excerpt(sources[fault.file], fault.line, fault.column or 1)


def count_of(faults: Sequence[Fault]) -> str:
    """`2 errors and 1 warning in flow.yaml`."""
    errors = sum(1 for fault in faults if fault.severity == "error")
    warnings = len(faults) - errors
    words = [_number(errors, "error")] if errors else []
    words += [_number(warnings, "warning")] if warnings else []
    files = list(dict.fromkeys(fault.file for fault in faults if fault.file))
    where = f" in {one_line(files[0])}" if len(files) == 1 else f" in {len(files)} files" if files else ""
    return f"{' and '.join(words)}{where}"


def expression_errors(error: NodelingError) -> list[ExpressionError]:
    """The errors of single expressions that an error consists of: itself, or a template's."""
    from nodeling_runtime.expressions.errors import ExpressionError
    from nodeling_runtime.expressions.template import TemplateErrors

    if isinstance(error, TemplateErrors):
        return [one for _, one, _ in error.found]
    return [error] if isinstance(error, ExpressionError) else []


def print_expression(error: ExpressionError) -> None:
    """Print what is wrong with one expression, its text with a caret, and what to try."""
    talk(f"nodectl: {error.message}")
    source = error.source or ""
    before = source[: error.position or 0]
    number, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    for line in _excerpt(source.split("\n"), number, column):
        talk(line)
    if error.hint:
        talk(f"try: {error.hint}")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _grouped(faults: Sequence[Fault]) -> list[Fault]:
    """By file in the order of first mention, errors before warnings, then from top to bottom."""
    order = {name: place for place, name in enumerate(dict.fromkeys(fault.file for fault in faults))}
    return sorted(
        faults,
        key=lambda fault: (order[fault.file], fault.severity != "error", fault.line or 0, fault.column or 0),
    )


def _read(name: str) -> list[str]:
    try:
        with open(name, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []  # a document without a file shows no line


def _excerpt(lines: list[str], number: int, column: int) -> Iterable[str]:
    if not 1 <= number <= len(lines):
        return
    text, place = lines[number - 1], column - 1
    if len(text) > WIDEST:
        start = max(0, min(place - WIDEST // 2, len(text) - WIDEST))
        text, place = text[start : start + WIDEST], place - start
    gutter = f"{number:>5} | "
    # a tab before the caret stays a tab, so that both lines are equally wide whatever a tab is worth
    blank = "".join("\t" if letter == "\t" else " " for letter in text[:place])
    yield f"{gutter}{_printable(text)}"
    yield " " * (len(gutter) - 2) + "| " + blank + click.style("^", fg="red", bold=True)


def _printable(text: str) -> str:
    """The line without characters that would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in text)


def relative(name: str) -> str:
    """A path as short as it can be said from here."""
    try:
        short = os.path.relpath(name)
    except ValueError:
        return name
    return name if short.startswith("..") else short
