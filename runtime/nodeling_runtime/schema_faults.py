"""Validation errors in our own words.

The validator names what failed; a person wants to know what was expected, what was found, and
which name they probably meant. Values are abbreviated, so that a fault is always one short line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling.errors import nearest

from .schema_document import resolve

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

__all__ = ["SchemaFault", "describe", "describe_schema_error", "place_of", "pointer_of"]

SHOWN = 60
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """One thing wrong with one place of a value."""

    pointer: str
    message: str
    keyword: str
    hint: str | None = None


def pointer_of(path: Iterable[str | int]) -> str:
    """A path as a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def place_of(fault: SchemaFault) -> tuple[tuple[bool, int, str], ...]:
    """Sorts faults by place: what looks like an index as a number, other names as text."""
    steps = fault.pointer.split("/")[1:]
    return tuple((False, int(one), "") if _is_index(one) else (True, 0, one) for one in steps)


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 16


def shown(value: Any) -> str:
    """A value as JSON, abbreviated."""
    import orjson

    if isinstance(value, str):
        value = value[: SHOWN + 1]
        text = f"'{value}'"
    elif isinstance(value, (dict, list)) and len(value) > SHOWN:
        return f"{_type_of(value)} of {len(value)} entries"
    else:
        text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= SHOWN + 2 else text[: SHOWN - 1] + "…"


def describe(error: ValidationError, schema: Any) -> Iterator[SchemaFault]:
    """The faults one validation error stands for: an unknown key each is a fault of its own."""
    data = error.kind.as_dict()
    keyword = error.kind.name
    at = pointer_of(error.instance_path)
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        known = _known_keys(schema, error.schema_path)
        for key in data["unexpected"]:
            where = pointer_of((*error.instance_path, key))
            yield SchemaFault(where, f"unknown key {shown(key)}", keyword, _meant(key, known))
        return
    if keyword in ("anyOf", "oneOf") and data.get("context") and all(data["context"]):
        yield _no_alternative(error, data["context"], schema)
        return
    message, hint = _told(error, data)
    yield SchemaFault(at, message, keyword, hint)


def describe_schema_error(error: ValidationError) -> SchemaFault:
    """What is wrong with one place of a schema, judged by its metaschema."""
    path = error.instance_path
    at, keyword, last = pointer_of(path), error.kind.name, path[-1] if path else ""
    if keyword == "$ref":
        return SchemaFault(at, error.message.splitlines()[0], "$ref")
    if last == "type" or (len(path) > 1 and path[-2] == "type"):
        return SchemaFault(at, *_wrong_type(error.instance))
    if keyword in ("pattern", "format"):
        return SchemaFault(at, f"{shown(error.instance)} is not a regular expression", "pattern")
    fault = next(describe(error, {}))
    subject = f"{last}: " if isinstance(last, str) and last else ""
    return SchemaFault(at, subject + fault.message, str(last or keyword), fault.hint)


def _wrong_type(value: Any) -> tuple[str, str, str]:
    every = f"one of {', '.join(TYPES)}"
    if isinstance(value, list):
        wrong = [name for name in value if name not in TYPES]
        if not wrong:
            return "type: an empty list or a type named twice", "type", every
        value = wrong[0]
    hint = _meant(value, TYPES) if isinstance(value, str) else None
    return f"unknown type {shown(value)}", "type", hint or every


def _known_keys(schema: Any, path: list[str | int]) -> list[str]:
    owner = resolve(schema, "#" + pointer_of(path[:-1]))
    keys: dict[str, None] = {}
    pending, seen = [owner], set()
    while pending:
        part = pending.pop()
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        keys.update(dict.fromkeys(part.get("properties", ())))
        for several in ("allOf", "anyOf", "oneOf"):
            pending.extend(part.get(several, ()))
        if isinstance(part.get("$ref"), str):
            pending.append(resolve(schema, part["$ref"]))
    return list(keys)


def _meant(word: str, known: Iterable[str]) -> str | None:
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(sorted(names))}" if 0 < len(names) <= 8 else None


