"""Registers the templates that nodeling ships, through the hook that anybody's templates use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nodeling.hookspecs import hookimpl


@hookimpl
def nodeling_register_templates(register: Callable[[Path], None]) -> None:
    """Register the folder this file stands in: every folder beside it with a `template.json` is one."""
    register(Path(__file__).parent)
