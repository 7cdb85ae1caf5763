"""What numbers, lengths and sizes say about a fit: plain comparisons of ranges, no walking."""

from __future__ import annotations

import math
from fractions import Fraction

from nodeling._dataclass import dataclass

from .fit_shape import Items, Number, Object, Text


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something does not fit, and where in the target."""

    reason: str
    path: tuple[str | int, ...] = ()

    def under(self, *steps: str | int) -> Finding:
        """The same finding, seen from further up."""
        return Finding(self.reason, (*steps, *self.path))


def range_misfit(
    source: Text | Items | Object, target: Text | Items | Object, what: str, how: str
) -> Finding | None:
    """Why a length or a size need not be in the target's range."""
    if source.low < target.low:
        return Finding(f"it may be less {how} than {target.low}", (f"min{what}",))
    if source.high > target.high:
        return Finding(f"it may be more {how} than {target.high}", (f"max{what}",))
    return None


def range_clash(source: Text, target: Text, what: str, how: str) -> Finding | None:
    """Why none can be."""
    if source.high < target.low:
        return Finding(f"it is at most {source.high} {how}, {target.low} is needed", (f"min{what}",))
    if source.low > target.high:
        return Finding(f"it is at least {source.low} {how}, {target.high} is allowed", (f"max{what}",))
    return None


def number_misfit(source: Number, target: Number) -> Finding | None:
    """Why a number need not fit."""
    if target.integer and not source.integer:
        return Finding("the source may give a number that is no integer", ("type",))
    if (source.low, source.low_open) < (target.low, target.low_open):
        return Finding(f"the source may give less than {target.low}", ("minimum",))
    if (source.high, not source.high_open) > (target.high, not target.high_open):
        return Finding(f"the source may give more than {target.high}", ("maximum",))
    steps = [*source.multiples, *([1] if source.integer else [])]
    for wanted in target.multiples:
        if not any((Fraction(str(step)) / Fraction(str(wanted))).denominator == 1 for step in steps):
            return Finding(f"the source is not known to be a multiple of {wanted}", ("multipleOf",))
    return None


def number_clash(source: Number, target: Number) -> Finding | None:
    """Why none can."""
    low, low_open = max((source.low, source.low_open), (target.low, target.low_open))
    ends = ((source.high, source.high_open), (target.high, target.high_open))
    high, high_open = min(ends, key=lambda bound: (bound[0], not bound[1]))
    if low > high or (low == high and (low_open or high_open)):
        below = source.high <= target.low
        bound = f"least {target.low}" if below else f"most {target.high}"
        return Finding(
            f"the ranges do not meet: the target takes at {bound}", ("minimum" if below else "maximum",)
        )
    if (source.integer or target.integer) and math.isfinite(low) and math.isfinite(high):
        first = math.floor(low) + 1 if low_open else math.ceil(low)
        if first > high or (first == high and high_open):
            return Finding("the ranges share no integer", ("type",))
    return None
