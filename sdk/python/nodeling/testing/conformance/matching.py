"""Patterns: an object matches when each of its members does, more may be there; a list matches whole.

`{"$is": V}` is V and nothing more; others are `$any`, `$absent`, `$type`, `$contains`, `$one_of`,
`$not`, `$min`, `$max`, `$length` and the notations of values.
"""

from __future__ import annotations

import json
from typing import Any

from nodeling.testing.conformance.building import Names, build

__all__ = ["ABSENT", "difference"]

ABSENT: Any = object()
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_VALUES = ("$text", "$nest", "$dir")


def difference(pattern: Any, value: Any, names: Names, where: str = "") -> str | None:
    """Where and how a value differs from a pattern; None when it matches."""
    if isinstance(pattern, dict):
        if len(pattern) == 1 and next(iter(pattern)).startswith("$"):
            key, given = next(iter(pattern.items()))
            if key in _VALUES:
                return _equal(build(pattern, names), value, where)
            if key in _RULES:
                found: str | None = _RULES[key](given, value, names, where)
                return found
        return _members(pattern, value, names, where)
    if isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            return f"{where or '/'} is {_short(value)}, not a list of {len(pattern)}"
        said = (difference(p, v, names, f"{where}/{i}") for i, (p, v) in enumerate(zip(pattern, value)))  # noqa: B905
        return next((one for one in said if one), None)
    return _equal(build(pattern, names), value, where)


def _members(pattern: dict[str, Any], value: Any, names: Names, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where or '/'} is {_short(value)}, not an object"
    for key, wanted in pattern.items():
        said = difference(wanted, value.get(key, ABSENT), names, f"{where}/{key}")
        if said:
            return said
    return None


def _equal(wanted: Any, value: Any, where: str) -> str | None:
    if value is not ABSENT and _same(wanted, value):
        return None
    return f"{where or '/'} is {_short(value)}, not {_short(wanted)}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _short(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 120 else text[:117] + "..."


def _is_type(given: Any, value: Any, names: Names, where: str) -> str | None:
    right = isinstance(value, _TYPES[given]) and (given == "boolean" or not isinstance(value, bool))
    return None if right else f"{where} is {_short(value)}, not a {given}"


def _contains(given: Any, value: Any, names: Names, where: str) -> str | None:
    right = isinstance(value, (str, list)) and given in value
    return None if right else f"{where} is {_short(value)}, without {_short(given)}"


def _one_of(given: Any, value: Any, names: Names, where: str) -> str | None:
    right = any(difference(choice, value, names) is None for choice in given)
    return None if right else f"{where} is {_short(value)}, none of {_short(given)}"


def _not(given: Any, value: Any, names: Names, where: str) -> str | None:
    return None if difference(given, value, names) else f"{where} is {_short(value)}"


def _bound(given: Any, value: Any, where: str, is_least: bool) -> str | None:
    right = isinstance(value, (int, float)) and (value >= given if is_least else value <= given)
    return None if right else f"{where} is {_short(value)}, not {'>=' if is_least else '<='} {given}"


def _length(given: Any, value: Any, names: Names, where: str) -> str | None:
    size = len(value) if isinstance(value, (str, list, dict)) else None
    return None if size == given else f"{where} has length {size}, not {given}"


_RULES: dict[str, Any] = {
    "$any": lambda given, value, names, where: None if value is not ABSENT else f"{where} is absent",
    "$absent": lambda given, value, names, where: None if value is ABSENT else f"{where} is {_short(value)}",
    "$is": lambda given, value, names, where: _equal(build(given, names), value, where),
    "$type": _is_type,
    "$contains": _contains,
    "$one_of": _one_of,
    "$not": _not,
    "$min": lambda given, value, names, where: _bound(given, value, where, True),
    "$max": lambda given, value, names, where: _bound(given, value, where, False),
    "$length": _length,
}
