"""The functions that the documents of this bridge call."""

from __future__ import annotations

from typing import Any

from nodeling.hookspecs import hookimpl


def merged(outputs: list[Any]) -> dict[str, Any]:
    """The contexts that tasks left, as one: from the one that ended first to the last."""
    from nodeling_bridges.cloacina.context import merged as as_one

    given = sorted((one for one in outputs if one), key=lambda one: one["ended"])
    return as_one(one["context"] for one in given)


def rule(said: dict[str, Any], states: dict[str, str], context: dict[str, Any]) -> bool:
    """Whether a trigger rule holds."""
    from nodeling_bridges.cloacina.rules import holds

    return holds(said, states, context)


@hookimpl
def nodeling_register_expression_functions(register: Any) -> None:
    """Bring the functions."""
    register("cloacina_merged", merged, min_args=1, max_args=1, doc="Contexts of Cloacina's tasks as one.")
    register("cloacina_rule", rule, min_args=3, max_args=3, doc="Whether a trigger rule of Cloacina's holds.")
