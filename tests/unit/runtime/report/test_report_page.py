"""The report says what happened, is one safe page, and stays small however wide the run was."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodeling import NodeError, node
from nodeling.results import RunResult, StepResult
from nodeling_runtime.documents.reader import from_data
from nodeling_runtime.engine.host import execute, result_of
from nodeling_runtime.engine.loaded import Loaded, load
from nodeling_runtime.engine.run import RunOptions
from nodeling_runtime.registry import PROJECT, build_registry, register
from nodeling_runtime.report.gantt import MOST_BARS, crowd, draw_time_line, rows_of, tick_step
from nodeling_runtime.report.markup import Markup, el, style_sheet, text
from nodeling_runtime.report.page import POLICY, render, write_report
from nodeling_runtime.report.story import Story, account
from nodeling_runtime.report.wording import duration, pretty, pretty_bytes

SCRIPT = "<script>alert('x')</script>\"'&amp;<img src=x onerror=alert(1)>"
SCRIPT_NAME = SCRIPT.replace("/", "|")
VOID = {"meta", "br"}
TAGS = set(
    "html head body meta title style main header section footer h1 h2 h3 p div span b i code pre details "
    "summary table thead tbody tr th td svg g rect line path text defs marker".split()
)


@node
async def work(ctx: Any, value: Any = None) -> Any:
    return value


@node
async def talk(ctx: Any, value: str = "") -> str:
    ctx.log.warning(value, more=value)
    return value


@node
async def refuse(ctx: Any, value: str = "no") -> str:
    raise NodeError(value, code=5001, details={"why": value, "hint": f"hint {value}"})


@node
async def second_time(ctx: Any) -> int:
    if ctx.attempt < 2:
        raise NodeError("not yet", code=5002)
    return int(ctx.attempt)


REGISTRY = build_registry([], installed=True)
for definition in (work, talk, refuse, second_time):
    register(REGISTRY, definition, PROJECT)


class Page(HTMLParser):
    """A page taken apart: which tags it has, whether they balance, and its text by section."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def run(steps: list[dict[str, Any]], **top: Any) -> tuple[Loaded, RunResult, list[dict[str, Any]]]:
    loaded = load(from_data({"name": "w", "steps": steps, **top}, "w"), registry=REGISTRY)
    events: list[dict[str, Any]] = []
    outcome = asyncio.run(execute(loaded, RunOptions(listeners=[lambda event: events.append(dict(event))])))
    return loaded, result_of(outcome), events


def page_of(steps: list[dict[str, Any]], **top: Any) -> Page:
    return Page(render(*run(steps, **top)))


def step(name: str, node_: str = "work", **keys: Any) -> dict[str, Any]:
    return {"name": name, "node": node_, **keys}


MIXED = [
    step("begin", inputs={"value": {"rows": [1, 2, 3]}}),
    {
        "name": "fan",
        "node": "parallel",
        "execution": {"error_handling": "continue-partial"},
        "nodes": [
            step("good"),
            step("bad", "refuse"),
            step("again", "second-time", retry={"attempts": 3, "delay": 1}),
        ],
    },
    {
        "name": "each",
        "node": "for-each",
        "in": "${[1, 2, 3]}",
        "do": step("item", inputs={"value": "${item}"}),
    },
    step("fail", "refuse", inputs={"value": "the end"}),
    step("never"),
    step("handler", "talk", trigger="on_error", inputs={"value": "said on the way out"}),
]


@pytest.fixture(scope="module")
def mixed() -> tuple[Loaded, RunResult, list[dict[str, Any]]]:
    return run(MIXED, description="All sorts.", version="1.0.0", estimated_duration="3s")


def test_the_page_says_how_every_step_and_child_ended(mixed: Any) -> None:
    whole = render(*mixed)
    page = Page(whole)
    for word in ("begin", "fan", "good", "bad", "again", "each", "item", "fail", "never", "handler"):
        assert word in page.text
    for word in (
        "All sorts.",
        "1.0.0",
        mixed[1].run_id,
        "estimated",
        "3.00 s",
        "the end",
        "said on the way out",
    ):
        assert word in page.text
    assert "hint the end" in page.text
    assert "Traceback" not in page.text  # a NodeError says all there is to say
    said = " ".join(page.text.split())
    assert {"✓ succeeded", "✗ failed", "– skipped · upstream"} <= {
        " ".join(re.sub("<[^>]*>", "", pill).split())
        for pill in re.findall(r'class="pill [^"]*">(.*?)</span>', whole)
    }
    assert "2 tries" in said


