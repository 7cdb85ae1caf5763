"""What the project sets itself, as ratios within one run, and whether a run met it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.figures import OURS, number


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on how many times as long one row of a group takes as another.

    Args:
        path: What it is about.
        group: The group of both rows.
        upper: How the label of the one row begins.
        lower: How that of the other begins; None: the figure itself is bounded.
        bound: The number.
        side: Whether the ratio is at most or at least that.
    """

    path: str
    group: str
    upper: str
    lower: str | None
    bound: float
    side: Literal["at most", "at least"] = "at most"


GOALS = (
    Goal("fan-out of 100 beside bare asyncio", "fan", OURS, "bare asyncio", 1.2),
    Goal("kailash's fan-out of 100 beside ours", "fan", "kailash", OURS, 4, "at least"),
    Goal("LangGraph's fan-out of 100 beside ours", "fan", "langgraph", OURS, 10, "at least"),
    Goal("chain of 100, us a node", "chain", OURS, None, 15),
    Goal("kailash's chain of 100 beside ours", "chain", "kailash", OURS, 5, "at least"),
    Goal("LangGraph's chain of 100 beside ours", "chain", "langgraph", OURS, 8, "at least"),
    Goal("DBOS's durable fan beside ours, fast", "durable fan", "DBOS", "nodeling, fast", 20, "at least"),
    Goal("DBOS's durable chain beside ours, fast", "durable chain", "DBOS", "nodeling, fast", 20, "at least"),
    Goal(
        "prefect's fan beside our durable one, fast",
        "durable fan",
        "prefect",
        "nodeling, fast",
        100,
        "at least",
    ),
    Goal(
        "prefect's chain beside our durable one, fast",
        "durable chain",
        "prefect",
        "nodeling, fast",
        100,
        "at least",
    ),
    Goal("DBOS's durable fan beside ours, full", "durable fan", "DBOS", "nodeling, full", 5, "at least"),
    Goal("DBOS's durable chain beside ours, full", "durable chain", "DBOS", "nodeling, full", 5, "at least"),
    Goal("durable fan, full, beside as many commits", "durable fan", "nodeling, full", "100 commits", 2),
    Goal("durable chain, full, beside as many commits", "durable chain", "nodeling, full", "100 commits", 2),
    Goal("the journal of a chain on the loop, us an event", "journal", "chain, written down", None, 10),
    Goal("the journal of a fan on the loop, us an event", "journal", "fan, written down", None, 10),
    Goal("10,000 durable runs, steps a second", "throughput", "nodeling, full, all", None, 500, "at least"),
    Goal(
        "memory after 10,000 durable runs beside 1,000",
        "throughput memory",
        "after 10,000",
        "after 1,000",
        1.1,
    ),
    Goal("a node of 100,000 children beside one of 100", "wide", "nodeling, 100,000", "nodeling, 100", 1.3),
    Goal("a node of 10,000 steps beside one of 100", "long", "nodeling, 10,000", "nodeling, 100", 1.3),
    Goal("ten sleeps, async, beside the ideal", "sleeps", "nodeling, async", "ideal", 1.03),
    Goal("ten sleeps, threads, beside the ideal", "sleeps", "nodeling, threads", "ideal", 1.03),
    Goal("ten sleeps, workers, beside the ideal", "sleeps", "nodeling, workers", "ideal", 1.03),
    Goal(
        "a warm call's transport beside a raw pipe",
        "call 200 B x1",
        "nodeling, transport",
        "raw pipe, same",
        2,
    ),
    Goal("a warm whole call beside a raw pipe", "call 200 B x1", "nodeling, whole", "raw pipe, same", 3.5),
    Goal("an MCP call beside a warm whole call", "call 200 B x1", "MCP", "nodeling, whole", 25, "at least"),
    Goal(
        "32 MCP calls in flight beside ours", "call 200 B x32", "MCP", "nodeling, transport", 30, "at least"
    ),
    Goal("fan-out of 100 to a warm worker beside execnet", "worker fan", OURS, "execnet", 1.2),
    Goal("chain of 100 to a warm worker beside execnet", "worker chain", OURS, "execnet", 1.2),
    Goal("unread 10 MB of context beside 1 KB", "context", "nodeling, 10 MB", "nodeling, 1 KB", 2),
    Goal(
        "10 MB forwarded beside decode and encode",
        "forward",
        "nodeling, as a blob",
        "decode and encode",
        0.15,
    ),
    Goal("a split that waits beside one after the other", "split io", "5 at once", "one after", 0.3),
    Goal("a split that computes: the ideal beside ours", "split cpu", "ideal", "@ at once", 0.9, "at least"),
    Goal("`nodectl --version` beside `python -c pass`", "cold", "nodectl --version", "python -c pass", 4),
    Goal("`nodectl run` of one step beside the same", "cold", "nodectl run", "python -c pass", 15),
)


def judged(groups: Sequence[Mapping[str, Any]], goals: Sequence[Goal] = GOALS) -> list[dict[str, Any]]:
    """Every goal that these groups have the rows for; one whose peer was not there is not judged."""
    known = {group["name"]: group for group in groups}
    found = []
    for goal in goals:
        group = known.get(goal.group)
        if group is None:
            continue
        upper = _label(group, goal.upper)
        lower = None if goal.lower is None else _label(group, goal.lower)
        if upper is None or (goal.lower is not None and lower is None):
            continue
        value = _value(group, upper, lower)
        met = value <= goal.bound if goal.side == "at most" else value >= goal.bound
        wanted = f"{goal.side} {goal.bound:g}"
        found.append({"path": goal.path, "goal": wanted, "value": float(f"{value:.3g}"), "met": met})
    return found


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The goals as lines of text."""
    width = max(len(one["path"]) for one in found)
    lines = [f"{'':{width}} {'measured':>9}  goal"]
    lines += [
        f"{one['path']:{width}} {number(one['value']):>9}  {one['goal']}{'' if one['met'] else '  NOT MET'}"
        for one in found
    ]
    return lines


def _label(group: Mapping[str, Any], start: str) -> str | None:
    """The label that begins so; `@` stands for the number of lanes."""
    labels = [row["label"] for row in group["rows"]]
    if start.startswith("@"):
        return next((label for label in labels if label.endswith(start[1:])), None)
    exact = [label for label in labels if label == start]
    return next(iter(exact or [label for label in labels if label.startswith(start)]), None)


def _value(group: Mapping[str, Any], upper: str, lower: str | None) -> float:
    """The median of the rounds' ratios, or of the figures themselves."""
    times = group["times"]
    if lower is None:
        values = times[upper]
    else:
        many = min(len(times[upper]), len(times[lower]))
        values = [a / b for a, b in zip(times[upper][:many], times[lower][:many], strict=True)]
    return statistics.median(values)
