"""What this bridge registers: the format of recipes, and what their conditions call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodeling.errors import WorkflowError
from nodeling.formats import Format, Source
from nodeling.hookspecs import hookimpl

NAME = "framework0"


def recognises(source: Source) -> bool:
    """Whether a document is a recipe: a step names a module and a function, or is a sub-recipe."""
    data = source.data
    if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
        return False
    return any(_is_recipes(step) for step in data["steps"] if isinstance(step, dict))


def _is_recipes(step: dict[str, Any]) -> bool:
    if "node" in step or "use" in step:
        return False
    return step.get("type") == "sub_recipe" or ("module" in step and "function" in step)


def truth(value: Any) -> bool:
    """Whether a value holds as a condition, by Python's rules; a text `false` is false."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    return bool(value)


def missing(what: str, where: str) -> Any:
    """Fail: a name leads nowhere.

    Raises:
        WorkflowError: Always.
    """
    hint = "correct the name, or have a step before set it"
    raise WorkflowError(f"{where}: {what} leads nowhere", code="framework0.unresolved", hint=hint)


@hookimpl
def nodeling_register_formats(register: Callable[[Format], None]) -> None:
    """Bring the format."""
    register(Format(NAME, "a Framework0 recipe", recognises, "nodeling_bridges.framework0.load:convert"))


@hookimpl
def nodeling_register_expression_functions(register: Any) -> None:
    """Bring the functions."""
    register("framework0_missing", missing, min_args=2, max_args=2, doc="Fails: a name leads nowhere.")
    register("framework0_true", truth, min_args=1, max_args=1, doc="Whether a value holds as a condition.")
