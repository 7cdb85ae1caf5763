"""Bring several values together. Null stands for a value that is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodeling import Context, NodeError
from nodeling.errors import nearest

Values = dict[Any, Any]
MOST_ROWS = 1_000_000
LENIENT = ("collect-available", "first")  # these ask for nothing unless `required_inputs` does
KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Sort out what is missing, then merge the rest."""
    given = inputs["values"]
    named = isinstance(given, dict)
    everything: Values = given if named else dict(enumerate(given))
    there = {name: value for name, value in everything.items() if value is not None}
    missing = [name for name in everything if name not in there]
    strategy = inputs.get("strategy", "combine-dict")
    _check_required(
        inputs.get("required_inputs", [] if strategy in LENIENT else list(everything)), everything
    )
    least = inputs.get("min_available", 0)
    if len(there) < least:
        raise _refusal(f"{len(there)} of {len(everything)} values are there, and `min_available` is {least}")
    return {"result": _merged(strategy, there, named, inputs), "available": list(there), "missing": missing}


def _check_required(required: list[Any], everything: Mapping[Any, Any]) -> None:
    for name in required:
        if name not in everything:
            near = nearest(str(name), [str(known) for known in everything])
            hint = f"did you mean {near!r}?" if near else None
            raise _refusal(f"`required_inputs` names {name!r}, which is none of the values", hint)
    absent = [name for name in required if everything[name] is None]
    if absent:
        raise _refusal(
            f"missing: {', '.join(map(str, absent))}",
            "`collect-available` with fewer `required_inputs` goes on without",
        )


def _merged(strategy: str, there: Values, named: bool, inputs: Mapping[str, Any]) -> Any:
    if strategy == "combine-dict":
        return _combined(there, inputs.get("conflict", "last"))
    if strategy == "concat":
        return _joined(there)
    if strategy == "zip":
        return _zipped(there, named, inputs.get("lengths", "equal"))
    if strategy == "join":
        return _matched(there, inputs.get("key"))
    if strategy == "first":
        return next(iter(there.values()), None)
    return there if named else list(there.values())


def _combined(there: Values, conflict: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    owner: dict[str, Any] = {}
    for name, value in there.items():
        _expect(name, value, dict)
        for key, item in value.items():
            if key not in out or conflict == "last":
                out[key] = item
            elif conflict == "deep":
                out[key] = _deep(out[key], item)
            elif conflict == "error" and out[key] != item:
                raise _refusal(f"{owner[key]!r} and {name!r} differ in {key!r}", "choose another `conflict`")
            owner.setdefault(key, name)
    return out


def _deep(old: Any, new: Any) -> Any:
    """Objects key by key, lists one after the other without what is there already, else the later value."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _deep(old[key], new[key]) if key in old else new[key] for key in new}}
    if isinstance(old, list) and isinstance(new, list):
        joined = list(old)
        for item in new:
            if not any(_same(item, known) for known in joined):
                joined.append(item)
        return joined
    return new


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _joined(there: Values) -> Any:
    if not there:
        return []
    kind = type(next(iter(there.values())))
    if kind not in (list, str):
        kind = list
    for name, value in there.items():
        _expect(name, value, kind)
    if kind is str:
        return "".join(there.values())
    return [item for value in there.values() for item in value]


def _zipped(there: Values, named: bool, lengths: str) -> list[Any]:
    for name, value in there.items():
        _expect(name, value, list)
    counts = {name: len(value) for name, value in there.items()}
    if lengths == "equal" and len(set(counts.values())) > 1:
        said = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise _refusal(f"the lists differ in length: {said}", "set `lengths` to shortest or longest")
    wanted = (max if lengths == "longest" else min)(counts.values(), default=0)
    rows = ({name: _at(value, i) for name, value in there.items()} for i in range(wanted))
    return list(rows) if named else [list(row.values()) for row in rows]


def _matched(there: Values, key: str | None) -> list[Any]:
    """Lists of objects joined by a field, as a full outer join does it; a later object's fields win."""
    if key is None:
        raise _refusal("`join` needs a `key`", "name the field that the objects share")
    rows: list[dict[str, Any]] = []
    for name, value in there.items():
        _expect(name, value, list)
        found: dict[str, list[dict[str, Any]]] = {}
        for place, item in enumerate(value):
            _expect(f"{name}[{place}]", item, dict)
            if key not in item:
                raise _refusal(f"'{name}[{place}]' has no {key!r}", "every object must have the `key`")
            found.setdefault(_word(item[key]), []).append(item)
        joined: list[dict[str, Any]] = []
        met: set[str] = set()
        for row in rows:
            word = _word(row[key])
            met.add(word)
            joined.extend({**row, **item} for item in found.get(word, [{}]))
            if len(joined) > MOST_ROWS:
                raise _refusal(f"joined by {key!r} there are more than {MOST_ROWS} objects")
        rows = joined + [item for word, items in found.items() if word not in met for item in items]
    return rows


def _word(value: Any) -> str:
    """A text that two values share when they are equal as JSON."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)


def _at(items: list[Any], place: int) -> Any:
    return items[place] if place < len(items) else None


def _expect(name: Any, value: Any, kind: type) -> None:
    if type(value) is not kind:
        raise _refusal(f"{name!r} is {KINDS[type(value)]}, not {KINDS[kind]}")


def _refusal(message: str, hint: str | None = None) -> NodeError:
    return NodeError(message, code=4001, retryable=False, hint=hint)
