"""Whether a `config.json` is well formed, and how foreign spellings of it are read.

Blok's manifests are taken as they are: `input` beside `inputs`, a `config` schema that wraps the
inputs, tuple-style `items`, `example`, `steps`, `functions`. Whatever is wrong is listed with its
place, all of it at once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodeling
from nodeling.errors import Fault, nearest
from nodeling_runtime.documents.reader import Document
from nodeling_runtime.schemas import Validator, check_schema, compile_schema
from nodeling_runtime.workflow.duration import DurationError, milliseconds

SCHEMA_KEYS = ("config", "inputs", "input", "output")
ANNOTATION = "x-nodeling"
NAMES = "x-nodeling-names"
ANNOTATIONS = (
    "step",
    "steps",
    "expression",
    "template",
    "javascript",
    "workflow",
    "duration",
    "list",
    "secret",
)
BLOK_KEYS = {"steps", "functions"}  # no manifest of ours has them
_SAYS_NOTHING = {"type", "description", "title", "default", "example", "examples"}


@functools.cache
def sdk_schema(name: str) -> dict[str, Any]:
    """One of the JSON Schemas that the SDK ships, such as `node.v1`."""
    text = Path(nodeling.__file__).with_name("schemas").joinpath(f"{name}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@functools.cache
def _validator() -> Validator:
    return compile_schema(sdk_schema("node.v1"), where="node.v1.json")


def normalise(data: Mapping[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """The manifest in our spelling; what is wrong in it stays for `well_formed` to find."""
    out = dict(data)
    if "input" in out and "inputs" not in out:
        out["inputs"] = out.pop("input")
    for key in out.keys() & set(SCHEMA_KEYS):
        out[key] = _without_any(out[key])
    _lift_inputs(out)
    if "runtime" not in out and folder is not None and _is_javascript(folder):
        out["runtime"] = {"type": "runtime.nodejs", "entry": "index.js"}
    return out


def _without_any(schema: Any) -> Any:
    """Blok's `"type": "any"` is no type, and means that any will do."""
    if isinstance(schema, dict) and schema.get("type") == "any":
        return {key: value for key, value in schema.items() if key != "type"}
    return schema


def _lift_inputs(out: dict[str, Any]) -> None:
    """Unwrap a `config` schema that holds what a call is given.

    The wrapped schema becomes `inputs` where that says nothing of its own; what was wrapped is no part
    of a step's `config` in any case.
    """
    config = out.get("config")
    if not isinstance(config, dict) or out.get("flow") or not isinstance(config.get("properties"), dict):
        return
    known, own = config["properties"], out.get("inputs", {})
    wrapped = ("inputs", "conditions") if BLOK_KEYS & out.keys() else ("inputs",)
    if not any(isinstance(known.get(key), dict) for key in wrapped):
        return
    if isinstance(known.get("inputs"), dict) and isinstance(own, dict) and set(own) <= _SAYS_NOTHING:
        out["inputs"] = known["inputs"]
    rest = {key: value for key, value in known.items() if key not in wrapped}
    required = [key for key in config.get("required", []) if key not in wrapped]
    out["config"] = {
        **{k: v for k, v in config.items() if k != "example"},
        "properties": rest,
        "required": required,
    }


def _is_javascript(folder: Path) -> bool:
    return not (folder / "node.py").exists() and any(
        (folder / name).exists() for name in ("index.ts", "index.js")
    )


def well_formed(document: Document, data: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with a manifest."""
    if not isinstance(document.data, dict):
        return [document.fault("manifest.invalid", "a manifest is a JSON object", "")]
    found = [
        document.fault(
            "manifest.invalid",
            fault.message,
            fault.pointer,
            hint=fault.hint,
            key=fault.keyword == "additionalProperties",
        )
        for fault in _validator().check(document.data) or []
    ]
    for key in SCHEMA_KEYS:
        if isinstance(document.data.get(key), (dict, bool)):
            found.extend(
                document.fault("manifest.schema", fault.message, fault.pointer, hint=fault.hint)
                for fault in check_schema(_without_any(document.data[key]), f"/{key}")
            )
    found.extend(_runtime_faults(document, data))
    found.extend(_timeout_faults(document, data.get("timeout")))
    found.extend(_annotation_faults(document, data.get("config"), "/config"))
    return found


def _annotation_faults(document: Document, schema: Any, pointer: str) -> list[Fault]:
    found: list[Fault] = []
    todo = [(schema, pointer)]
    while todo:
        here, where = todo.pop()
        if isinstance(here, Mapping):
            word = here.get(ANNOTATION)
            if word is not None and word not in ANNOTATIONS:
                near = nearest(str(word), ANNOTATIONS)
                hint = f"did you mean {near!r}?" if near else f"it is one of {', '.join(ANNOTATIONS)}"
                found.append(
                    document.fault(
                        "manifest.annotation",
                        f"`{ANNOTATION}` knows no {word!r}",
                        f"{where}/{ANNOTATION}",
                        hint=hint,
                    )
                )
            todo.extend((value, f"{where}/{key}") for key, value in here.items())
    return found


def _runtime_faults(document: Document, data: Mapping[str, Any]) -> list[Fault]:
    runtime = data.get("runtime")
    if not isinstance(runtime, dict):
        return []
    kind = runtime.get("type", "python")
    if kind == "runtime.command" and not runtime.get("command"):
        return [
            document.fault(
                "manifest.command",
                "`runtime.command` needs `command`",
                "/runtime",
                hint='write "command": ["program", "argument"]',
            )
        ]
    return []


def _timeout_faults(document: Document, value: Any) -> list[Fault]:
    if not isinstance(value, str):
        return []
    try:
        milliseconds(value)
    except DurationError as error:
        return [document.fault("manifest.invalid", error.message, "/timeout", hint=error.hint)]
    return []


def without_annotated(schema: Any) -> Any:
    """A schema in which every key that holds no plain value accepts anything."""
    if isinstance(schema, Mapping):
        if ANNOTATION in schema:
            return True
        return {key: without_annotated(value) for key, value in schema.items()}
    return [without_annotated(item) for item in schema] if isinstance(schema, list) else schema
