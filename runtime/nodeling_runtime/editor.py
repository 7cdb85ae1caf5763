"""Schemas for editors: the workflow format, enriched with the nodes that are installed.

An editor with them completes node names, shows what a node takes, and marks keys that nobody reads. Where
a value may be an expression the schema lets any `${…}` text pass; `nodectl check` knows more.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodeling.errors import PluginError
from nodeling_runtime.documents.reader import read_document
from nodeling_runtime.documents.writer import to_text
from nodeling_runtime.manifests import ANNOTATION, sdk_schema
from nodeling_runtime.node_check import declared, same_declaration
from nodeling_runtime.node_files import MANIFEST
from nodeling_runtime.registry import NodeSpec, Registry
from nodeling_runtime.workflow.keys import STEP

CHILDREN: dict[str, dict[str, Any]] = {
    "step": {"anyOf": [{"$ref": "#/$defs/step"}, {"$ref": "#/$defs/steps"}]},
    "steps": {"$ref": "#/$defs/steps"},
    "expression": {"$ref": "#/$defs/condition"},
    "javascript": {"type": "string"},
    "workflow": {"type": "string"},
    "duration": {"$ref": "#/$defs/duration"},
}
DEFINITIONS = ("$defs", "definitions")
_MAPS = ("properties", "patternProperties", *DEFINITIONS)
_LEFT_INSIDE = ("$schema", "$id", "example")  # what a schema inside another leaves behind
_LEFT = (*_LEFT_INSIDE, "examples", "required")  # what is required may stand under `nodes` or `parameters`


def node_schema() -> dict[str, Any]:
    """The schema of a node's `config.json`."""
    return copy.deepcopy(sdk_schema("node.v1"))


def workflow_schema(registry: Registry) -> dict[str, Any]:
    """The schema of a workflow that uses the nodes of this registry."""
    schema = copy.deepcopy(sdk_schema("workflow.v1"))
    definitions = schema["$defs"]
    step = definitions["step"]
    names: dict[str, NodeSpec] = {}
    for name in registry.names():
        versions = registry.specs[name]
        names[name] = versions[max(versions)]
    choices = [{"const": name, "description": _described(spec)} for name, spec in names.items()]
    versioned = {"type": "string", "pattern": "^.+@.+$", "description": "name@1.2.0 or name@^1"}
    node = step["properties"]["node"]
    step["properties"]["node"] = {"description": node["description"], "anyOf": [*choices, versioned]}
    step["allOf"] = [_branch(name, spec, definitions) for name, spec in names.items()]
    return schema


def _described(spec: NodeSpec) -> str:
    return f"{spec.manifest.description} ({spec.owner} {spec.manifest.version})".strip()


def _branch(name: str, spec: NodeSpec, definitions: dict[str, Any]) -> dict[str, Any]:
    """What holds for steps that use one node."""
    manifest = spec.manifest
    said: dict[str, Any] = {}
    keys = [*STEP]
    if manifest.flow:
        config = manifest.config if isinstance(manifest.config, Mapping) else {}
        place = f"keys of {name}"
        base = f"#/$defs/{_escape(place)}"
        parts = {key: config[key] for key in ("properties", *DEFINITIONS) if key in config}
        definitions[place] = _open(parts, base, top=True)
        own = parts.get("properties", {})
        said = {key: {"$ref": f"{base}/properties/{_escape(key)}"} for key in own}
        keys = list(dict.fromkeys([*keys, *own]))
    for key, schema in () if manifest.flow else (("inputs", manifest.inputs), ("config", manifest.config)):
        if isinstance(schema, Mapping) and schema:
            place = f"{key} of {name}"
            base = f"#/$defs/{_escape(place)}"
            definitions[place] = _open(schema, base, top=True)
            said[key] = {"$ref": base}
    return {
        "if": {"properties": {"node": {"const": name}}, "required": ["node"]},
        "then": {
            "properties": said,
            "propertyNames": {"anyOf": [{"enum": keys}, {"pattern": "^x-"}]},
        },
    }


def _open(schema: Any, base: str, *, top: bool = False) -> Any:
    """The schema with an expression allowed in the place of every value, and references below `base`."""
    if not isinstance(schema, Mapping):
        return schema
    marked = schema.get(ANNOTATION)
    if marked is not None:
        found = copy.deepcopy(CHILDREN.get(str(marked), {}))
        return {**found, "description": schema["description"]} if "description" in schema else found
    left = _LEFT if top else _LEFT_INSIDE
    out = {key: _keyword(key, value, base) for key, value in schema.items() if key not in left}
    if "type" not in out and top:
        return out
    said = {"description": out.pop("description")} if "description" in out else {}
    held = {key: out.pop(key) for key in DEFINITIONS if key in out}
    return {**said, "anyOf": [out, {"$ref": "#/$defs/expression"}], **held}


def _keyword(key: str, value: Any, base: str) -> Any:
    if key == "$ref" and isinstance(value, str) and value.startswith("#"):
        return base + value[1:]
    if key in _MAPS and isinstance(value, Mapping):
        return {name: _open(item, base) for name, item in value.items()}
    if key == "items" and isinstance(value, Mapping):
        return _open(value, base)
    if key in ("allOf", "anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [_rebased(item, base) for item in value]
    return _rebased(value, base)


def _rebased(value: Any, base: str) -> Any:
    """A value with its references following it; the rest stays as it is."""
    if isinstance(value, Mapping):
        return {
            key: base + item[1:]
            if key == "$ref" and isinstance(item, str) and item[:1] == "#"
            else _rebased(item, base)
            for key, item in value.items()
        }
    return [_rebased(item, base) for item in value] if isinstance(value, list) else value


def _escape(part: str) -> str:
    from urllib.parse import quote

    return quote(part.replace("~", "~0").replace("/", "~1"), safe="~@-._")


def manifest_from_code(folder: Path) -> tuple[Path, bool]:
    """Write the `config.json` that the folder's `@node` function declares; what else it says stays.

    The code is imported, in a process of its own. Gives the file, and whether it changed.

    Raises:
        PluginError: The code does not load, or holds no `@node` function.
    """
    path = folder / MANIFEST
    found = declared(folder)
    if "error" in found:
        raise PluginError(f"the code in {folder} does not load: {found['error']}", code="node.import")
    if not found["document"]:
        raise PluginError(
            f"{folder} holds no function under @node", hint="only typed functions declare a manifest"
        )
    held: dict[str, Any] = dict(read_document(path).data) if path.is_file() else {}
    document: dict[str, Any] = found["document"]
    kept = {key: value for key, value in document.items() if key in found["explicit"] or key not in held}
    changed = {
        key: value for key, value in kept.items() if key not in held or not same_declaration(held[key], value)
    }
    if not changed:
        return path, False
    path.write_text(to_text({**held, **changed}, "json"), encoding="utf-8")
    return path, True
