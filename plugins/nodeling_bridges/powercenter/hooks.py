"""What this bridge registers: the format, and the functions that its documents use."""

from __future__ import annotations

from typing import Any

from nodeling.formats import Format, Source
from nodeling.hookspecs import hookimpl

NAME = "powercenter"
_MARKS = ("<POWERMART", "<WORKFLOW")


def recognises(source: Source) -> bool:
    """Whether a text is an export, or the element of one workflow."""
    return source.data is None and any(mark in source.text[:65_536] for mark in _MARKS)


@hookimpl
def nodeling_register_formats(register: Any) -> None:
    """Bring the format."""
    convert = "nodeling_bridges.powercenter.load:convert"
    register(Format(NAME, "a PowerCenter export", recognises, convert))


@hookimpl
def nodeling_register_expression_functions(register: Any) -> None:
    """Bring the functions of converted documents; the language itself is loaded when one is called."""
    from nodeling_bridges.powercenter import functions

    for name, function, count, doc in functions.TABLE:
        register(name, function, min_args=count, max_args=count, doc=doc)
