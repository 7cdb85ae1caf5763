"""The report of a run: one HTML page that needs nothing but itself.

No script, no font, no picture and no request: the page's own policy forbids them, and everything it says is
there without them. Everything that came from a document, a node or a log is text (see `markup`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodeling import __version__
from nodeling.results import RunResult
from nodeling_runtime.graph.outline import Outline, outline
from nodeling_runtime.report import sections
from nodeling_runtime.report.gantt import draw_time_line, peak_of
from nodeling_runtime.report.markup import Markup, el, join, page, style_sheet
from nodeling_runtime.report.picture import draw_picture
from nodeling_runtime.report.story import Account, account
from nodeling_runtime.report.wording import MARKS, clip, count, duration, moment

if TYPE_CHECKING:
    from nodeling_runtime.engine.loaded import Loaded

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
NAMED_ON_PATH = 12


def write_report(path: Path, loaded: Loaded, result: RunResult, events: Sequence[Mapping[str, Any]]) -> None:
    """Write the report of a run that has ended.

    Args:
        path: The file to write; an older one is replaced.
        loaded: The workflow that was run.
        result: How the run ended.
        events: Every event of the run, in order.

    Raises:
        OSError: The file cannot be written.
    """
    path.write_text(render(loaded, result, events), encoding="utf-8")


def render(loaded: Loaded, result: RunResult, events: Sequence[Mapping[str, Any]]) -> str:
    """The page as text."""
    workflow = loaded.ready()
    told = account(result, events)
    measured = {story.path: story.duration_ms for story in told.steps.values()}
    drawing = outline(workflow, measured)
    body = el(
        "main",
        _header(drawing, result, told, workflow.settings.estimated_duration_ms),
        _tiles(result, told),
        sections.section("Graph", _graph(drawing, told)),
        sections.section("Time line", el("div", draw_time_line(told), class_="scroll")),
        *_optional("Errors", sections.errors_list(told)),
        sections.section("Steps", sections.steps_table(told)),
        *_optional("Containers", sections.container_counts(told)),
        sections.section("Outputs", sections.outputs_list(result)),
        *_optional("Log", sections.log_table(told.log)),
        el("footer", f"Written by nodeling {__version__}. This page makes no requests and runs no script."),
    )
    return page(_head(f"{workflow.name}: {result.status}"), body)


def _head(title: str) -> Markup:
    css = (files("nodeling_runtime.report") / "style.css").read_text(encoding="utf-8")
    return join(
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        style_sheet(css),
    )


def _optional(title: str, part: Markup | None) -> list[Markup]:
    return [] if part is None else [sections.section(title, part)]


def _header(drawing: Outline, result: RunResult, told: Account, estimated: float | None) -> Markup:
    name = f"{drawing.name} {drawing.version}".strip()
    facts = [("run", result.run_id), ("started", moment(told.began)), ("took", duration(result.duration_ms))]
    if estimated is not None:
        facts.append(("estimated", duration(estimated)))
    return el(
        "header",
        el("div", el("h1", name), sections.pill(result.status), class_="title"),
        el("p", drawing.description, class_="quiet") if drawing.description else None,
        el("div", *[el("span", f"{key} ", el("b", value)) for key, value in facts], class_="facts"),
        _alert(result.error) if result.error else None,
    )


def _alert(error: Mapping[str, Any]) -> Markup:
    step = error.get("step")
    others = error.get("others") or []
    said = f"[{error.get('code')}] {clip(str(error.get('message', '')), 2_000)}"
    return el(
        "div",
        el("b", f"{step}: " if step else "The run failed: "),
        said,
        el("div", f"and {count(len(others), 'other failure')}", class_="quiet") if others else None,
        *[el("p", hint, class_="hint") for hint in sections.hints(error)],
        class_="alert",
    )


def _tiles(result: RunResult, told: Account) -> Markup:
    statuses = [story.status for story in told.steps.values()]
    held = [word for word in MARKS if word in statuses]
    tiles = [
        _tile(duration(result.duration_ms), "from start to end"),
        _tile(f"{len(statuses):,}", "steps and children"),
    ]
    tiles += [_tile(f"{statuses.count(word):,}", word, f" st-{word}") for word in held]
    tries = sum(story.attempts - 1 for story in told.steps.values() if story.attempts > 1)
    if tries:
        tiles.append(_tile(f"{tries:,}", "repeated attempts"))
    if result.leaked:
        tiles.append(_tile(f"{result.leaked:,}", "calls that never came back", " st-failed"))
    peak = peak_of(told)
    if peak:
        tiles.append(_tile(f"{peak:,}", "at once at most"))
    return el("div", *tiles, class_="tiles")


def _tile(value: str, what: str, tone: str = "") -> Markup:
    return el("div", el("b", value), el("span", what), class_=f"tile{tone}")


def _graph(drawing: Outline, told: Account) -> Markup:
    runs = told.of_drawing()
    critical = [drawing.nodes[i] for i in drawing.top.critical]
    names = [node.name for node in critical[:NAMED_ON_PATH]]
    if len(critical) > NAMED_ON_PATH:
        names.append(f"… {len(critical) - NAMED_ON_PATH:,} more")
    spent = sum(story.duration_ms for node in critical for story in runs.get(node.path, ()))
    used = [word for word in MARKS if any(story.status == word for story in told.steps.values())]
    legend = [el("span", el("i", class_=f"st-{word}"), word) for word in used]
    path = el("span", "critical path ", el("b", " → ".join(names)), f" ({duration(spent)} of work)")
    return join(
        el("div", draw_picture(drawing, runs), class_="scroll"),
        el("div", *legend, el("span", "dashed: not run"), path, class_="legend"),
    )
