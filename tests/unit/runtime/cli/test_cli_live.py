from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from nodeling_runtime.cli.live import KEPT, SHOWN_RUNNING, LiveView


class Stage:
    """A live view on a terminal made of text, and events for it."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        console = Console(file=self.file, force_terminal=True, width=100, color_system=None)
        self.now = 0.0
        self.view = LiveView(console=console, clock=lambda: self.now)
        self.tell("run.started", workflow="flow")

    def tell(self, kind: str, step: str | None = None, **data: Any) -> None:
        event = {"seq": 1, "ts": self.now, "event": kind, "run_id": "r", **data}
        self.view.hear(event if step is None else {**event, "step": step})

    def start(self, *steps: str) -> None:
        for step in steps:
            self.tell("step.started", step, node="n", name=step, waited_for=[], container=False)

    def finish(self, step: str, status: str = "succeeded", error: dict[str, Any] | None = None) -> None:
        self.tell("step.finished", step, status=status, reason=None, attempts=1, duration_ms=5, error=error)

    def shown(self) -> list[str]:
        console = Console(width=100, color_system=None, file=io.StringIO())
        with console.capture() as captured:
            console.print(self.view.draw())
        return [line.rstrip() for line in captured.get().splitlines()]

    def written(self) -> str:
        self.file.flush()
        return self.file.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined,no-any-return]


def test_a_running_step_shows_its_time_and_its_bar() -> None:
    stage = Stage()
    stage.start("load")
    stage.tell("step.progress", "load", progress=5, total=10, message="reading")
    stage.now = 1.5
    assert stage.shown() == [
        "flow  1.5 s",
        f"└── ▸ load  1.5 s  {'━' * 10}{'─' * 10}  5/10 reading",
    ]


def test_children_stand_under_their_container_whatever_their_key() -> None:
    stage = Stage()
    stage.start("each", "each/body", "each[1]/body", "each[1]/body/deep", "each[2]/body/deep")
    assert [line.split("▸ ")[-1].split("  ")[0] for line in stage.shown()[1:]] == [
        "each",
        "body",
        "body [1]",
        "deep",
        "body/deep [2]",  # its own parent never started
    ]


def test_an_ended_step_says_how_and_hides_its_children() -> None:
    stage = Stage()
    stage.start("work", "work/a")
    stage.finish("work", "failed", {"code": 4000, "message": "no good"})
    assert stage.shown() == ["flow  0 ms  1 failed", "└── ✗ work  5 ms  [4000] no good"]


def test_a_wide_container_is_drawn_in_few_lines_and_forgotten_as_it_goes() -> None:
    stage = Stage()
    stage.start("each")
    for number in range(500):
        stage.start(f"each[{number}]/body")
    for number in range(400):
        stage.finish(f"each[{number}]/body", "failed" if number % 100 == 0 else "succeeded", None)
    lines = stage.shown()
    assert len(lines) == 2 + KEPT + SHOWN_RUNNING + 2
    assert lines[-2].endswith(f"and {100 - SHOWN_RUNNING} more running")
    assert lines[-1].endswith("4 failed, 396 succeeded so far")
    assert len(stage.view._rows) == 1 + 100 + KEPT


def test_logs_and_retries_are_lines_above_the_tree() -> None:
    stage = Stage()
    with stage.view:
        stage.start("a")
        stage.tell("step.log", "a", level="warning", message="look\x1b[2J out")
        stage.tell("step.retry", "a", attempt=1, error={"code": 9005, "message": "late"}, delay_ms=1500)
    written = stage.written()
    assert "a warning: look?[2J out" in written
    assert "a attempt 1 failed: [9005] late; again in 1.5 s" in written


def test_nothing_of_the_tree_is_left_behind() -> None:
    stage = Stage()
    with stage.view:
        stage.start("a")
    assert stage.written().endswith("\x1b[2K")


def test_the_live_display_puts_the_cursor_back_after_an_error() -> None:
    stage = Stage()
    with pytest.raises(RuntimeError), stage.view:
        raise RuntimeError
    assert "\x1b[?25h" in stage.written()


def test_a_terminal_without_unicode_gets_words_for_marks() -> None:
    stage = Stage(encoding="latin-1")
    stage.start("a")
    stage.finish("a")
    assert "ok a" in stage.shown()[1]