def test_the_page_needs_nothing_but_itself(mixed: Any) -> None:
    page = Page(render(*mixed))
    assert page.tags <= TAGS
    assert ("meta", "content", POLICY) in page.attributes
    addresses = [
        value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "action")
    ]
    assert addresses == []
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert re.findall(r"https?://[^\"]+", render(*mixed)) == ["http://www.w3.org/2000/svg"] * 2
    assert "@import" not in render(*mixed)
    assert re.findall(r"url\(([^)]*)\)", render(*mixed)) == re.findall(r"url\((#tip-\w+)\)", render(*mixed))


def test_the_report_is_written_to_the_file_that_was_named(tmp_path: Path, mixed: Any) -> None:
    path = tmp_path / "run.html"
    path.write_text("an older one", encoding="utf-8")
    write_report(path, *mixed)
    assert path.read_text(encoding="utf-8") == render(*mixed)


def test_text_from_names_outputs_errors_and_logs_never_becomes_markup() -> None:
    steps = [
        step(SCRIPT_NAME, inputs={"value": SCRIPT}, description=SCRIPT, needs=[]),
        step("talks", "talk", inputs={"value": SCRIPT}, needs=[SCRIPT_NAME]),
        step("fails", "refuse", inputs={"value": SCRIPT}, needs=[], retry={"attempts": 2, "delay": 1}),
        {
            "name": f"holds {SCRIPT_NAME}",
            "node": "parallel",
            "needs": [],
            "execution": {"error_handling": "continue-partial"},
            "nodes": [step(f"child {SCRIPT_NAME}", "refuse", inputs={"value": SCRIPT})],
        },
    ]
    loaded, result, events = run(steps, name=SCRIPT, description=SCRIPT, version=SCRIPT)
    text_ = render(loaded, result, events)
    page = Page(text_)
    assert page.tags <= TAGS
    assert "<script" not in text_
    assert "<img" not in text_
    assert text_.count("&lt;script&gt;") >= 15
    assert page.text.count(SCRIPT) >= 6


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_text_gives_a_balanced_page(name: str, message: str, log: str) -> None:
    loaded = load(from_data({"name": "w", "steps": [step("a")]}, "w"), registry=REGISTRY)
    error = {
        "code": name,
        "message": message,
        "type": log,
        "details": {"traceback": log, "hint": name, "x": message},
    }
    events = [
        {"ts": 1.0, "event": "run.started"},
        {"ts": 1.1, "event": "step.started", "step": f"a/{name}", "name": name, "node": message},
        {"ts": 1.2, "event": "step.log", "step": "a", "level": name, "message": log, "data": {name: log}},
        {"ts": 1.3, "event": "step.retry", "step": f"a/{name}", "delay_ms": 5, "error": error},
        {
            "ts": 1.4,
            "event": "step.finished",
            "step": f"a/{name}",
            "name": name,
            "status": "failed",
            "error": error,
        },
    ]
    result = RunResult(name, message, "failed", {"a": _result("a", "failed", error)}, error, 5.0)
    page = Page(render(loaded, result, events))
    assert page.tags <= TAGS


def _result(
    name: str, status: str, error: dict[str, Any] | None = None, data: bytes | None = None
) -> StepResult:
    return StepResult(name, status, None, 1, 1.0, {}, error, data)


def test_without_events_the_page_still_says_what_the_result_knows(mixed: Any) -> None:
    loaded, result, _ = mixed
    page = Page(render(loaded, result, []))
    assert "no events were kept" in page.text
    assert "the end" in page.text
    assert "never" in page.text


@pytest.mark.parametrize("shape", ["children", "chain"])
def test_ten_thousand_steps_are_summarised(shape: str) -> None:
    names = [f"s{i}" for i in range(10_000)]
    children = [step(name, "refuse" if name == "s9000" else "work") for name in names]
    steps = {
        "children": [
            {
                "name": "p",
                "node": "parallel",
                "execution": {"error_handling": "continue-partial", "max_concurrent": 50},
                "nodes": children,
            }
        ],
        "chain": [step(name) for name in names],
    }[shape]
    whole = render(*run(steps))
    page = Page(whole)
    assert len(whole) < 2_000_000
    assert "more" in page.text
    bars = whole.count('class="bar"')
    if shape == "children":
        assert bars == 1 + MOST_BARS + 1  # the container, the first children, and the one that failed
        assert "and 9,939 more steps: 9,939 succeeded" in page.text
        assert "s9000" in page.text


def test_a_huge_output_is_cut_and_says_by_how_much(mixed: Any) -> None:
    assert pretty("x" * 30_000).endswith("… 10,002 more characters")
    assert "more bytes" in pretty_bytes(b'"' + b"x" * 1_000_000 + b'"')
    assert pretty_bytes(b'{"a":1}') == '{\n  "a": 1\n}'


# -- what happened


