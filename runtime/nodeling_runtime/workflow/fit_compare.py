"""The comparison itself: does every value fit, and if not, can any.

`misfit` looks for a proof that the source is contained in the target; while a pair is being
compared, meeting it again counts as fitting (values are finite, so that assumption is never the
only ground). `clash` looks for a proof that nothing is shared; there, meeting the pair again
counts as no proof. Neither guesses: what is not proved is `None` for `clash` and a `Finding` for
`misfit`.
"""

from __future__ import annotations

from typing import Any

from .fit_ranges import Finding, number_clash, number_misfit, range_clash, range_misfit
from .fit_shape import Extra, Items, Node, Number, Object, Shape, Text, Values
from .fit_union import Shaper

__all__ = ["Comparison", "Finding"]


class Comparison:
    """One comparison of two schemas, with its memory."""

    def __init__(self) -> None:
        self.shaper = Shaper()
        self._misfits: dict[Any, Finding | None] = {}
        self._open: set[Any] = set()
        self._assumed: set[Any] = set()
        self._clashes: dict[Any, Finding | None] = {}

    # -- containment ---------------------------------------------------------------------------

    def misfit(self, source: Node, target: Node) -> Finding | None:
        """None when every value of the source is one of the target."""
        if target.is_anything or target.key <= source.key:
            return None
        pair = (source.key, target.key)
        if pair in self._misfits:
            return self._misfits[pair]
        if pair in self._open:
            self._assumed.add(pair)
            return None
        outer, self._assumed = self._assumed, set()
        self._open.add(pair)
        with self.shaper.level():
            found = self._first_misfit(source, target)
        self._open.discard(pair)
        self._assumed.discard(pair)
        # A verdict that rests on a pair still open may not outlive it.
        if found is not None or not self._assumed:
            self._misfits[pair] = found
        self._assumed |= outer
        return found

    def _first_misfit(self, source: Node, target: Node) -> Finding | None:
        for shape in self.shaper.shapes(source):
            found = self.shape_misfit(shape, target)
            if found is not None:
                return found
        return None

    def shape_misfit(self, shape: Shape, target: Node) -> Finding | None:
        """None when every value of the shape satisfies the target."""
        if isinstance(shape, Values):
            self.shaper.spend(len(shape.values))
            bad = [value for value in shape.values if target.accepts(value) is not True]
            return Finding(f"the target does not take {_some(bad)}") if bad else None
        shapes = self.shaper.shapes(target)
        alike = [one for one in shapes if one.kind == shape.kind]
        found = Finding(f"the source may give {shape.kind}, the target takes {_kinds(shapes)}")
        for one in alike:
            misfit = self._typed_misfit(shape, one)
            if misfit is None:
                return None
            found = misfit
        return (
            found
            if len(alike) < 2
            else Finding(f"no single alternative of the target takes all: {found.reason}")
        )

    def _typed_misfit(self, source: Shape, target: Shape) -> Finding | None:
        self.shaper.spend()
        found: Finding | None = None
        match source, target:
            case Number(), Number():
                found = number_misfit(source, target)
            case Text(), Text():
                found = range_misfit(source, target, "Length", "long")
            case Items(), Items():
                found = self._items_misfit(source, target)
            case Object(), Object():
                found = self._object_misfit(source, target)
        if found is not None:
            return found
        for demand in target.extras:
            if not self._meets(source, demand):
                return Finding(f"the target's `{demand.kind}` is not known to hold", (demand.kind,))
        return None

    def _items_misfit(self, source: Items, target: Items) -> Finding | None:
        found = range_misfit(source, target, "Items", "many")
        if found is not None:
            return found
        length = max(len(source.prefix), len(target.prefix))
        for at in range(min(length, int(min(source.high, length)))):
            found = self.misfit(source.at(at), target.at(at))
            if found is not None:
                return found.under(*_place(target, at))
        found = self.misfit(source.rest, target.rest) if source.high > length else None
        return found.under("items") if found else None

    def _object_misfit(self, source: Object, target: Object) -> Finding | None:
        found = range_misfit(source, target, "Properties", "many")
        for key in sorted(target.required - source.required):
            known = key in source.keys
            why = "optional in the source" if known else "not declared by the source"
            return Finding(f"the key {key!r} is required but {why}", ("required",))
        if found is not None:
            return found
        for key in {**source.keys, **target.keys}:
            mine = source.at(key)
            if self.shaper.is_empty(mine):
                continue
            found = self.misfit(mine, target.at(key))
            if found is not None:
                return found.under(*_key(target, key))
        if self.shaper.is_empty(source.others):
            return None
        found = self.misfit(source.others, target.others)
        return found.under("additionalProperties") if found else None

    def _meets(self, source: Shape, demand: Extra) -> bool:
        """Whether every value of the shape meets a demand of the target."""
        if any(one.text == demand.text for one in source.extras):
            return True
        match demand.kind, source:
            case "not", _:
                return self.shape_clash(source, demand.nodes[0], complete=False) is not None
            case "oneOf", _:
                apart = [self.shape_clash(source, one, complete=False) is not None for one in demand.nodes]
                return sum(apart) >= len(apart) - 1
            case "uniqueItems", Items():
                return source.high <= 1
            case "contains", Items():
                return self._contains(source, demand)
            case "propertyNames", Object():
                return self.shaper.is_empty(source.others) and all(
                    demand.nodes[0].accepts(key) or self.shaper.is_empty(one)
                    for key, one in source.keys.items()
                )
        return False

    def _contains(self, source: Items, demand: Extra) -> bool:
        # The last entry of the demand's text tells of an upper bound, which is only met by equal texts.
        if not demand.text.rpartition("@")[0].endswith(",null]"):
            return False
        sure = int(min(source.low, len(source.prefix) + demand.limit))
        return sum(self.misfit(source.at(at), demand.nodes[0]) is None for at in range(sure)) >= demand.limit

    # -- disjointness --------------------------------------------------------------------------

    def clash(self, source: Node, target: Node, *, complete: bool) -> Finding | None:
        """A proof that no value of the source fits; with `complete`, no complete value."""
        if target.is_anything and source.is_anything:
            return None
        mark = (source.key, target.key, complete)
        if mark not in self._clashes:
            # Until proved otherwise there is no clash, which also ends recursion.
            self._clashes[mark] = None
            with self.shaper.level():
                self._clashes[mark] = self._every_clash(source, target, complete)
        return self._clashes[mark]

    def _every_clash(self, source: Node, target: Node, complete: bool) -> Finding | None:
        shapes = self.shaper.shapes(source)
        found: Finding | None = None
        for shape in shapes:
            found = self.shape_clash(shape, target, complete=complete)
            if found is None:
                return None
        if not shapes:
            return None if complete else Finding("the source has no values")
        several = len({shape.kind for shape in shapes}) > 1
        kinds = f"the source gives {_kinds(shapes)}, the target takes {_kinds(self.shaper.shapes(target))}"
        return Finding(kinds) if several else found

    def shape_clash(self, shape: Shape, target: Node, *, complete: bool) -> Finding | None:
        """A proof that the target takes no (complete) value of the shape."""
        if isinstance(shape, Values):
            self.shaper.spend(len(shape.values))
            refused = all(target.accepts(value) is False for value in shape.values)
            return Finding(self._refusal(shape, target)) if refused else None
        shapes = self.shaper.shapes(target)
        found = Finding(f"the source gives {_kinds((shape,))}, the target takes {_kinds(shapes)}")
        alike = 0
        for one in shapes:
            if isinstance(one, Values):
                self.shaper.spend(len(one.values))
                if any(shape.node.accepts(value) is not False for value in one.values):
                    return None
            elif one.kind == shape.kind:
                clash = self._typed_clash(shape, one, complete)
                if clash is None:
                    return None
                alike += 1
                found = clash if alike == 1 else Finding("it fits none of the target's alternatives")
        return found

    def _refusal(self, shape: Values, target: Node) -> str:
        shapes = self.shaper.shapes(target)
        takes = _kinds(shapes)
        if all(isinstance(one, Values) for one in shapes) and shapes:
            takes = _some([value for one in shapes if isinstance(one, Values) for value in one.values])
        return f"the source gives {_some(list(shape.values))}, the target takes {takes}"

    def _typed_clash(self, source: Shape, target: Shape, complete: bool) -> Finding | None:
        self.shaper.spend()
        found: Finding | None = None
        match source, target:
            case Number(), Number():
                found = number_clash(source, target)
            case Text(), Text():
                found = range_clash(source, target, "Length", "long")
            case Items(), Items():
                found = self._items_clash(source, target, complete)
            case Object(), Object():
                found = self._object_clash(source, target, complete)
        if found is not None:
            return found
        for one, other in ((source, target), (target, source)):
            for demand in other.extras:
                if demand.kind == "not" and self._surely_fits(one, demand.nodes[0]):
                    return Finding("`not` excludes it", ("not",))
        return None

    def _surely_fits(self, shape: Shape, target: Node) -> bool:
        # Under a negation the pairs still open may not be taken for granted.
        outer, self._open = self._open, set()
        with self.shaper.level():
            found = self.shape_misfit(shape, target)
        self._open = outer
        return found is None

    def _items_clash(self, source: Items, target: Items, complete: bool) -> Finding | None:
        declared = max(len(source.prefix), 0 if source.rest.is_anything else 1) if complete else 0
        sure = int(max(source.low, min(declared, source.high)))
        if sure > target.high:
            return Finding(f"the target takes at most {target.high} items", ("maxItems",))
        if source.high < target.low:
            return Finding(f"the source gives at most {source.high} items", ("minItems",))
        sure = int(max(sure, target.low))
        for at in range(min(sure, max(len(source.prefix), len(target.prefix)) + 1)):
            found = self.clash(source.at(at), target.at(at), complete=complete)
            if found is not None:
                return found.under(*_place(target, at))
        return None

    def _object_clash(self, source: Object, target: Object, complete: bool) -> Finding | None:
        declared = (
            [key for key, one in source.keys.items() if not self.shaper.is_empty(one)] if complete else []
        )
        if len(source.required.union(declared)) > source.high:
            declared = []
        present = {**dict.fromkeys(declared), **dict.fromkeys(sorted(source.required))}
        found = self._count_clash(source, target, list(present))
        if found is not None:
            return found
        for key in {**present, **dict.fromkeys(sorted(target.required))}:
            found = self._key_clash(source, target, key, complete)
            if found is not None:
                return found
        return self._others_clash(source, target) if complete else None

    def _count_clash(self, source: Object, target: Object, keys: list[str]) -> Finding | None:
        """Too many keys or too few; the key that makes it so is named where there is one."""
        if len(keys) > target.high:
            for key in keys:
                if self.shaper.is_empty(target.at(key)):
                    return Finding(f"the target takes no key {key!r}", _key(target, key))
            return Finding(f"the target takes at most {target.high} keys", ("maxProperties",))
        if source.high < target.low:
            for key in sorted(target.required):
                if self.shaper.is_empty(source.at(key)):
                    return _never_given(key)
            return Finding(f"the source gives at most {source.high} keys", ("minProperties",))
        return None

    def _key_clash(self, source: Object, target: Object, key: str, complete: bool) -> Finding | None:
        mine, theirs = source.at(key), target.at(key)
        if self.shaper.is_empty(mine):
            return _never_given(key)
        if self.shaper.is_empty(theirs):
            return Finding(f"the target takes no key {key!r}", _key(target, key))
        found = self.clash(mine, theirs, complete=complete)
        return found.under(*_key(target, key)) if found else None

    def _others_clash(self, source: Object, target: Object) -> Finding | None:
        """A map with declared entries has one: it must be able to stand somewhere."""
        if source.others.is_anything or source.keys or source.high < 1 or self.shaper.is_empty(source.others):
            return None
        for theirs in target.keys.values():
            if self.clash(source.others, theirs, complete=True) is None:
                return None
        found = self.clash(source.others, target.others, complete=True)
        return found.under("additionalProperties") if found else None


def _place(target: Items, at: int) -> tuple[str | int, ...]:
    return ("prefixItems", at) if at < len(target.prefix) else ("items",)


def _key(target: Object, key: str) -> tuple[str | int, ...]:
    return ("properties", key) if key in target.keys else ("additionalProperties",)


def _kinds(shapes: tuple[Shape, ...]) -> str:
    names: dict[str, None] = {}
    for shape in shapes:
        if isinstance(shape, Values):
            names.update(dict.fromkeys(_name(value) for value in shape.values))
        else:
            names["integer" if isinstance(shape, Number) and shape.integer else shape.kind] = None
    return " or ".join(names) or "nothing"


def _name(value: Any) -> str:
    names = {bool: "boolean", str: "string", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def _some(values: list[Any]) -> str:
    import orjson

    listed = [orjson.dumps(value).decode() for value in values[:5]]
    short = [one if len(one) <= 40 else one[:39] + "…" for one in listed]
    return ", ".join(short) + (", …" if len(values) > 5 else "")


def _never_given(key: str) -> Finding:
    return Finding(f"the key {key!r} is required, and the source never gives it", ("required",))
