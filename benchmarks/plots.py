"""Bars on a logarithmic scale, as SVG: figures that lie far apart, side by side, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from benchmarks.figures import OURS, number

WIDTH = 760
BAR, GAP, TOP, BOTTOM = 20, 8, 44, 30
LABEL, VALUE = 230, 90  # the room for names on the left, and for figures on the right
COLOURS = {"ours": "#0b6e4f", "other": "#9aa5b1", "floor": "#d9a441"}
FLOORS = ("ideal", "raw pipe", "100 commits", "python -c pass", "decode and encode", "one after the other")
FONT = "font-family='system-ui, -apple-system, Segoe UI, sans-serif'"


def plot(group: Mapping[str, Any]) -> str:
    """One group as a picture: the shortest bar first."""
    rows = sorted(group["rows"], key=lambda row: row["median"])
    height = TOP + len(rows) * (BAR + GAP) + BOTTOM
    low, high = _bounds([row["median"] for row in rows])
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
        f"viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{escape(group['title'])}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='26' {FONT} font-size='15' font-weight='600' fill='#1f2933'>"
        f"{escape(group['title'])}, {escape(_unit(group['unit']))}</text>",
    ]
    lines += _grid(low, high, height)
    for index, row in enumerate(rows):
        lines += _bar(row, TOP + index * (BAR + GAP), low, high)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bounds(values: list[float]) -> tuple[int, int]:
    """The powers of ten around all values; the lower one leaves the shortest bar some length."""
    low = math.floor(math.log10(min(values)) - 0.15)
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def _at(value: float, low: int, high: int) -> float:
    return LABEL + (WIDTH - LABEL - VALUE) * (math.log10(value) - low) / (high - low)


def _grid(low: int, high: int, height: int) -> list[str]:
    lines = []
    for power in range(low, high + 1):
        x = _at(10.0**power, low, high)
        lines.append(
            f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{TOP - 6}' y2='{height - BOTTOM + 4}' stroke='#e4e7eb'/>"
        )
        lines.append(
            f"<text x='{x:.1f}' y='{height - 10}' {FONT} font-size='11' fill='#616e7c' text-anchor='middle'>"
            f"{10.0**power:,.10g}</text>"
        )
    return lines


def _bar(row: Mapping[str, Any], y: int, low: int, high: int) -> list[str]:
    end = _at(row["median"], low, high)
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
        left, right = _at(row["low"], low, high), _at(row["high"], low, high)
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