def events_of(*rows: tuple[float, str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    told = [{"ts": 100 + ts, "event": f"step.{kind}", "step": path, **more} for ts, kind, path, more in rows]
    return [{"ts": 100.0, "event": "run.started"}, *told]


EMPTY = RunResult("r", "w", "succeeded", {}, None, 1_000.0, started=100.0)


def test_children_are_found_under_their_container_whatever_it_is_called() -> None:
    names = {
        "each[x]": "each[x]",
        "each[x][3]/body": "body",
        "each[x][3]/body[k]/in": "in",
        "lost/child": "child",
    }
    rows = [(0.1 * i, "started", path, {"name": name}) for i, (path, name) in enumerate(names.items())]
    told = account(EMPTY, events_of(*rows))
    assert [(s.path, s.parent, s.drawn, s.depth) for s in told.steps.values()] == [
        ("each[x]", None, "each[x]", 0),
        ("each[x][3]/body", "each[x]", "each[x]/body", 1),
        ("each[x][3]/body[k]/in", "each[x][3]/body", "each[x]/body/in", 2),
        ("lost/child", None, "child", 0),
    ]
    assert told.steps["each[x][3]/body"].label == "[3]/body"


def test_a_step_that_never_finished_is_still_running_at_the_end() -> None:
    told = account(EMPTY, events_of((0.25, "started", "a", {"name": "a"})))
    assert (told.steps["a"].status, told.steps["a"].ended) == ("running", 1_000.0)


def test_attempts_and_the_waiting_between_them_are_drawn() -> None:
    rows = events_of(
        (0.1, "started", "a", {"name": "a", "node": "n"}),
        (0.2, "retry", "a", {"attempt": 1, "delay_ms": 100, "error": {"code": 1, "message": "m"}}),
        (0.5, "finished", "a", {"status": "succeeded", "attempts": 2, "duration_ms": 400}),
    )
    drawn = draw_time_line(account(EMPTY, rows))
    assert drawn.count('class="bar failed-try"') == 1
    assert drawn.count('class="wait"') == 1
    assert "2 tries" in drawn
    (first, second) = re.findall(r'<rect x="([\d.]+)"[^>]*class="bar', drawn)
    assert float(first) < float(second)


def test_bars_of_many_children_end_in_a_count_and_keep_the_failures() -> None:
    rows = [(0.0, "started", "p", {"name": "p", "container": True})]
    for i in range(500):
        rows.append((0.001 * i, "started", f"p/c{i}", {"name": f"c{i}"}))
        rows.append((0.001 * i, "finished", f"p/c{i}", {"status": "failed" if i == 450 else "succeeded"}))
    lines = rows_of(account(EMPTY, events_of(*rows)))
    assert len(lines) == 1 + MOST_BARS + 1 + 1
    assert lines[-2].story is not None
    assert lines[-2].story.name == "c450"
    assert lines[-1].summary == "… and 299 more: 299 succeeded"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20))
@settings(deadline=None, max_examples=100)
def test_the_crowd_is_what_counting_at_each_moment_gives(spans: list[tuple[int, int]]) -> None:
    stories = [Story("s", "s", "n", started=float(min(span)), ended=float(max(span))) for span in spans]
    for at, many in crowd(stories):
        assert many == sum(1 for s in stories if (s.started or 0) <= at < (s.ended or 0))


def test_one_after_the_other_is_never_two_at_once() -> None:
    told = account(*[run([step(f"s{i}") for i in range(200)])[i] for i in (1, 2)])
    assert max(many for _, many in crowd(list(told.steps.values()))) == 1


@given(st.floats(0.001, 1e9))
def test_an_axis_has_few_ticks(whole: float) -> None:
    assert 1 <= whole / tick_step(whole) <= 10.001 or whole > 8e8


# -- markup


def test_children_and_attributes_are_escaped_unless_they_are_markup() -> None:
    assert el("p", "<b>", el("b", "&"), title='"<') == '<p title="&quot;&lt;">&lt;b&gt;<b>&amp;</b></p>'
    assert isinstance(text("x"), Markup)
    assert text("a\x00b\x1b\ud800\u202e") == "a\\u0000b\\u001b\\ud800\\u202e"
    with pytest.raises(ValueError, match="no markup"):
        style_sheet("</style><script>")


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0.0 ms"),
        (0.04, "40 µs"),
        (8.25, "8.2 ms"),
        (812, "812 ms"),
        (999.7, "1.00 s"),
        (59_996, "1 m 00 s"),
        (125_000, "2 m 05 s"),
        (3_720_000, "1 h 02 m"),
    ],
)
def test_durations_read_well(ms: float, said: str) -> None:
    assert duration(ms) == said
