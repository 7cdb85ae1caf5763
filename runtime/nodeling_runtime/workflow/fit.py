"""Does what a step gives fit what the next step takes? Three answers, and never a wrong certainty.

`fits`: every value of the source schema is one of the target. `clash`: no complete value is,
where a complete value leaves out nothing its schema declares. `unknown`: anything else, also
where the schemas are too complex to decide. An error is only ever built on `clash`. The rules,
with examples, are in docs/reference/schema-fit.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import orjson

from nodeling._dataclass import dataclass

from .fit_compare import Comparison, Finding
from .fit_select import known_keys, select
from .fit_shape import COMPARED, Node, OutOfBudget, Part, root_of
from .missing import MISSING, Missing

__all__ = ["MISSING", "Missing", "Schema", "Verdict", "fit", "known_keys", "select"]

Schema = Mapping[str, Any] | bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a source schema stands to a target schema, why, and where in the target."""

    value: Literal["fits", "clash", "unknown"]
    reason: str = ""
    pointer: str = ""


def fit(source: Schema, target: Schema) -> Verdict:
    """Compare two valid schemas: is what the source gives what the target takes?"""
    return _fit(_bytes(source), _bytes(target))


def _bytes(schema: Schema) -> bytes:
    return orjson.dumps(schema, default=dict, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=1024)
def _fit(source: bytes, target: bytes) -> Verdict:
    if source == target:
        return Verdict("fits")
    given, taken = root_of(source), root_of(target)
    for root in (given, taken):
        if root.draft not in COMPARED:
            return Verdict(
                "unknown", f"may not fit: schemas of draft {root.draft or 'unknown'} are not compared"
            )
    comparison = Comparison()
    pair = Node((Part(given, given.doc),)), Node((Part(taken, taken.doc),))
    try:
        misfit = comparison.misfit(*pair)
        if misfit is None:
            return Verdict("fits")
        clash = comparison.clash(*pair, complete=True)
    except (OutOfBudget, RecursionError):
        return Verdict("unknown", "may not fit: the schemas are too complex to compare")
    if clash is not None:
        return _verdict("clash", clash)
    if pair[0].is_anything:
        return Verdict("unknown", "may not fit: the source says nothing about its values")
    return _verdict("unknown", Finding(f"may not fit: {misfit.reason}", misfit.path))


def _verdict(value: Literal["clash", "unknown"], finding: Finding) -> Verdict:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in finding.path)
    return Verdict(value, finding.reason, "".join("/" + step for step in steps))
