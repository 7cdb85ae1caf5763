"""JSON Schema for nodes: values judged as the runtime judges inputs and outputs.

The engine does the judging, so a node that uses this runs in the runtime's own process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from nodeling.errors import Fault

__all__ = ["compile_schema"]


def compile_schema(schema: Any, where: str = "a value") -> Callable[[Any], list[Fault]]:
    """A function that lists every fault of a value by a JSON Schema, each with its pointer.

    Args:
        schema: The schema, draft 2020-12 unless it says otherwise. Its references stay inside it.
        where: What the schema belongs to, for the error that says it is wrong.

    Raises:
        ConfigError: The schema is not valid.
    """
    faults: Callable[[Any], list[Fault]] = _engine().compile_schema(schema, where)
    return faults


@cache
def _engine() -> Any:
    from nodeling.workflow import find_engine

    return find_engine()
