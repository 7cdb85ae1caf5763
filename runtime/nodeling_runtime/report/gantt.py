"""The time line: a bar for each step and child, its failed attempts, and how many ran at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nodeling._dataclass import dataclass
from nodeling_runtime.report.markup import Markup, el
from nodeling_runtime.report.story import Account, Story
from nodeling_runtime.report.wording import MARKS, clip, count, duration

MOST_BARS = 200  # children of one container
MOST_BAD = 40  # failed ones shown beyond those
MOST_ROWS = 1_500
LABELS, PLOT, TAIL = 240.0, 770.0, 120.0
ROW, BAR, THIN = 24.0, 14.0, 6.0
CROWD = 54.0  # the height of the picture of how many ran at once
AXIS = 26.0
LETTER = 6.7


@dataclass(slots=True)
class Row:
    """One line: a step's bar, or the sum of those that are not shown."""

    story: Story | None
    depth: int
    summary: str = ""


def rows_of(account: Account) -> list[Row]:
    """The lines of the time line, children under their container."""
    rows: list[Row] = []
    todo: list[Row] = _siblings(account, None, 0)[::-1]
    while todo:
        row = todo.pop()
        if len(rows) >= MOST_ROWS:
            left = 1 + len(todo)
            rows.append(Row(None, 0, f"… and {count(left, 'more line')}, with what is inside them"))
            break
        rows.append(row)
        if row.story is not None:
            todo.extend(_siblings(account, row.story.path, row.depth + 1)[::-1])
    return rows


def _siblings(account: Account, parent: str | None, depth: int) -> list[Row]:
    ran = [story for story in account.children.get(parent, ()) if story.started is not None]
    shown = ran
    if len(ran) > MOST_BARS:
        bad = {story.path for story in [s for s in ran[MOST_BARS:] if s.status == "failed"][:MOST_BAD]}
        shown = [story for i, story in enumerate(ran) if i < MOST_BARS or story.path in bad]
    rows = [Row(story, depth) for story in shown]
    if len(shown) < len(ran):
        rest = [story.status for story in ran if story not in shown] if len(ran) < 1_000 else None
        rows.append(Row(None, depth, _summary(len(ran) - len(shown), rest)))
    return rows


def _summary(left: int, statuses: Sequence[str] | None) -> str:
    tally = ", ".join(f"{statuses.count(w):,} {w}" for w in MARKS if w in statuses) if statuses else ""
    return f"… and {left:,} more{f': {tally}' if tally else ''}"


def draw_time_line(account: Account) -> Markup:
    """The whole time line as an SVG."""
    rows = rows_of(account)
    if not rows:
        return el("p", "No step was started, or no events were kept.", class_="quiet")
    return _TimeLine(account, rows).draw()


class _TimeLine:
    """One time line under way."""

    def __init__(self, account: Account, rows: list[Row]) -> None:
        self.account = account
        self.rows = rows
        self.whole = max(account.duration_ms, 0.001)
        self.top = AXIS + CROWD

    def x(self, ms: float) -> float:
        """Where a moment stands."""
        return LABELS + PLOT * min(max(ms / self.whole, 0.0), 1.0)

    def draw(self) -> Markup:
        width, height = LABELS + PLOT + TAIL, self.top + ROW * len(self.rows) + 8
        bands = [
            el("rect", x=0, y=self.top + ROW * i, width=width, height=ROW, class_="band")
            for i in range(1, len(self.rows), 2)
        ]
        lines = [self._row(row, self.top + ROW * i) for i, row in enumerate(self.rows)]
        return el(
            "svg",
            *bands,
            *self._axis(height),
            *self._crowd(),
            *lines,
            xmlns="http://www.w3.org/2000/svg",
            class_="gantt",
            width=round(width),
            height=round(height),
            viewBox=f"0 0 {width:.0f} {height:.0f}",
            role="img",
            aria_label="The time line of the run",
        )

    def _axis(self, height: float) -> Iterator[Markup]:
        step = tick_step(self.whole)
        for number in range(int(self.whole / step) + 1):
            x = self.x(number * step)
            yield el("line", x1=x, y1=AXIS - 6, x2=x, y2=height, class_="tick")
            label = tick_label(number * step, step)
            yield el("text", label, x=x, y=AXIS - 11, text_anchor="middle", class_="tick-label")

    def _crowd(self) -> Iterator[Markup]:
        """How many steps that hold no others ran at each moment."""
        steps = crowd(leaves(self.account))
        peak = max((many for _, many in steps), default=0)
        if not peak:
            return
        floor, tall = AXIS + CROWD - 12, CROWD - 20
        points, before = [f"M{self.x(0):.1f} {floor:.1f}"], 0
        for at, many in thinned(steps, self.whole):
            x = self.x(at)
            points.append(
                f"L{x:.1f} {floor - tall * before / peak:.1f} L{x:.1f} {floor - tall * many / peak:.1f}"
            )
            before = many
        shape = f"{' '.join(points)} L{self.x(self.whole):.1f} {floor:.1f} z"
        yield el("path", d=shape, class_="crowd")
        yield el(
            "text",
            f"at once: up to {peak:,}",
            x=LABELS - 12,
            y=floor - 4,
            text_anchor="end",
            class_="quiet-label",
        )

    def _row(self, row: Row, y: float) -> Markup:
        left, middle = 10 + 14 * min(row.depth, 8), y + ROW / 2
        story = row.story
        if story is None:
            return el("text", row.summary, x=left, y=middle + 4, class_="quiet-label")
        room = int((LABELS - left - 10) / LETTER)
        name = el("text", clip(story.label, room), x=left, y=middle + 4, class_="row-name")
        classes = f"row st-{story.status}{' container' if story.container else ''}"
        return el("g", el("title", told(story)), name, *self._bars(story, middle), class_=classes)

    def _bars(self, story: Story, middle: float) -> Iterator[Markup]:
        start = story.started or 0.0
        end = story.ended if story.ended is not None else self.whole
        high = THIN if story.container else BAR
        at = start
        for one in story.tries:
            yield self._bar(at, one.ended, middle, high, "bar failed-try")
            after = min(one.ended + one.delay_ms, end)
            yield el("line", x1=self.x(one.ended), y1=middle, x2=self.x(after), y2=middle, class_="wait")
            at = after
        yield self._bar(at, end, middle, high, "bar")
        said = duration(story.duration_ms) + (f" · {story.attempts} tries" if story.attempts > 1 else "")
        yield el("text", said, x=self.x(end) + 6, y=middle + 4, class_="row-time")

    def _bar(self, start: float, end: float, middle: float, high: float, kind: str) -> Markup:
        x = self.x(start)
        width = max(self.x(end) - x, 1.5)
        return el(
            "rect", x=x, y=middle - high / 2, width=width, height=high, rx=min(3, width / 2), class_=kind
        )


