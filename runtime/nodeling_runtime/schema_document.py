"""How a JSON Schema document is built: its draft, its sub-schemas, its references, its cost.

Validation and the schema fit both walk schemas, and both must agree on what a sub-schema is
(a `$ref` inside `const` or `examples` is data) and on where a reference leads. Nothing here
imports a validator, opens a file or raises on a malformed schema: what is not a schema is
simply not walked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import unquote

__all__ = ["Draft", "Part", "draft_of", "evaluation_cost", "parts", "resolve", "walk"]

Draft = Literal["4", "6", "7", "2019-09", "2020-12"]
Part = tuple[tuple[str | int, ...], Any]

IN_PLACE_ONE = ("not", "if", "then", "else")
IN_PLACE_LIST = ("allOf", "anyOf", "oneOf")
IN_PLACE_MAP = ("dependentSchemas", "dependencies")
CHILD_ONE = (
    "additionalItems",
    "contains",
    "unevaluatedItems",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
)
CHILD_LIST = ("prefixItems",)
CHILD_MAP = ("properties", "patternProperties")
DEFINITIONS = ("$defs", "definitions")
_LEADING_DOWN = frozenset(
    {
        *(*IN_PLACE_ONE, *IN_PLACE_LIST, *IN_PLACE_MAP),
        *(*CHILD_ONE, *CHILD_LIST, *CHILD_MAP, "items"),
        *DEFINITIONS,
    }
)

_DRAFTS: tuple[tuple[str, Draft], ...] = (
    ("draft-04", "4"),
    ("draft-06", "6"),
    ("draft-07", "7"),
    ("2019-09", "2019-09"),
    ("2020-12", "2020-12"),
)


def is_schema(value: Any) -> bool:
    """Whether `value` has the shape of a schema: an object or a boolean."""
    return isinstance(value, (dict, bool, Mapping))  # a dict is told at once, other mappings by asking around


def parts(schema: Any, *, definitions: bool = True) -> Iterator[Part]:
    """The direct sub-schemas of `schema`, each with its path inside it."""
    if not isinstance(schema, (dict, Mapping)) or _LEADING_DOWN.isdisjoint(schema):
        return  # as most schemas are leaves
    for key in (*IN_PLACE_ONE, *CHILD_ONE, "items"):
        if is_schema(schema.get(key)):
            yield (key,), schema[key]
    for key in (*IN_PLACE_LIST, *CHILD_LIST, "items"):
        if isinstance(schema.get(key), (list, tuple)):
            yield from (((key, at), part) for at, part in enumerate(schema[key]) if is_schema(part))
    for key in (*IN_PLACE_MAP, *CHILD_MAP, *(DEFINITIONS if definitions else ())):
        if isinstance(schema.get(key), Mapping):
            yield from (((key, str(name)), part) for name, part in schema[key].items() if is_schema(part))


def walk(schema: Any) -> Iterator[Part]:
    """`schema` and every sub-schema below it, in document order, each with its path."""
    stack: list[Part] = [((), schema)]
    while stack:
        path, part = stack.pop()
        yield path, part
        if isinstance(part, (dict, Mapping)) and not _LEADING_DOWN.isdisjoint(part):
            stack.extend((path + step, below) for step, below in reversed(list(parts(part))))


def draft_of(schema: Any) -> Draft | None:
    """The draft a schema is written in, or None where its `$schema` names one we do not know.

    Without `$schema` it is 2020-12, unless some `items` is a list: only older drafts had those.
    """
    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    if named is not None:
        return next((draft for mark, draft in _DRAFTS if mark in str(named)), None)
    for _, part in walk(schema):
        if isinstance(part, Mapping) and isinstance(part.get("items"), (list, tuple)):
            return "7"
    return "2020-12"


def resolve(root: Any, reference: str) -> Any | None:
    """The schema a local reference (`#…`) leads to, or None when it leads nowhere in `root`."""
    if not reference.startswith("#"):
        return None
    fragment = unquote(reference[1:])
    if fragment and not fragment.startswith("/"):
        return _anchored(root, fragment)
    found = root
    for token in fragment.split("/")[1:]:
        found = _child(found, token.replace("~1", "/").replace("~0", "~"))
    return found if is_schema(found) else None


def _child(value: Any, token: str) -> Any | None:
    if isinstance(value, Mapping):
        return value.get(token)
    if isinstance(value, (list, tuple)) and token.isdigit() and int(token) < len(value):
        return value[int(token)]
    return None


def _anchored(root: Any, name: str) -> Any | None:
    for _, part in walk(root):
        if isinstance(part, Mapping) and (
            name in (part.get("$anchor"), part.get("$dynamicAnchor")) or part.get("$id") == f"#{name}"
        ):
            return part
    return None


def evaluation_cost(root: Any) -> tuple[int, int]:
    """An upper bound on the checks one place of a value can undergo, and the growth per level.

    The second number is above 1 only for recursive schemas that reach themselves more than once
    for one place: explaining an error under them can double with each level of the value.
    """
    measure = _Cost(root)
    return measure.of(root)[0], max([1, *(again for _, again in measure.known.values())])


class _Cost:
    """Sums over the reference graph, each sub-schema counted once; a way back into itself is cut."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.known: dict[int, tuple[int, int]] = {}
        self.open: set[int] = set()

    def of(self, schema: Any) -> tuple[int, int]:
        if not isinstance(schema, (dict, Mapping)):
            return 1, 0
        mark = id(schema)
        if mark in self.open:
            return 1, 1
        if mark not in self.known:
            self.open.add(mark)
            self.known[mark] = self._sum(schema)
            self.open.discard(mark)
        return self.known[mark]

    def _sum(self, schema: Mapping[str, Any]) -> tuple[int, int]:
        here, again = 1, 0
        places: dict[str | int, tuple[int, int]] = {}
        for path, part in [*parts(schema, definitions=False), *self._targets(schema)]:
            cost, back = self.of(part)
            if path[0] in CHILD_MAP or path[0] in CHILD_ONE or path[0] in CHILD_LIST or path[0] == "items":
                # Names may meet patterns and lists may meet `contains`: only plain properties are apart.
                place = path[1] if path[0] == "properties" else ""
                known = places.get(place, (0, 0))
                places[place] = (known[0] + cost, known[1] + back)
            else:
                here, again = here + cost, again + back
        shared = places.pop("", (0, 0))
        most = max((cost for cost, _ in places.values()), default=0)
        backs = max((back for _, back in places.values()), default=0)
        return here + shared[0] + most, again + shared[1] + backs

    def _targets(self, schema: Mapping[str, Any]) -> Iterator[Part]:
        for key in ("$ref", "$dynamicRef"):
            name = schema.get(key)
            if isinstance(name, str):
                yield (key,), resolve(self.root, name)
