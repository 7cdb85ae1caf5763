"""JSON Schema: the one door to the validators, which no other module may import.

Three promises are kept here and nowhere else. A reference never leaves its document (left to
itself the library fetches http and file references). A hostile schema or value ends quickly:
sizes are bounded before anything is compiled, patterns have a backtracking limit, and a list of
faults is only drawn up where its length is bounded. And faults are told in our own words, with
the nearest valid name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from nodeling._dataclass import dataclass
from nodeling.errors import ConfigError, Fault

from .schema_document import Draft, Part, draft_of, evaluation_cost, resolve, walk
from .schema_faults import SchemaFault, describe, describe_schema_error, place_of, pointer_of

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["SchemaFault", "Validator", "check_schema", "compile_schema", "part_checks", "second_opinion"]

MAX_SCHEMA_BYTES = 256 * 1024
MAX_SCHEMA_DEPTH = 64
# Checks of one place of a value: a million take about 12 ms, and no schema written by hand comes near.
MAX_COST = 1_000_000
# Explaining is done by visiting everything; above this product of sizes one fault must do.
MAX_EXPLAINED = 200_000
MAX_BACKTRACKS = 100_000

_METASCHEMAS: dict[Draft, str] = {
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_compiled: dict[bytes, Validator] = {}


@dataclass(frozen=True, slots=True)
class Validator:
    """A compiled schema; `check` tells all that is wrong with a value."""

    schema: Any
    cost: int
    growth: int
    _rs: jsonschema_rs.Validator
    is_valid: Callable[[Any], bool]  # whether a value fits, without saying why not

    def check(self, value: Any) -> None | list[SchemaFault]:
        """None when the value fits, else every fault, in the order of their places."""
        if self.is_valid(value):
            return None
        faults = dict.fromkeys(
            fault for error in self._errors(value) for fault in describe(error, self.schema)
        )
        return sorted(faults, key=place_of)

    def _errors(self, value: Any) -> list[jsonschema_rs.ValidationError]:
        import jsonschema_rs

        nodes, depth = _measure(value, MAX_EXPLAINED)
        if nodes * self.cost * self.growth ** min(depth, 64) <= MAX_EXPLAINED:
            return list(self._rs.iter_errors(value))
        try:
            self._rs.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [error]
        return []


def compile_schema(schema: Mapping[str, Any] | bool, *, where: str) -> Validator:
    """The validator of a schema, compiled once for each content.

    Args:
        schema: The schema; a mapping is copied, so later changes to it have no effect.
        where: What the schema belongs to, as it is to be named in an error: "inputs of node 'x'".

    Raises:
        ConfigError: The schema is not valid; every fault is listed with its pointer.
    """
    found = _judged(schema)
    if isinstance(found, Validator):
        return found
    raise ConfigError(
        f"the schema of {where} is not valid: {found[0].message}",
        code="schema.invalid",
        hint=found[0].hint,
        faults=[Fault("schema.invalid", fault.message, fault.pointer, fault.hint) for fault in found],
    )


def part_checks(plain: Any) -> Callable[[str], Callable[[Any], bool] | None]:
    """For a valid schema made of plain JSON, the test of each of its parts by pointer (`#/properties/x`)."""
    import jsonschema_rs

    draft = draft_of(plain)
    named = {**plain, "$schema": _METASCHEMAS[draft]} if draft and isinstance(plain, dict) else plain
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS)
    try:
        known = jsonschema_rs.validator_map_for(
            named, validate_formats=False, retriever=_refuse, pattern_options=options
        )
    except ValueError:
        return lambda pointer: None

    def check(pointer: str) -> Callable[[Any], bool] | None:
        found = known.get(pointer)
        return found.is_valid if found is not None else None

    return check


def check_schema(schema: Any, pointer: str = "") -> list[SchemaFault]:
    """Everything wrong with a schema: its shape, its size, its patterns and its references.

    Args:
        schema: What stands where a schema should.
        pointer: Where it stands in its document; the faults' pointers begin with it.
    """
    found = _judged(schema)
    if isinstance(found, Validator):
        return []
    return [SchemaFault(pointer + one.pointer, one.message, one.keyword, one.hint) for one in found]


def _judged(schema: Any) -> Validator | list[SchemaFault]:
    """The validator of a schema, or everything wrong with it; each content is judged and compiled once."""
    faults, data = _bounded(schema)
    if faults:
        return faults
    mark = blake2b(data, digest_size=16).digest()
    if mark in _compiled:
        return _compiled[mark]
    plain = _plain(data)
    draft = draft_of(plain)
    if draft is None:
        message = f"unknown schema draft {plain['$schema']!r}"
        return [SchemaFault("/$schema", message, "$schema", "use 2020-12 or draft-07")]
    faults = _malformed(plain, draft) or _bad_parts(plain)
    if faults:
        return faults
    cost, growth = evaluation_cost(plain)
    if cost > MAX_COST:
        message = f"its references unfold to more than {MAX_COST} checks of one value"
        return [SchemaFault("", message, "$ref")]
    built = _built(plain, draft)
    if isinstance(built, SchemaFault):
        return [built]
    return _compiled.setdefault(mark, Validator(plain, cost, growth, built, built.is_valid))


def _bounded(schema: Any) -> tuple[list[SchemaFault], bytes]:
    """The canonical bytes of a schema, or the fault that keeps it from having any."""
    import orjson

    # An entry takes two bytes at least, so this many cannot fit; the bound also ends shared structures.
    nodes, depth = _measure(schema, MAX_SCHEMA_BYTES // 2)
    if depth > MAX_SCHEMA_DEPTH:
        return [SchemaFault("", f"the schema is nested more than {MAX_SCHEMA_DEPTH} deep", "depth")], b""
    try:
        data = b"" if nodes >= MAX_SCHEMA_BYTES // 2 else orjson.dumps(schema, _mapping, orjson.OPT_SORT_KEYS)
    except TypeError as error:
        return [SchemaFault("", f"the schema is not JSON: {error}", "type")], b""
    if not data or len(data) > MAX_SCHEMA_BYTES:
        return [SchemaFault("", f"the schema is larger than {MAX_SCHEMA_BYTES // 1024} KiB", "size")], b""
    if data[:1] not in b"{tf":
        return [SchemaFault("", "a schema is an object or a boolean", "type")], b""
    return [], data


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _plain(data: bytes) -> Any:
    import orjson

    return orjson.loads(data)


def _measure(value: Any, limit: int) -> tuple[int, int]:
    """How many values a value holds and how deep it is, counted no further than `limit`."""
    level, nodes, depth = [value], 0, 0
    while level and nodes < limit and depth <= MAX_SCHEMA_DEPTH:
        nodes += len(level)
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                below.extend(one.values())
            elif isinstance(one, (list, tuple)):
                below.extend(one)
            if len(below) > limit:
                break
        level = below
        depth += bool(below)
    return nodes + len(level), depth


def _malformed(schema: Any, draft: Draft) -> list[SchemaFault]:
    # A vocabulary of the metaschema reports each fault again; one place and keyword is one fault.
    faults: dict[tuple[str, str], SchemaFault] = {}
    for fault in map(describe_schema_error, _metaschema(draft).iter_errors(schema)):
        faults.setdefault((fault.pointer, fault.keyword), fault)
    return sorted(faults.values(), key=place_of)


@cache
def _metaschema(draft: Draft) -> jsonschema_rs.Validator:
    import jsonschema_rs

    name = _METASCHEMAS[draft]
    return jsonschema_rs.validator_for({"$schema": name, "$ref": name}, retriever=_refuse)


def _refuse(uri: str) -> Any:
    raise LookupError(f"references to other documents are refused: {uri}")


def _build(schema: Any, draft: Draft) -> jsonschema_rs.Validator:
    import jsonschema_rs

    classes: dict[Draft, type[jsonschema_rs.Validator]] = {
        "4": jsonschema_rs.Draft4Validator,
        "6": jsonschema_rs.Draft6Validator,
        "7": jsonschema_rs.Draft7Validator,
        "2019-09": jsonschema_rs.Draft201909Validator,
    }
    cls = classes.get(draft, jsonschema_rs.Draft202012Validator)
    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS)
    return cls(schema, validate_formats=False, retriever=_refuse, pattern_options=options)


def _bad_parts(schema: Any) -> list[SchemaFault]:
    below = [(path, part) for path, part in walk(schema) if isinstance(part, dict)]
    return [*_bad_references(schema, below), *_bad_patterns(below)]


def _bad_references(schema: Any, below: Sequence[Part]) -> list[SchemaFault]:
    faults = []
    for path, part in below:
        for keyword in _REFERENCES:
            name = part.get(keyword)
            if not isinstance(name, str):
                continue
            at = pointer_of((*path, keyword))
            if not name.startswith("#"):
                message = f"the reference {name!r} leaves the document"
                faults.append(SchemaFault(at, message, "$ref", "copy what it names into $defs"))
            elif resolve(schema, name) is None:
                faults.append(SchemaFault(at, f"the reference {name!r} leads nowhere", "$ref", None))
    return faults


def _bad_patterns(below: Sequence[Part]) -> list[SchemaFault]:
    faults = []
    for path, part in below:
        named = part.get("patternProperties")
        found = [((*path, "patternProperties", name), name) for name in (named or ())]
        if isinstance(part.get("pattern"), str):
            found.append(((*path, "pattern"), part["pattern"]))
        for at, pattern in found:
            if not _compiles(pattern):
                message = f"{pattern!r} is not a regular expression"
                faults.append(SchemaFault(pointer_of(at), message, "pattern", None))
    return faults


def _compiles(pattern: str) -> bool:
    import jsonschema_rs

    try:
        _build({"pattern": pattern}, "2020-12")
    except jsonschema_rs.ValidationError:
        return False
    return True


def _built(schema: Any, draft: Draft) -> jsonschema_rs.Validator | SchemaFault:
    """The validator, or what only the compiler sees, such as a reference from a place no keyword leads to."""
    import jsonschema_rs

    try:
        return _build(schema, draft)
    except jsonschema_rs.ValidationError as error:
        return describe_schema_error(error)
    except ValueError as error:
        return SchemaFault("", str(error), "schema")


def second_opinion(schema: Mapping[str, Any] | bool, value: Any) -> bool | None:
    """What the reference implementation says of a value: slow, and asked only about authors' own examples.

    The fast validator decides on every call. Where the two disagree about an example, one of them is
    wrong, and an author had better know before a run does. None: the reference cannot follow a
    reference that leads back to itself.
    """
    from jsonschema import validators

    chosen = validators.validator_for({"$schema": _METASCHEMAS[draft_of(schema) or "2020-12"]})
    try:
        return bool(chosen(schema).is_valid(value))
    except RecursionError:
        return None
