"""Bars as SVG, without a library: from zero where figures are near each other, else logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from benchmarks.figures import OURS, number

WIDTH = 760
BAR, GAP, TOP, BOTTOM = 20, 8, 44, 30
LABEL, VALUE = 230, 90  # the room for names on the left, and for figures on the right
FAR_APART = 15.0  # times: then the scale is logarithmic
FEWEST_TICKS = 4
COLOURS = {"ours": "#0b6e4f", "other": "#9aa5b1", "floor": "#d9a441"}
FLOORS = ("ideal", "raw pipe", "100 commits", "python -c pass", "decode and encode", "one after the other")
FONT = "font-family='system-ui, -apple-system, Segoe UI, sans-serif'"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a figure is, from left to right.

    Args:
        low: The figure at the left end.
        high: That at the right end.
        ticks: The figures that are named.
        is_log: Whether ten times as much is always as far.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        """The scale that shows all of these."""
        least, most = min(values), max(values)
        if most < least * FAR_APART:
            step = 10.0 ** math.floor(math.log10(most))
            step /= next(parts for parts in (1, 2, 5, 10) if most / step * parts >= FEWEST_TICKS)
            count = math.ceil(most / step)
            return cls(0.0, count * step, tuple(step * n for n in range(count + 1)), False)
        low = math.floor(math.log10(least) - 0.15)  # which leaves the shortest bar some length
        high = math.ceil(math.log10(most))
        return cls(10.0**low, 10.0**high, tuple(10.0**n for n in range(low, high + 1)), True)

    def at(self, value: float) -> float:
        """The place of a figure."""
        if self.is_log:
            part = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            part = value / self.high
        return LABEL + (WIDTH - LABEL - VALUE) * part


def plot(group: Mapping[str, Any]) -> str:
    """One group as a picture: the shortest bar first."""
    rows = sorted(group["rows"], key=lambda row: row["median"])
    height = TOP + len(rows) * (BAR + GAP) + BOTTOM
    scale = Scale.of([row[name] for row in rows for name in ("median", "high")])
    kind = ", logarithmic" if scale.is_log else ""
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
        f"viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{escape(group['title'])}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='26' {FONT} font-size='15' font-weight='600' fill='#1f2933'>"
        f"{escape(group['title'])}, {escape(_unit(group['unit']))}{kind}</text>",
    ]
    lines += _grid(scale, height)
    for index, row in enumerate(rows):
        lines += _bar(row, TOP + index * (BAR + GAP), scale)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _grid(scale: Scale, height: int) -> list[str]:
    lines = []
    for tick in scale.ticks:
        x = scale.at(tick)
        lines.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{TOP - 6}' y2='{height - BOTTOM + 4}' stroke='#e4e7eb'/>"
        )
        lines.append(
            f"<text x='{x:.1f}' y='{height - 10}' {FONT} font-size='11' fill='#616e7c' text-anchor='middle'>"
            f"{tick:,.10g}</text>"
        )
    return lines


def _bar(row: Mapping[str, Any], y: int, scale: Scale) -> list[str]:
    end = scale.at(row["median"])
    label = row["label"]
    kind = "ours" if label.startswith((OURS, "nodectl")) else "floor" if label.startswith(FLOORS) else "other"
    weight = "600" if kind == "ours" else "400"
    middle = y + BAR / 2
    lines = [
        f"<text x='{LABEL - 10}' y='{middle + 4:.1f}' {FONT} font-size='12' font-weight='{weight}' "
        f"fill='#1f2933' text-anchor='end'>{escape(label)}</text>",
        f"<rect x='{LABEL}' y='{y}' width='{max(1.0, end - LABEL):.1f}' height='{BAR}' rx='2' "
        f"fill='{COLOURS[kind]}'/>",
    ]
    if row["high"] > row["low"] > 0:
        left, right = scale.at(row["low"]), scale.at(row["high"])
        lines.append(
            f"<line x1='{max(LABEL, left):.1f}' x2='{right:.1f}' y1='{middle:.1f}' y2='{middle:.1f}' "
            f"stroke='#1f2933' stroke-width='1.5'/>"
        )
        end = max(end, right)
    lines.append(
        f"<text x='{end + 6:.1f}' y='{middle + 4:.1f}' {FONT} font-size='12' fill='#1f2933'>"
        f"{number(row['median'])}</text>"
    )
    return lines


def _unit(unit: str) -> str:
    return unit.replace("us ", "µs ")
