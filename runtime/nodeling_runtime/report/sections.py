"""The parts of the page that are words and tables: steps, errors, counts, outputs, logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodeling.results import RunResult
from nodeling_runtime.report.markup import Markup, el, join
from nodeling_runtime.report.story import Account, LogLine, Story
from nodeling_runtime.report.wording import (
    MARKS,
    clip,
    count,
    duration,
    pretty,
    pretty_bytes,
    shortened,
    size,
)

MOST_STEPS = 1_000
MOST_CHILDREN = 200  # of one container
MOST_ERRORS = 100
MOST_LINES = 1_000
SHOWN_ELSEWHERE = ("traceback", "stderr", "results", "errors", "execution_info")
COUNTS = ("completed", "failed", "cancelled", "skipped")
TONES = {"completed": "succeeded", "failed": "failed", "cancelled": "cancelled", "skipped": "skipped"}


def pill(status: str, reason: str | None = None) -> Markup:
    """A status as a coloured word."""
    mark = f"{MARKS[status]} " if status in MARKS else ""
    return el("span", f"{mark}{status}", f" · {reason}" if reason else None, class_=f"pill st-{status}")


def section(title: str, *parts: Markup) -> Markup:
    """A card with a heading."""
    return el("section", el("h2", title), *parts)


# -- steps


def steps_table(account: Account) -> Markup:
    """Every step and child, as a tree in a table."""
    shown = _shown_steps(account)
    heads = ("Step", "Node", "Status")
    numbers = ("Attempts", "Started", "Time")
    head = el(
        "tr",
        *[el("th", name) for name in heads],
        *[el("th", name, class_="number") for name in numbers],
        el("th", "Worker"),
        el("th", "Error"),
    )
    rows = [_step_row(story) for story in shown]
    table = el("div", el("table", el("thead", head), el("tbody", *rows)), class_="scroll")
    left = len(account.steps) - len(shown)
    return join(
        table, el("p", f"… and {count(left, 'more step')} not listed here.", class_="quiet") if left else None
    )


def _shown_steps(account: Account) -> list[Story]:
    shown: list[Story] = []
    todo = account.children.get(None, [])[::-1]
    while todo and len(shown) < MOST_STEPS:
        story = todo.pop()
        shown.append(story)
        children = account.children.get(story.path, [])
        kept = children[:MOST_CHILDREN] + [c for c in children[MOST_CHILDREN:] if c.status == "failed"][:50]
        todo.extend(kept[::-1])
    return shown


def _step_row(story: Story) -> Markup:
    measured = ", ".join(
        f"{key} {value:g}" for key, value in story.metrics.items() if isinstance(value, (int, float))
    )
    error = story.error or {}
    return el(
        "tr",
        el("td", story.label, class_="step", style=f"padding-left:{10 + 18 * min(story.depth, 12)}px"),
        el("td", story.node),
        el("td", pill(story.status, story.reason)),
        el("td", story.attempts or "", class_="number"),
        el("td", "" if story.started is None else f"+{duration(story.started)}", class_="number"),
        el(
            "td",
            "" if story.started is None else duration(story.duration_ms),
            class_="number",
            title=measured or None,
        ),
        el("td", story.worker or "", class_="mono"),
        el(
            "td",
            clip(f"[{error['code']}] {error.get('message', '')}", 300) if "code" in error else "",
            class_="error",
        ),
    )


# -- errors


def errors_list(account: Account) -> Markup | None:
    """Every failure with what is known of it, those inside before those they caused."""
    failed = [story for story in account.steps.values() if story.error and story.status == "failed"]
    if not failed:
        return None
    failed.sort(key=lambda story: (story.ended is None, story.ended or 0.0, -story.depth))
    items = [_error(story, story.error or {}) for story in failed[:MOST_ERRORS]]
    left = len(failed) - len(items)
    more = el("p", f"… and {count(left, 'more failure')}.", class_="quiet") if left else None
    return join(*items, more)


def _error(story: Story, error: Mapping[str, Any]) -> Markup:
    details = error.get("details") if isinstance(error.get("details"), Mapping) else {}
    tries = f", after {story.attempts} attempts" if story.attempts > 1 else ""
    head = el(
        "div",
        el("h3", story.path),
        el("code", str(error.get("code", ""))),
        el("span", f"{error.get('type', '')} in {story.node}{tries}", class_="quiet"),
        class_="title",
    )
    return el(
        "div",
        head,
        el("div", clip(str(error.get("message", "")), 2_000)),
        *[el("p", hint, class_="hint") for hint in hints(error)],
        *_folded(details or {}),
        *[_earlier(number, one.error) for number, one in enumerate(story.tries, 1)],
        class_="item",
    )


def hints(error: Mapping[str, Any]) -> Iterator[str]:
    """What to try: what the error itself says, and which limit was met."""
    details = error.get("details") if isinstance(error.get("details"), Mapping) else {}
    for holder in (error, details or {}):
        if isinstance(holder.get("hint"), str) and holder["hint"]:
            yield holder["hint"]
    limit = (details or {}).get("limit")
    if error.get("code") == 9005 and limit == "run_timeout":
        yield "the whole run's timeout ended it"
    elif error.get("code") == 9005 and isinstance(limit, str):
        yield f"its {limit} ended it: give it longer, or make the node quicker"


def _folded(details: Mapping[str, Any]) -> Iterator[Markup]:
    for key, title in (("traceback", "Traceback"), ("stderr", "What it wrote to stderr")):
        if details.get(key):
            yield _details(title, shortened(str(details[key])), is_open=key == "traceback")
    rest = {key: value for key, value in details.items() if key not in SHOWN_ELSEWHERE and key != "hint"}
    if rest:
        yield _details("Details", pretty(rest))


def _earlier(number: int, error: Mapping[str, Any]) -> Markup:
    said = f"Attempt {number}: [{error.get('code')}] {clip(str(error.get('message', '')), 200)}"
    return _details(said, pretty(error))


def _details(title: str, body: str, note: str = "", *, is_open: bool = False) -> Markup:
    summary = el("summary", title, el("span", f" {note}", class_="quiet") if note else None)
    return el("details", summary, el("pre", body), open=is_open)


# -- containers


def container_counts(account: Account) -> Markup | None:
    """What the engine counted of every container's children."""
    counted = [story for story in account.steps.values() if story.counted]
    items = [_counts(story.path, story.counted or {}) for story in counted[:MOST_ERRORS]]
    return join(*items) if items else None


