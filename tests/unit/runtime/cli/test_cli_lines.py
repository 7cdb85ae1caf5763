from __future__ import annotations

from typing import Any

import pytest

from nodeling_runtime.cli.lines import Lines


def told(kind: str, *, verbose: bool = False, **data: Any) -> str | None:
    words = Lines(verbose=verbose).words({"event": kind, "ts": 0.0, "run_id": "r", "step": "a", **data})
    return None if words is None else words[0]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("step.progress", {"progress": 0.5, "total": None, "message": None}, "a 0.5"),
        ("step.progress", {"progress": 1, "total": 4, "message": "x\ny"}, "a 1/4 x y"),
        ("step.metric", {"name": "rows", "value": 2.5}, "a rows = 2.5"),
        ("step.log", {"level": "info", "message": "\x1b[2Jgone"}, "a info: ?[2Jgone"),
        ("step.unheard", {}, "a step.unheard"),
        (
            "step.retry",
            {"attempt": 2, "delay_ms": 61_000, "error": {"code": 9005, "message": "late"}},
            "a attempt 2 failed: [9005] late; again in 1 min 1 s",
        ),
        (
            "step.finished",
            {"status": "skipped", "reason": "upstream", "attempts": 0, "duration_ms": 0, "error": None},
            "a skipped (upstream)",
        ),
        (
            "step.finished",
            {
                "status": "failed",
                "reason": None,
                "attempts": 3,
                "duration_ms": 1500,
                "error": {"code": 1, "message": "m", "details": {"hint": "h"}},
            },
            "a failed in 1.5 s, 3 attempts: [1] m; h",
        ),
    ],
)
def test_each_event_has_its_words(kind: str, data: dict[str, Any], text: str) -> None:
    assert told(kind, **data) == text


def test_debug_lines_and_chunks_are_for_the_verbose() -> None:
    assert told("step.log", level="debug", message="m") is None
    assert told("step.log", level="debug", message="m", verbose=True) == "a debug: m"
    assert told("step.chunk", number=3, data=1) is None
    assert told("step.chunk", number=3, data=1, verbose=True) == "a chunk 3"


def test_time_counts_from_the_runs_start() -> None:
    written: list[str] = []
    lines = Lines(write=lambda text, **_: written.append(text))
    lines.hear({"event": "run.started", "ts": 100.0, "run_id": "r", "workflow": "w"})
    lines.hear({"event": "step.metric", "ts": 101.5, "run_id": "r", "step": "a", "name": "n", "value": 1})
    assert [line.split()[0] for line in written] == ["0.000s", "1.500s"]
