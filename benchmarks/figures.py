"""What a comparison gives: groups of rows, each with a median, its spread, and a ratio to a base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.turns import ratios, rounded, spread

OURS = "nodeling"


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant of a group."""

    label: str
    median: float
    low: float
    high: float
    rounds: int
    ratio: dict[str, float] | None  # to the base of the group


@dataclass(frozen=True, slots=True)
class Group:
    """One comparison.

    Args:
        name: What goals and pages call it.
        title: Its heading.
        what: What is done, in a sentence.
        unit: Of its rows.
        base: The row to which the others are compared; none where they are of different kinds.
        rows: The contestants.
        times: Every single figure by label, in the rows' unit.
    """

    name: str
    title: str
    what: str
    unit: str
    base: str
    rows: list[Row]
    times: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        what: str,
        unit: str,
        base: str,
        times: Mapping[str, Sequence[float]],
        scale: float = 1.0,
    ) -> Group:
        """The group of some times.

        Args:
            name: As above.
            title: As above.
            what: As above.
            unit: As above.
            base: As above.
            times: The figures of each contestant, round by round.
            scale: From these figures to the unit.
        """
        scaled = {label: [value * scale for value in values] for label, values in times.items() if values}
        return cls(name, title, what, unit, base, [_row(label, scaled, base) for label in scaled], scaled)

    def to_json(self) -> dict[str, Any]:
        """The group as it is written to a file."""
        found: dict[str, Any] = rounded(asdict(self))
        return found


def _row(label: str, times: dict[str, list[float]], base: str) -> Row:
    found = spread(times[label])
    both = min(len(times[label]), len(times.get(base, ())))
    ratio = ratios(times[label][:both], times[base][:both]) if both else None
    return Row(label, found["median"], found["low"], found["high"], len(times[label]), ratio)


def table(group: Mapping[str, Any]) -> list[str]:
    """A written group as lines of text."""
    lines = [f"{group['title']}: {group['what']}", ""]
    width = max(len(row["label"]) for row in group["rows"])
    beside = f"x {group['base']}" if group["base"] else ""
    lines.append(f"  {'':{width}} {group['unit']:>12} {'middle half':>24}  {beside}")
    for row in group["rows"]:
        middle = f"{number(row['low'])} .. {number(row['high'])}"
        ratio = "" if row["ratio"] is None else number(row["ratio"]["median"])
        lines.append(f"  {row['label']:{width}} {number(row['median']):>12} {middle:>24}  {ratio}")
    return lines


def number(value: float) -> str:
    """A figure with three significant digits."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4}f}"