def told(story: Story) -> str:
    """What a pointer that rests on a bar reads."""
    reason = f" ({story.reason})" if story.reason else ""
    said = [story.path, f"{story.node}: {story.status}{reason}"]
    said.append(f"from {duration(story.started or 0.0)}, for {duration(story.duration_ms)}")
    if story.waited_for:
        said.append(f"waited for {clip(', '.join(story.waited_for), 200)}")
    if story.attempts > 1:
        said.append(f"{story.attempts} attempts")
    if story.worker:
        said.append(f"on {story.worker}")
    if story.error:
        said.append(f"[{story.error.get('code')}] {clip(str(story.error.get('message')), 300)}")
    return "\n".join(said)


def crowd(stories: Sequence[Story]) -> list[tuple[float, int]]:
    """How many run from each moment on."""
    changes: dict[float, int] = {}
    for story in stories:
        if story.started is not None and story.ended is not None:
            changes[story.started] = changes.get(story.started, 0) + 1
            changes[story.ended] = changes.get(story.ended, 0) - 1
    found, many = [], 0
    for at in sorted(changes):
        many += changes[at]
        found.append((at, many))
    return found


def peak_of(account: Account) -> int:
    """How many steps that hold no others ran at the fullest moment."""
    return max((many for _, many in crowd(leaves(account))), default=0)


def leaves(account: Account) -> list[Story]:
    """The steps that hold no others."""
    return [story for story in account.steps.values() if not story.container]


def thinned(steps: Sequence[tuple[float, int]], whole: float) -> list[tuple[float, int]]:
    """At most one moment for each unit of width, the fullest one, and the last as it is."""
    kept: dict[int, tuple[float, int]] = {}
    for at, many in steps[:-1]:
        slot = int(PLOT * at / whole)
        if slot not in kept or many > kept[slot][1]:
            kept[slot] = (at, many)
    return [*kept.values(), *steps[-1:]]


def tick_step(whole: float) -> float:
    """A round number of milliseconds that divides the axis into five to ten."""
    if whole >= 60_000:
        choices = [unit * n for unit in (1_000, 60_000, 3_600_000) for n in (10, 15, 30, 60, 120, 300, 600)]
        return next((float(step) for step in sorted(choices) if whole / step <= 10), 3_600_000.0 * 24)
    power = float(10.0 ** math.floor(math.log10(whole / 5)))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if whole / (step * power) <= 10)


def tick_label(ms: float, step: float) -> str:
    """A moment on the axis, in the unit that suits the distance of two ticks."""
    if step >= 60_000:
        return f"{ms / 60_000:g} m"
    if step >= 1_000 or (step >= 100 and ms >= 1_000):
        return f"{ms / 1_000:g} s"
    return f"{ms:g} ms"
