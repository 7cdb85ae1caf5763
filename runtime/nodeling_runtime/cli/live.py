"""The live tree on a terminal: what runs now, how far it has come, and how much has ended.

What is kept and drawn is bounded whatever the width of a container: everything that runs, up to a
number, the last few that ended, and counts of the rest. Events come on the engine's thread and are
drawn on another, so the rows change under a lock.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from nodeling._dataclass import dataclass
from nodeling_runtime.cli.lines import Lines
from nodeling_runtime.cli.output import colour
from nodeling_runtime.cli.text import COLOURS, error_line, mark, one_line, progress_line
from nodeling_runtime.workflow.duration import spoken

Event = Mapping[str, Any]

KEPT = 8  # how many ended rows of one level are remembered
SHOWN_RUNNING = 12  # how many running rows of one level are drawn
BAR = 20
ABOVE = ("step.log", "step.retry", "run.queued")  # events that are told in lines above the tree as well
PER_SECOND = 10


@dataclass(slots=True)
class Row:
    """One step or child, and what is below it."""

    label: str
    node: str = ""
    status: str = "running"
    started: float = 0.0
    duration_ms: float | None = None
    attempts: int = 1
    said: str = ""
    share: float | None = None
    children: dict[str, Row] = field(default_factory=dict)
    ended: deque[str] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)

    def finish(self, path: str, row: Row) -> Iterator[str]:
        """A row of this level has ended; the paths of those that are forgotten for it."""
        self.counts[row.status] += 1
        self.ended.append(path)
        while len(self.ended) > KEPT:
            old = self.ended.popleft()
            self.children.pop(old, None)
            yield old


class LiveView:
    """Draws a run while it goes on, and leaves nothing of it behind."""

    def __init__(
        self, *, verbose: bool = False, console: Console | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.console = console or Console(stderr=True, no_color=not colour())
        self._lines = Lines(verbose=verbose, write=self._above)
        self._clock = clock
        # asked of the console: while a live tree is shown, sys.stderr is a proxy that knows no encoding
        self._fancy = self.console.encoding.lower().startswith("utf")
        self._lock = threading.Lock()
        self._root = Row("run", started=clock())
        self._rows: dict[str, Row] = {}
        self._live = Live(
            console=self.console, transient=True, refresh_per_second=PER_SECOND, get_renderable=self.draw
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the tree."""
        self._above(text)

    def hear(self, event: Event) -> None:
        """Take an event in."""
        kind = event["event"]
        if kind in ABOVE:
            self._lines.hear(event)
        with self._lock:
            if kind == "run.started":
                self._root = Row(str(event["workflow"]), started=event["ts"])
                self._lines.begin(event["ts"])
            elif kind == "step.started":
                self._start(event)
            elif kind == "step.finished":
                self._finish(event)
            elif "step" in event:
                self._change(event)

    def draw(self) -> RenderableType:
        """The tree as it is now."""
        with self._lock:
            tree = Tree(self._header(), guide_style="bright_black")
            self._fill(tree, self._root)
            return tree

    # -- rows

    def _parent(self, path: str) -> tuple[Row, str]:
        """The row a path stands under, and what to call it there.

        `each[3]/body` is `body [3]` under `each`. A parent that is not known leaves its child to the
        nearest one above that is.
        """
        above, _, label = path.rpartition("/")
        while above:
            if above in self._rows:
                return self._rows[above], label
            bare, _, number = above.rpartition("[")
            if above.endswith("]") and bare in self._rows:
                return self._rows[bare], f"{label} [{number}"
            above, _, middle = above.rpartition("/")
            label = f"{middle}/{label}"
        return self._root, label

    def _start(self, event: Event) -> None:
        path = event["step"]
        if path in self._rows:
            return
        parent, label = self._parent(path)
        row = Row(one_line(label, 40), str(event.get("node", "")), started=event["ts"])
        self._rows[path] = parent.children[path] = row

    def _finish(self, event: Event) -> None:
        path = event["step"]
        self._start(event)
        row = self._rows[path]
        row.status = str(event["status"])
        row.duration_ms = event["duration_ms"]
        row.attempts = event["attempts"]
        row.share = None
        row.said = error_line(event["error"]) if event.get("error") else str(event.get("reason") or "")
        self._forget(row.children)
        row.children = {}
        parent, _ = self._parent(path)
        for old in parent.finish(path, row):
            self._rows.pop(old, None)

    def _forget(self, rows: Mapping[str, Row]) -> None:
        for path, row in rows.items():
            self._rows.pop(path, None)
            self._forget(row.children)

    def _change(self, event: Event) -> None:
        row = self._rows.get(event["step"])
        if row is None:
            return
        if event["event"] == "step.progress":
            row.said = progress_line(event)
            row.share = _share(event.get("progress"), event.get("total"))
        elif event["event"] == "step.retry":
            row.said = f"attempt {event['attempt']} failed, again in {spoken(event['delay_ms'])}"

    # -- drawing

    def _header(self) -> Text:
        root = self._root
        text = Text(one_line(root.label, 60), style="bold")
        text.append(f"  {spoken((self._clock() - root.started) * 1_000)}", style="bright_black")
        counts = _counted(root.counts)
        if counts:
            text.append(f"  {counts}", style="bright_black")
        return text

    def _fill(self, tree: Tree, parent: Row) -> None:
        running = [row for row in parent.children.values() if row.status == "running"]
        hidden = len(running) - SHOWN_RUNNING
        shown = {id(row) for row in running[:SHOWN_RUNNING]}
        for row in parent.children.values():
            if row.status != "running" or id(row) in shown:
                branch = tree.add(self._line(row))
                self._fill(branch, row)
        for text in _rest(parent, hidden):
            tree.add(Text(text, style="bright_black"))

    def _line(self, row: Row) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(mark(row.status, self._fancy), style=COLOURS.get(row.status, ""))
        text.append(f" {row.label}")
        ms = row.duration_ms if row.duration_ms is not None else (self._clock() - row.started) * 1_000
        text.append(f"  {spoken(max(0.0, ms))}", style="bright_black")
        if row.attempts > 1:
            text.append(f"  {row.attempts} attempts", style="yellow")
        if row.share is not None:
            full = round(row.share * BAR)
            text.append("  " + "━" * full, style="cyan")
            text.append("─" * (BAR - full), style="bright_black")
        if row.said:
            text.append(f"  {row.said}", style="red" if row.status == "failed" else "bright_black")
        return text

    def _above(self, text: str, **style: Any) -> None:
        words = [str(style["fg"])] if style.get("fg") else []
        words += ["bold"] if style.get("bold") else []
        self.console.print(Text(text, style=" ".join(words)), soft_wrap=True)


def _share(done: Any, total: Any) -> float | None:
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or total <= 0:
        return None
    return float(min(1.0, max(0.0, done / total)))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))


def _rest(parent: Row, hidden: int) -> Iterator[str]:
    """What is not drawn, in numbers."""
    if hidden > 0:
        yield f"and {hidden} more running"
    forgotten = sum(parent.counts.values()) - len(parent.ended)
    if forgotten > 0:
        yield f"{_counted(parent.counts)} so far"
