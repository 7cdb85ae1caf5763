"""Checks a frame against the protocol's JSON Schemas with the few keywords they use.

The kit judges programs on machines where nothing but Python is installed, so it brings its own
reader of schemas; one that meets an unknown keyword refuses the schema.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["fault_of", "frame_fault"]

SCHEMAS = Path(__file__).parents[2] / "schemas"
_IGNORED = {"$schema", "$id", "$defs", "title", "description", "$comment", "examples", "default"}
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


@lru_cache(maxsize=4)
def _schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return found


def frame_fault(message: Any, side: str = "node") -> str | None:
    """What is wrong with a frame that `side` (`node` or `host`) sent; None when nothing is."""
    schema = _schema(f"nsp.{side}.v1.json")
    return fault_of(message, schema, schema)


def fault_of(value: Any, schema: Any, root: dict[str, Any], where: str = "") -> str | None:
    """The first thing in which a value breaks a schema."""
    if schema is True or schema is False:
        return None if schema else f"{where or '/'} may not be there"
    for keyword, given in schema.items():
        if keyword in _IGNORED:
            continue
        said = _KEYWORDS[keyword](value, given, root, where, schema)
        if said:
            return str(said)
    return None


def _ref(value: Any, given: str, root: dict[str, Any], where: str, schema: Any) -> str | None:
    return fault_of(value, root["$defs"][given.rpartition("/")[2]], root, where)


def _type(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    names = given if isinstance(given, list) else [given]
    if any(isinstance(value, _TYPES[n]) and (n == "boolean" or not isinstance(value, bool)) for n in names):
        return None
    return f"{where or '/'} is a {type(value).__name__}, not {' or '.join(names)}"


def _properties(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    found = (fault_of(value[k], sub, root, f"{where}/{k}") for k, sub in given.items() if k in value)
    return next((said for said in found if said), None)


def _required(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    missing = [name for name in given if isinstance(value, dict) and name not in value]
    return f"{where or '/'} lacks {missing[0]!r}" if missing else None


def _additional(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    rest = [k for k in value if k not in schema.get("properties", {})]
    return next((s for k in rest if (s := fault_of(value[k], given, root, f"{where}/{k}"))), None)


def _items(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    if not isinstance(value, list):
        return None
    return next(
        (s for i, item in enumerate(value) if (s := fault_of(item, given, root, f"{where}/{i}"))), None
    )


def _choice(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    said = [fault_of(value, option, root, where) for option in given]
    return None if None in said else f"{where or '/'} fits no form: {'; '.join(sorted(set(map(str, said))))}"


def _not(value: Any, given: Any, root: Any, where: str, schema: Any) -> str | None:
    return None if fault_of(value, given, root, where) else f"{where or '/'} has a form that is excluded"


_KEYWORDS: dict[str, Any] = {
    "$ref": _ref,
    "type": _type,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
    "anyOf": _choice,
    "not": _not,
    "const": lambda v, g, r, w, s: None if v == g and type(v) is type(g) else f"{w or '/'} is not {g!r}",
    "enum": lambda v, g, r, w, s: None if v in g else f"{w or '/'} is {v!r}, none of {g}",
    "minimum": lambda v, g, r, w, s: f"{w} is below {g}" if isinstance(v, (int, float)) and v < g else None,
    "maximum": lambda v, g, r, w, s: f"{w} is above {g}" if isinstance(v, (int, float)) and v > g else None,
    "maxLength": lambda v, g, r, w, s: (
        f"{w} is longer than {g}" if isinstance(v, str) and len(v) > g else None
    ),
    "minLength": lambda v, g, r, w, s: f"{w} is empty" if isinstance(v, str) and len(v) < g else None,
}
