"""What this bridge registers: the format of Blok's workflow files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling.formats import Format, Source
from nodeling.hookspecs import hookimpl

_SHAPES = ("use", "branch", "switch", "forEach", "loop", "tryCatch", "wait", "subworkflow")


def recognises(source: Source) -> bool:
    """Whether a document is Blok's: it has a trigger, or steps of a shape that native ones lack.

    A document of the first generation that has none of them is a native document as it stands.
    """
    data = source.data
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
        return False
    if isinstance(data.get("trigger"), dict) or "schemaVersion" in data:
        return True
    steps = [step for step in data["steps"] if isinstance(step, dict)]
    return any(_is_second(step) for step in steps)


def _is_second(step: dict[str, Any]) -> bool:
    return isinstance(step.get("id"), str) and "name" not in step and any(key in step for key in _SHAPES)


@hookimpl
def nodeling_register_formats(register: Callable[[Format], None]) -> None:
    """Bring the format."""
    register(Format("blok", "a Blok workflow", recognises, "nodeling_bridges.blok.load:convert"))
