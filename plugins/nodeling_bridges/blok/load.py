"""A Blok document as a native one: pure, without a disk or a process.

Both generations come in by this door, and documents that mix them: steps with `name` and `node` whose
settings stand in `nodes`, steps with `id` and `use`, structural references in either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nodeling.errors import ConfigError
from nodeling.formats import Converted, Source, Wishes
from nodeling_bridges.blok.draft import Draft, escaped
from nodeling_bridges.blok.steps import Steps

__all__ = ["convert", "load"]

_TOP = (
    "$schema",
    "schemaVersion",
    "name",
    "version",
    "description",
    "trigger",
    "middleware",
    "steps",
    "nodes",
)

_READ = re.compile(
    r"""(?:\bctx\s*\??\.\s*(?:state|vars)|\bvars)\s*"""
    r"""(?:(?:\?\.)?\[\s*['"]([^'"]+)['"]\s*\]|\??\.\s*([A-Za-z_$][\w$]*))"""
)


def load(data: dict[str, Any], *, name: str = "workflow.json") -> dict[str, Any]:
    """The native document of a Blok document that has been read already.

    Raises:
        ConfigError: Something in it would mean something else here.
    """
    return convert(Source(name, "", data), Wishes()).document


def convert(source: Source, wishes: Wishes) -> Converted:
    """The native document, and what of the other one is not in it.

    Raises:
        ConfigError: Something in it would mean something else here; all of that is listed.
    """
    data = source.data
    if not isinstance(data, dict):
        raise ConfigError(f"{source.name} is no Blok workflow: it holds no object", code="format.invalid")
    draft = Draft(source, wishes, is_first=_is_first(data))
    draft.workflow = str(data.get("name") or source.name)
    _look_ahead(draft, data)
    configs = draft.mapping(data.get("nodes", {}), "/nodes", "`nodes`")
    draft.strangers(data, _TOP, "", "this workflow")
    steps = Steps(draft, configs)
    made = steps.scope(data.get("steps"), "/steps", "/steps", "`steps`")
    for name in configs:
        if name not in steps.used:
            draft.note("unused", f"/nodes/{escaped(name)}", f"`nodes.{name}` belongs to no step")
    document = {**_head(draft, data), "steps": made}
    if draft.faults:
        message = f"{source.name} cannot be converted as it is"
        raise ConfigError(message, code="format.invalid", faults=draft.faults)
    return Converted(document, draft.notes, draft.places)


def _is_first(data: dict[str, Any]) -> bool:
    """Whether a document is of the first generation: nothing in it says that it is of the second."""
    steps = data.get("steps")
    second = (
        [step for step in steps if isinstance(step, dict) and "id" in step] if isinstance(steps, list) else []
    )
    return not second and "schemaVersion" not in data


def _head(draft: Draft, data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: data[key] for key in ("name", "version", "description") if data.get(key)}
    kept: dict[str, Any] = {}
    if isinstance(data.get("trigger"), dict):
        kept["trigger"] = data["trigger"]
        kinds = ", ".join(data["trigger"])
        message = f"the trigger ({kinds}) is kept with the run and starts nothing"
        hint = "nodectl run FILE --input @body.json, or --request request.json for a whole request"
        draft.note("trigger", "/trigger", message, hint)
        for kind, about in data["trigger"].items():
            if isinstance(about, dict) and "middleware" in about:
                _no_middleware(draft, f"/trigger/{escaped(kind)}/middleware")
    if "middleware" in data:
        _no_middleware(draft, "/middleware")
        kept["middleware"] = data["middleware"]
    if draft.ui:
        kept["ui"] = draft.ui
    if kept:
        found["metadata"] = {"blok": kept}
    if draft.env:
        found["settings"] = {"env": sorted(draft.env)}
    return found


def _no_middleware(draft: Draft, pointer: str) -> None:
    hint = "put its steps before the others, or run it as a `subworkflow` step"
    draft.note("middleware", pointer, "middleware does not run here", hint)


def _look_ahead(draft: Draft, data: dict[str, Any]) -> None:
    """Find every step's name, every loop and what is read of them before anything is converted."""
    draft.read.update(_names_read(data))
    seen: set[str] = set()
    for step in _all_steps([data.get("steps"), data.get("nodes")]):
        name = step.get("id", step.get("name"))
        if not isinstance(name, str):
            continue
        draft.repeated.update({name} & seen)
        seen.add(name)
        draft.names.add(step["as"] if isinstance(step.get("as"), str) else name)
        loop = step.get("forEach")
        if isinstance(loop, dict):
            draft.loops.add(name)
            item = loop.get("as", "item")
            draft.names.update((str(item), f"{item}Index"))
        if isinstance(step.get("loop"), dict):
            draft.names.add(f"{name}Index")


def _names_read(value: Any) -> Iterator[str]:
    """The names of outputs and variables that the expressions of a document read."""
    if isinstance(value, str):
        yield from (match[1] or match[2] for match in _READ.finditer(value))
    elif isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, dict) and isinstance(reference.get("step"), str):
            yield reference["step"]
        for item in value.values():
            yield from _names_read(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names_read(item)


def _all_steps(values: list[Any]) -> Iterator[dict[str, Any]]:
    """Every object that is, or may be, a step."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if "id" in value or "name" in value:
                yield value
            waiting.extend(value.values())