def _counts(path: str, info: Mapping[str, Any]) -> Markup:
    total = info.get("total") or 0
    bar = [
        el("i", class_=f"st-{TONES[key]}", style=f"width:{100 * _number(info.get(key)) / total:.2f}%")
        for key in COUNTS
        if total and info.get(key)
    ]
    facts = [
        el("span", f"{key.replace('_', ' ').removesuffix(' ms')} ", el("b", _fact(key, value)))
        for key, value in info.items()
        if not isinstance(value, (list, dict))
    ]
    return el(
        "div",
        el("div", el("h3", path), class_="title"),
        el("div", *bar, class_="share"),
        el("div", *facts, class_="counts"),
        class_="item",
    )


def _fact(key: str, value: Any) -> str:
    if key.endswith("_ms") and isinstance(value, (int, float)):
        return duration(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


# -- outputs and logs


def outputs_list(result: RunResult) -> Markup:
    """The run's output, and each step's, laid out and folded away."""
    parts = []
    if result.data is not None:
        parts.append(
            _details("Output of the run", pretty_bytes(result.data), size(result.data), is_open=True)
        )
    held = [step for step in result.steps.values() if step.data is not None]
    parts.extend(
        _details(step.name, pretty_bytes(step.data), size(step.data))
        for step in held[:MOST_STEPS]
        if step.data is not None
    )
    left = len(held) - MOST_STEPS
    if left > 0:
        parts.append(el("p", f"… and {count(left, 'more output')}.", class_="quiet"))
    return join(*parts) if parts else el("p", "No step has an output.", class_="quiet")


def log_table(log: list[LogLine]) -> Markup | None:
    """What the nodes logged; of very many lines the first and the last."""
    if not log:
        return None
    half = MOST_LINES // 2
    lines = log if len(log) <= MOST_LINES else [*log[:half], None, *log[-half:]]
    rows = [
        el("tr", el("td", f"… {len(log) - MOST_LINES:,} lines left out …", colspan=4, class_="quiet"))
        if line is None
        else _log_row(line)
        for line in lines
    ]
    return el("div", el("table", el("tbody", *rows), class_="log"), class_="scroll")


def _log_row(line: LogLine) -> Markup:
    level = line.level if line.level in ("debug", "info", "warning", "error") else "info"
    data = el("span", f" {clip(pretty(line.data), 1_000)}", class_="quiet") if line.data else None
    return el(
        "tr",
        el("td", f"+{duration(line.at)}", class_="at"),
        el("td", line.step, class_="mono"),
        el("td", line.level, class_=level),
        el("td", clip(line.message, 4_000), data, class_="mono"),
    )
