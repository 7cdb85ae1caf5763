"""From a recipe to a native document. Pure: no file is read but the recipe, and no module imported.

Every step becomes a step of the same name. Where any of them says what it depends on, or the recipe asks for
parallel execution, the steps are a graph; else they run one after the other, as Framework0 runs them.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from nodeling.errors import ConfigError, nearest
from nodeling.formats import Converted, Source, Wishes
from nodeling_bridges.framework0.draft import Draft
from nodeling_bridges.framework0.expressions import Expressions, plain
from nodeling_bridges.framework0.steps import Steps

__all__ = ["convert", "load"]

_TOP = ("metadata", "execution", "parameters", "test_meta", "steps", "name", "version", "description")
_EXECUTION = ("timeout_seconds", "retry_attempts", "parallel_execution", "max_concurrent_steps")
_PARAMETER = ("name", "required", "default", "description")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*-\s*)?(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|\w+)")
_UNITS = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "hr": "h", "day": "d"}


def load(data: dict[str, Any], *, name: str = "recipe.yaml") -> dict[str, Any]:
    """The native document of a recipe that has been read already.

    Raises:
        ConfigError: Something in it means nothing.
    """
    return convert(Source(name, "", data), Wishes()).document


def convert(source: Source, wishes: Wishes) -> Converted:
    """The native document, and what of the recipe is not in it.

    Raises:
        ConfigError: Something in it means nothing, or names a module that it must not; all is listed.
    """
    data = source.data
    if not isinstance(data, dict):
        raise ConfigError(f"{source.name} is no recipe: it holds no object", code="framework0.shape")
    draft = Draft(source, wishes)
    draft.strangers(data, _TOP, "", "the recipe")
    execution = draft.mapping(data, "execution", "")
    draft.strangers(execution, _EXECUTION, "/execution", "`execution`")
    document = _head(draft, data)
    settings = _settings(draft, execution)
    if settings:
        document["settings"] = settings
    declared = _parameters(draft, data)
    steps = Steps(draft, data, execution)
    is_open = declared is None or "parameters" not in data
    draft.expressions = Expressions(
        f'steps["{steps.start}"].output.params', None if is_open else tuple(declared or ())
    )
    document["steps"] = [_start(document, steps, declared, is_open=is_open), *steps.native()]
    _judge_bindings(draft, steps)
    if draft.faults:
        count = f"{len(draft.faults)} faults" if len(draft.faults) > 1 else "a fault"
        faults = [*draft.faults, *draft.notes]
        raise ConfigError(f"{source.name} has {count}", code="framework0.faults", faults=faults)
    return Converted(document, draft.notes, draft.places)


def _head(draft: Draft, data: dict[str, Any]) -> dict[str, Any]:
    """What the recipe is called, and what is said of it."""
    meta, test = draft.mapping(data, "metadata", ""), draft.mapping(data, "test_meta", "")
    said: dict[str, Any] = {**test, **meta}
    said.update({key: data[key] for key in ("name", "version", "description") if key in data})
    name = said.get("name", said.get("test_id", said.get("template_name")))
    found: dict[str, Any] = {
        "name": name if isinstance(name, str) and name else PurePath(draft.source.name).stem
    }
    if "version" in said:
        found["version"] = str(said["version"])
    for key in ("description", "author"):
        if isinstance(said.get(key), str):
            found[key] = said[key]
    tags = draft.texts(meta, "tags", "/metadata")
    if tags:
        found["tags"] = tags
    estimate = _duration(said.get("estimated_duration"))
    if estimate is not None:
        found["estimated_duration"] = estimate
    kept = {key: value for key, value in said.items() if found.get(key) != value}
    if kept:
        found["metadata"] = {"framework0": kept}
    return found


def _duration(said: Any) -> str | None:
    """A length of time in words, such as `45-60 seconds`: the longer one of two."""
    if isinstance(said, (int, float)) and not isinstance(said, bool) and said > 0:
        return f"{round(said * 1_000)}ms"
    match = _DURATION.fullmatch(said.strip().lower()) if isinstance(said, str) else None
    if match is None:
        return None
    unit = match[2] if match[2] in ("ms", "s", "m", "h", "d") else _UNITS.get(match[2].rstrip("s"))
    return None if unit is None or float(match[1]) <= 0 else f"{match[1]}{unit}"


def _settings(draft: Draft, execution: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    timeout = draft.seconds(execution, "timeout_seconds", "/execution")
    if timeout is not None:
        found["timeout"] = timeout
    limit = draft.number(execution, "max_concurrent_steps", "/execution", 1)
    if execution.get("parallel_execution") is False:
        limit = 1
    elif not isinstance(execution.get("parallel_execution", True), bool):
        draft.fault(
            "framework0.shape", "/execution/parallel_execution", "`parallel_execution` is true or false"
        )
    if limit is not None:
        found["max_concurrent"] = limit
    return found


def _parameters(draft: Draft, data: dict[str, Any]) -> dict[str, Any] | None:
    """The declared parameters; None when there is no such list.

    What a template says of its parameters describes some of them: it gives defaults, and forbids no others.
    """
    meta = draft.mapping(data, "metadata", "")
    pointer, listed = "/parameters", data.get("parameters")
    if listed is None and "template_parameters" in meta:
        pointer, listed = "/metadata/template_parameters", meta["template_parameters"]
    if listed is None:
        return None
    if not isinstance(listed, list):
        draft.fault("framework0.shape", pointer, "parameters are a list of objects with a `name`")
        return None
    found: dict[str, Any] = {}
    for index, about in enumerate(listed):
        place = f"{pointer}/{index}"
        if not isinstance(about, dict):
            draft.fault("framework0.shape", place, "a parameter is an object with a `name`")
            continue
        draft.strangers(about, _PARAMETER, place, "a parameter")
        name = draft.text(about, "name", place, "a parameter")
        found[name] = {key: about[key] for key in ("default",) if key in about}
        if isinstance(about.get("required"), bool):
            found[name]["required"] = about["required"]
    return found


def _start(
    document: dict[str, Any], steps: Steps, declared: dict[str, Any] | None, *, is_open: bool
) -> dict[str, Any]:
    recipe = {key: document[key] for key in ("name", "version") if key in document}
    inputs: dict[str, Any] = {
        "recipe": _literal({**recipe, "steps": [steps.start, *steps.names]}),
        "given": "${ctx.request.body}",
    }
    if declared is not None:
        inputs["parameters"] = _literal(declared)
        inputs["open"] = is_open
    found: dict[str, Any] = {
        "name": steps.start,
        "node": "framework0-start",
        "inputs": inputs,
        "set_var": False,
    }
    return {**found, "needs": []} if steps.is_graph else found


def _literal(value: Any) -> Any:
    """A value whose texts nobody takes for expressions."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    return plain(value) if isinstance(value, str) else value


def _judge_bindings(draft: Draft, steps: Steps) -> None:
    for name in draft.wishes.bindings:
        if name not in steps.bindable:
            near = nearest(name, steps.bindable)
            hint = f"did you mean {near!r}?" if near else None
            draft.note("", f"--bind names {name!r}, which is no step and no scriptlet of this recipe", hint)
