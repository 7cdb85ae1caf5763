"""Begin a recipe."""

from __future__ import annotations

from typing import Any

from nodeling import Context, NodeError
from nodeling.errors import nearest

AROUND = "$context"  # what the recipe around this one hands on


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Set the context's first values, and give the parameters."""
    given = inputs["given"]
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise NodeError("a recipe is started with parameters by name", code=4001, retryable=False)
    own = inputs["recipe"].get("steps", ())
    around = {key: value for key, value in given.get(AROUND, {}).items() if key not in own}
    for key, value in {**around, **_named(inputs["recipe"])}.items():
        ctx.set(key, value)
    params = {name: value for name, value in given.items() if name != AROUND}
    declared = inputs.get("parameters")
    if declared is None:
        return {"params": params}
    strangers = [] if inputs.get("open", False) else [name for name in params if name not in declared]
    return {"params": _judged(params, declared, strangers)}


def _named(recipe: dict[str, Any]) -> dict[str, Any]:
    return {f"recipe.{key}": value for key, value in recipe.items()}


def _judged(params: dict[str, Any], declared: dict[str, Any], strangers: list[str]) -> dict[str, Any]:
    faults = []
    for name in strangers:
        near = nearest(name, declared)
        hint = f"; did you mean {near!r}?" if near else ""
        faults.append(f"the recipe has no parameter {name!r}{hint}")
    found = dict(params)
    for name, about in declared.items():
        if name in params:
            continue
        if "default" in about:
            found[name] = about["default"]
        elif about.get("required"):
            faults.append(f"the parameter {name!r} is required")
    if faults:
        raise NodeError("; ".join(faults), code=4001, retryable=False, hint="nodectl run FILE -i NAME=VALUE")
    return found
