"""The schema fit against generated instances: no certain verdict is ever contradicted by a value.

The generator below knows nothing of the comparison's shapes. It walks the raw schema, so a
misreading of a keyword in one of the two shows as a contradiction; the validator judges.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodeling_runtime.schema_document import draft_of, resolve
from nodeling_runtime.workflow.fit import fit

PAIRS = json.loads((Path(__file__).parent / "fit_pairs.json").read_text(encoding="utf-8"))
KINDS = ("null", "boolean", "integer", "number", "string", "array", "object")
WORDS = ("", "a", "b", "ab", "x1", "abc", "2024", "é", "aaaa", "abcdefghij")
KEYS = ("a", "b", "c", "kind", "zz")


class NoValueError(Exception):
    """This choice of alternatives leads to no value; another may."""


class Maker:
    """Makes values that are likely, not certain, to satisfy all of some schemas of one document."""

    def __init__(self, root: Any, seed: int, *, complete: bool, strict: bool = False) -> None:
        self.root, self.random, self.complete, self.strict = root, Random(seed), complete, strict

    def value(self, schemas: list[Any], depth: int = 0) -> Any:
        if depth > 7:
            raise NoValueError
        flat = self.flat(schemas)
        for schema in flat:
            if "const" in schema:
                return schema["const"]
            if "enum" in schema:
                return self.random.choice(schema["enum"])
        kinds = set(KINDS)
        for schema in flat:
            if "type" in schema:
                named = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
                kinds &= named | ({"integer"} if "number" in named else set())
        if not kinds:
            raise NoValueError
        kind = self.random.choice(sorted(kinds))
        return getattr(self, f"make_{kind}")(flat, depth)

    def flat(self, schemas: list[Any]) -> list[dict[str, Any]]:
        todo, found, turns = list(schemas), [], 0
        while todo:
            schema, turns = todo.pop(), turns + 1
            if schema is False or schema is None or turns > 200:
                raise NoValueError
            if schema is True:
                continue
            if "$ref" in schema:
                todo.append(resolve(self.root, schema["$ref"]))
                if draft_of(self.root) == "7":
                    continue
            todo += schema.get("allOf", [])
            todo += [self.random.choice(schema[key]) for key in ("anyOf", "oneOf") if key in schema]
            if "if" in schema:
                if self.random.random() < 0.5:
                    todo += [schema["if"], schema.get("then", True)]
                else:
                    todo.append(schema.get("else", True))
            found.append(schema)
        return found

    def make_null(self, flat: Any, depth: int) -> Any:
        return None

    def make_boolean(self, flat: Any, depth: int) -> Any:
        return self.random.random() < 0.5

    def make_integer(self, flat: Any, depth: int) -> Any:
        return self.number(flat, integer=True)

    def make_number(self, flat: Any, depth: int) -> Any:
        return self.number(flat, integer=self.random.random() < 0.3)

    def number(self, flat: Any, *, integer: bool) -> Any:
        marks = [
            s[k]
            for s in flat
            for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            if k in s
        ]
        steps = [s["multipleOf"] for s in flat if "multipleOf" in s]
        base = self.random.choice([*marks, 0, 0, 1, 7, -3])
        drift = self.random.choice([0, 0, 1, -1, 2, 0.5, -0.5, 10, -10, 1000])
        found = base + drift
        if steps:
            found = self.random.choice(steps) * round(found)
        if integer:
            found = self.random.choice([math.floor(found), float(math.floor(found)), math.ceil(found)])
        return found

    def make_string(self, flat: Any, depth: int) -> Any:
        marks = [s[key] for s in flat for key in ("minLength", "maxLength") if key in s]
        if marks and self.random.random() < 0.7:
            return "a" * max(0, self.random.choice(marks) + self.random.choice([0, 0, 0, 1, -1]))
        return self.random.choice(WORDS)

    def make_array(self, flat: Any, depth: int) -> Any:
        least = max((s.get("minItems", 0) for s in flat), default=0)
        most = min((s.get("maxItems", 6) for s in flat), default=6)
        listed = max((len(self.places(s)[0]) for s in flat), default=0)
        if self.complete:
            least = max(least, max(1, listed) if self.strict else min(most, max(1, listed)))
        if least > most:
            raise NoValueError
        length = self.random.randint(least, min(most, max(least, listed) + 4))
        made = []
        for at in range(length):
            asked = []
            for schema in flat:
                prefix, rest = self.places(schema)
                asked.append(prefix[at] if at < len(prefix) else rest)
                if "contains" in schema and self.random.random() < 0.6:
                    asked.append(schema["contains"])
            try:
                made.append(self.value(asked, depth + 1))
            except NoValueError:
                if self.strict or (at < least and not (self.complete and at >= 1)):
                    raise
                break
        return made

    def places(self, schema: Any) -> tuple[list[Any], Any]:
        items = schema.get("items", True)
        if isinstance(items, list):
            return items, schema.get("additionalItems", True)
        return schema.get("prefixItems", []), items

    def make_object(self, flat: Any, depth: int) -> Any:
        declared = {key for s in flat for key in s.get("properties", {})}
        required = {key for s in flat for key in s.get("required", [])}
        mapped = any(
            isinstance(s.get("additionalProperties"), dict) and not s.get("properties") for s in flat
        )
        wanted = {key for key in declared if self.complete or self.random.random() < 0.6} | required
        extra = [key for key in KEYS if key not in declared]
        wanted |= {key for key in extra if self.random.random() < 0.25}
        if self.complete and mapped and extra and not wanted:
            wanted.add(self.random.choice(extra))
        made = {}
        for key in sorted(wanted):
            asked = [
                s["properties"][key]
                if key in s.get("properties", {})
                else s.get("additionalProperties", True)
                for s in flat
            ]
            asked += [
                part
                for s in flat
                for part in s.get("patternProperties", {}).values()
                if self.random.random() < 0.5
            ]
            try:
                made[key] = self.value(asked, depth + 1)
            except NoValueError:
                if key in required or self.strict:
                    raise
        return made


def validator(schema: Any) -> jsonschema_rs.Validator:
    if draft_of(schema) == "7":
        return jsonschema_rs.Draft7Validator(schema, validate_formats=False)
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=False)


def instances(schema: Any, count: int, *, complete: bool = False) -> list[Any]:
    """Up to `count` values of a schema, judged by the validator."""
    judge, found = validator(schema), []
    for seed in range(count):
        try:
            made = Maker(schema, seed, complete=complete).value([schema])
        except NoValueError:
            continue
        if judge.is_valid(made):
            found.append(made)
    return found


def contradiction(source: Any, target: Any, count: int) -> Any:
    """A value that proves the verdict on a pair wrong, in a list, or None."""
    verdict = fit(source, target).value
    judge = validator(target)
    if verdict == "fits":
        return next(([one] for one in instances(source, count) if not judge.is_valid(one)), None)
    if verdict == "clash":
        shared = joint_instances(source, target, count)
        return next(
            ([one] for one in [*shared, *instances(source, count, complete=True)] if judge.is_valid(one)),
            None,
        )
    return None


def joint_instances(source: Any, target: Any, count: int) -> list[Any]:
    """Complete values of the source that were steered towards the target."""
    judge, found = validator(source), []
    for seed in range(count):
        try:
            made = Maker(source, seed, complete=True, strict=True).value([source, target])
        except NoValueError:
            continue
        if judge.is_valid(made):
            found.append(made)
    return found


def schemas(depth: int = 3) -> st.SearchStrategy[Any]:
    """Schemas of every supported keyword, small enough to meet one another."""
    small = st.integers(0, 3)
    constants = st.sampled_from([None, True, False, 0, 1, 1.0, 2, 1.5, "a", "b", "ab", [], [1], {}, {"a": 1}])
    numbers = st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={
            "minimum": st.integers(-2, 3),
            "maximum": st.sampled_from([1, 2, 4, 2.5]),
            "exclusiveMinimum": st.sampled_from([-1, 0, 1.5]),
            "exclusiveMaximum": st.sampled_from([2, 3, 50]),
            "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
        },
    )
    texts = st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": small, "maxLength": small, "pattern": st.sampled_from(["^a", "b$", ""])},
    )
    plain = st.sampled_from([{"type": kind} for kind in (*KINDS, ["string", "null"], ["integer", "array"])])
    listed = st.one_of(
        constants.map(lambda c: {"const": c}),
        st.lists(constants, min_size=1, max_size=3).map(lambda e: {"enum": e}),
    )
    leaves = st.one_of(st.booleans(), st.just({}), plain, numbers, texts, listed)
    if depth == 0:
        return leaves
    below = st.deferred(lambda: schemas(depth - 1))
    several = st.lists(below, min_size=1, max_size=3)
    arrays = st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("array"),
            "items": below,
            "prefixItems": st.lists(below, min_size=1, max_size=2),
            "minItems": small,
            "maxItems": small,
            "uniqueItems": st.booleans(),
            "contains": below,
            "minContains": small,
        },
    )
    keys = st.sampled_from(KEYS[:3])
    objects = st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("object"),
            "properties": st.dictionaries(keys, below, max_size=3),
            "required": st.lists(keys, unique=True, max_size=2),
            "additionalProperties": below,
            "minProperties": small,
            "maxProperties": small,
            "propertyNames": st.sampled_from([{"maxLength": 1}, {"enum": ["a", "b"]}, {"pattern": "^a"}]),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", ".*"]), below, max_size=1),
            "unevaluatedProperties": st.just(False),
            "dependentRequired": st.just({"a": ["b"]}),
        },
    )
    joined = st.fixed_dictionaries(
        {},
        optional={
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": below,
            "if": below,
            "then": below,
            "else": below,
            "properties": st.dictionaries(keys, below, max_size=2),
            "type": st.sampled_from(["object", "string", "integer"]),
            "$ref": st.just("#"),
        },
    )
    return st.one_of(leaves, arrays, objects, objects, joined)


@pytest.mark.parametrize(
    "pair", [one for one in PAIRS if one["verdict"] != "unknown"], ids=lambda one: one["name"]
)
def test_no_value_contradicts_a_verdict_of_the_table(pair: dict[str, Any]) -> None:
    assert contradiction(pair["source"], pair["target"], 60) is None


def test_nearly_every_certain_pair_of_the_table_is_fuzzed_by_real_values() -> None:
    certain = [one for one in PAIRS if one["verdict"] != "unknown"]
    fuzzed = [one for one in certain if instances(one["source"], 30, complete=one["verdict"] == "clash")]
    assert len(fuzzed) > 0.95 * len(certain)


@pytest.mark.parametrize(
    "pair", [one for one in PAIRS if one["verdict"] == "unknown"], ids=lambda one: one["name"]
)
def test_an_unknown_pair_is_unknown_for_a_reason_some_values_show(pair: dict[str, Any]) -> None:
    judge = validator(pair["target"])
    answers = {judge.is_valid(one) for one in instances(pair["source"], 400)}
    undecided_by_us = {"a list of a union is no union of lists", "any string into an enum"}
    assert answers == {True, False} or pair["name"] in undecided_by_us


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas())
def test_a_schema_fits_itself_and_every_alternative_that_holds_it(schema: Any) -> None:
    renamed = {"allOf": [schema], "title": "renamed"}
    verdict = fit(schema, renamed)
    assert verdict.value == "fits" or "$ref" in json.dumps(schema), verdict
    assert fit(schema, schema).value == "fits"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas(2), schemas(2))
def test_verdicts_survive_being_put_inside_objects_and_lists(source: Any, target: Any) -> None:
    inner = fit(source, target).value
    if "$ref" in json.dumps([source, target]):
        return
    boxed = [{"type": "object", "properties": {"a": one}, "required": ["a"]} for one in (source, target)]
    listed = [{"type": "array", "items": one, "minItems": 1} for one in (source, target)]
    for outer in (fit(*boxed).value, fit(*listed).value):
        assert outer == inner or (outer == "fits" and not instances(source, 20))


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas(), schemas())
def test_no_verdict_on_random_schemas_is_contradicted_by_a_value(source: Any, target: Any) -> None:
    assert contradiction(source, target, 25) is None
