"""A manifest from a typed function: nobody writes a schema twice.

msgspec turns type hints into JSON Schema; what it does not know (pydantic models) says its own. The
result is the same document that `nodectl schema --write` puts into `config.json`.
"""

from __future__ import annotations

import collections.abc
import inspect
import typing
from typing import Any

from nodeling.errors import PluginError
from nodeling.manifest import Manifest
from nodeling.node import NodeDefinition

CHUNKED = (
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Iterable,
    collections.abc.AsyncIterable,
)
_KEPT = ("effects", "reads", "env", "secrets", "examples", "group")


def manifest_of(definition: NodeDefinition) -> Manifest:
    """The manifest of a function under `@node`."""
    return Manifest.from_data(document_of(definition))


def document_of(definition: NodeDefinition) -> dict[str, Any]:
    """The same as a `config.json`."""
    options = definition.options
    document: dict[str, Any] = {
        "name": definition.name,
        "version": options.get("version", "0.1.0"),
        "description": definition.description,
        "inputs": _inputs(definition),
        "output": _output(definition),
    }
    if options.get("blocking") is False:
        document["runtime"] = {"type": "python", "blocking": False}
    document.update({key: options[key] for key in _KEPT if key in options})
    return document


def _inputs(definition: NodeDefinition) -> dict[str, Any] | bool:
    hints = definition.hints()
    parameters = definition.parameters()
    if definition.takes_mapping():
        return _schema(hints.get(parameters[0].name, Any), definition) or {"type": "object"}
    properties: dict[str, Any] = {}
    required: list[str] = []
    definitions: dict[str, Any] = {}
    open_ended = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
            continue
        schema = _schema(hints.get(parameter.name, Any), definition)
        definitions.update(schema.pop("$defs", {}))
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
        elif _is_plain(parameter.default):
            schema = {**schema, "default": parameter.default}
        properties[parameter.name] = schema
    out: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        out["required"] = required
    if not open_ended:
        out["additionalProperties"] = False
    if definitions:
        out["$defs"] = definitions
    return out


def _output(definition: NodeDefinition) -> dict[str, Any] | bool:
    hint = definition.hints().get("return", Any)
    origin = typing.get_origin(hint)
    if origin in CHUNKED or hint in CHUNKED:
        return _chunks(hint, definition)
    if hint is type(None):
        return {"type": "null"}
    return _schema(hint, definition) or True


def _chunks(hint: Any, definition: NodeDefinition) -> dict[str, Any] | bool:
    """A generator gives its return value, or the list of what it yields."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is collections.abc.Generator and len(arguments) == 3:
        if arguments[2] is not type(None):
            return _schema(arguments[2], definition) or True
    item = _schema(arguments[0], definition) if arguments else {}
    definitions = item.pop("$defs", {})
    return {"type": "array", "items": item, **({"$defs": definitions} if definitions else {})}


def _schema(hint: Any, definition: NodeDefinition) -> dict[str, Any]:
    if hint is Any or hint is inspect.Parameter.empty or hint is object:
        return {}
    own = getattr(hint, "model_json_schema", None)
    if callable(own):
        found: dict[str, Any] = own()
        return found
    import msgspec

    try:
        (schema,), components = msgspec.json.schema_components([hint], ref_template="#/$defs/{name}")
    except (TypeError, ValueError) as error:
        why = str(error).splitlines()[-1]
        raise PluginError(
            f"the type {hint!r} of node {definition.name!r} has no JSON form: {why}",
            code="node.hints",
            hint="use str, int, float, bool, list, dict, Any, dataclasses, TypedDicts or enums",
        ) from error
    if set(schema) == {"$ref"} and len(components) == 1:
        body = dict(next(iter(components.values())))
        if "#/$defs/" not in str(body):
            return body
    return {**schema, "$defs": components} if components else dict(schema)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))