def _no_alternative(error: ValidationError, context: list[list[ValidationError]], schema: Any) -> SchemaFault:
    at, here = pointer_of(error.instance_path), len(error.instance_path)
    keyword = error.kind.name
    apart = [
        next((one for one in branch if one.kind.name == "type" and len(one.instance_path) == here), None)
        for branch in context
    ]
    if all(apart):
        types = dict.fromkeys(name for one in apart if one for name in one.kind.as_dict()["types"])
        return SchemaFault(at, _expected(types, error.instance), keyword)
    # The branch whose types fit and whose faults lie deepest is the one that was meant.
    meant = [branch for branch, excluded in zip(context, apart, strict=True) if not excluded]
    best = max(meant, key=lambda branch: (min(len(one.instance_path) for one in branch), -len(branch)))
    inner = next(describe(best[0], schema))
    below = f" (at {inner.pointer})" if inner.pointer != at else ""
    hint = f"the nearest form says: {inner.message}{below}"
    if inner.hint:
        hint += f"; {inner.hint}"
    return SchemaFault(at, f"fits none of the {len(context)} allowed forms", keyword, hint)


def _type_of(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _expected(types: Iterable[str], value: Any) -> str:
    wanted = " or ".join(types)
    if value is None:
        return f"expected {wanted}, got null"
    if isinstance(value, (dict, list)):
        return f"expected {wanted}, got {_type_of(value)}"
    return f"expected {wanted}, got {_type_of(value)} {shown(value)}"


def _told(error: ValidationError, data: Mapping[str, Any]) -> tuple[str, str | None]:
    value, limit = error.instance, data.get("limit")
    if error.kind.name in _LIMITS:
        return f"{shown(value)} {_LIMITS[error.kind.name]} {limit}", None
    teller = _TELLERS.get(error.kind.name)
    return teller(value, data) if teller else (error.message.splitlines()[0][:200], None)


def _enum(value: Any, data: Mapping[str, Any]) -> tuple[str, str | None]:
    options = data["options"]
    words = [one for one in options if isinstance(one, str)]
    near = nearest(value, words) if isinstance(value, str) else None
    listed = ", ".join(shown(one) for one in options[:8]) + (", …" if len(options) > 8 else "")
    return f"{shown(value)} is not one of {listed}", f"did you mean {near!r}?" if near else None


_LIMITS = {
    "minimum": "is less than",
    "maximum": "is more than",
    "exclusiveMinimum": "is not above",
    "exclusiveMaximum": "is not below",
}

_TELLERS: dict[str, Callable[[Any, Mapping[str, Any]], tuple[str, str | None]]] = {
    "type": lambda value, data: (_expected(data["types"], value), None),
    "required": lambda value, data: (f"missing required key {shown(data['property'])}", None),
    "enum": _enum,
    "const": lambda value, data: (f"expected {shown(data['expected_value'])}, got {shown(value)}", None),
    "minLength": lambda value, data: (f"{shown(value)} is shorter than {data['limit']} characters", None),
    "maxLength": lambda value, data: (f"{shown(value)} is longer than {data['limit']} characters", None),
    "minItems": lambda value, data: (f"{len(value)} items, at least {data['limit']} needed", None),
    "maxItems": lambda value, data: (f"{len(value)} items, at most {data['limit']} allowed", None),
    "additionalItems": lambda value, data: (f"{len(value)} items, at most {data['limit']} allowed", None),
    "minProperties": lambda value, data: (f"{len(value)} keys, at least {data['limit']} needed", None),
    "maxProperties": lambda value, data: (f"{len(value)} keys, at most {data['limit']} allowed", None),
    "multipleOf": lambda value, data: (f"{shown(value)} is not a multiple of {data['multiple_of']}", None),
    "uniqueItems": lambda value, data: ("holds an item twice", None),
    "contains": lambda value, data: ("too few or too many items fit `contains`", None),
    "falseSchema": lambda value, data: (f"nothing is allowed here, got {shown(value)}", None),
    "not": lambda value, data: (f"{shown(value)} fits what `not` excludes", None),
    "oneOf": lambda value, data: ("fits more than one of the forms of which just one is allowed", None),
    "pattern": lambda value, data: (
        f"{shown(value)} does not match the pattern {data['pattern']!r}"
        if "pattern" in data
        else "the pattern takes too long on this value",
        None,
    ),
    "propertyNames": lambda value, data: (f"a key is not allowed: {data['error'].message}"[:200], None),
}
