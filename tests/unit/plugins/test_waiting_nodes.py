"""timer, event-wait, event-raise: what they wait for, and how they give up."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodeling import Workflow
from nodeling.results import RunResult
from nodeling.testing import NodeOutcome


def run(steps: list[dict[str, Any]], **options: Any) -> RunResult:
    return Workflow.from_document({"name": "test", "steps": steps}).run(timeout=30, **options)


def test_a_timer_waits_for_its_moment() -> None:
    result = run([{"name": "t", "node": "timer", "for": 80}])
    assert result.output["waited_ms"] >= 79
    due = datetime.fromisoformat(result.output["due"])
    assert datetime.fromisoformat(result.output["ended"]) >= due - timedelta(milliseconds=1)


def test_a_moment_may_be_given_and_counted_from() -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=80)
    result = run([{"name": "t", "node": "timer", "until": soon.isoformat()}])
    assert result.status == "succeeded" and time.time() >= soon.timestamp()
    steps = [
        {"name": "start", "node": "timer", "for": 1},
        {"name": "t", "node": "timer", "for": 60, "since": "${steps.start.output.ended}"},
    ]
    result = run(steps)
    began = datetime.fromisoformat(result.steps["start"].output["ended"])
    assert datetime.fromisoformat(result.output["due"]) == began + timedelta(milliseconds=60)


@pytest.mark.parametrize("keys", [{"until": "tomorrow"}, {"until": "9999-01-01"}, {"for": 1, "since": "now"}])
def test_a_moment_that_is_none_is_refused(keys: dict[str, Any]) -> None:
    result = run([{"name": "t", "node": "timer", **keys}])
    assert result.status == "failed" and (result.steps["t"].error or {})["code"] == 4001


def test_a_waiting_timer_holds_no_permit_and_ends_with_its_timeout() -> None:
    steps = [
        {"name": "t", "node": "timer", "needs": [], "for": "20s", "timeout": 300},
        {"name": "work", "node": "assign", "needs": [], "inputs": {"set": {"x": 1}}},
    ]
    result = run(steps, max_concurrent=1)
    assert result.steps["work"].status == "succeeded"
    assert (result.steps["t"].error or {})["code"] == 9005
    assert result.duration_ms < 15_000


def test_an_event_reaches_who_waits_and_who_comes_later(here: Path) -> None:
    waits = {"node": "event-wait", "event": "loaded", "within": "20s"}
    steps = [
        {"name": "first", "needs": [], **waits},
        {
            "name": "tell",
            "node": "event-raise",
            "needs": [],
            "inputs": {"event": "loaded", "data": {"rows": 3}},
        },
        {"name": "later", "needs": ["tell"], **waits},
    ]
    result = run(steps)
    assert result.status == "succeeded", result.error
    for name in ("first", "later"):
        assert result.steps[name].output["data"] == {"rows": 3}
    assert sorted(path.name for path in (here / ".nodeling/events").rglob("*.json")) == ["loaded.json"]


def test_events_of_another_run_are_not_this_ones_unless_they_are_the_projects(here: Path) -> None:
    told = [{"name": "r", "node": "event-raise", "inputs": {"event": "e", "scope": "${ctx.request.body}"}}]
    workflow = Workflow.from_document({"name": "tells", "steps": told})
    assert workflow.run("run", timeout=30).status == "succeeded"
    waits = {"name": "w", "node": "event-wait", "event": "e", "within": 1}
    assert run([waits]).status == "failed"
    assert run([{**waits, "scope": "project"}]).status == "failed"
    assert workflow.run("project", timeout=30).status == "succeeded"
    assert run([{**waits, "scope": "project"}]).status == "succeeded"
    past = run([{**waits, "scope": "project", "past": False}])
    assert past.status == "failed" and "did not come within 1 ms" in (past.steps["w"].error or {})["message"]


def test_a_file_is_waited_for_and_removed(here: Path) -> None:
    place = here / "go"

    def bring() -> None:
        place.write_text("x", encoding="utf-8")

    thread = threading.Timer(0.1, bring)
    thread.start()
    result = run([{"name": "w", "node": "event-wait", "file": "go", "within": "20s", "delete_file": True}])
    thread.join()
    assert result.output["size"] == 1 and not place.exists()


def test_a_file_that_is_still_written_to_is_not_there_yet(here: Path) -> None:
    place = here / "go"
    place.write_text("x", encoding="utf-8")
    keys = {"name": "w", "node": "event-wait", "file": "go"}
    assert run([{**keys, "settle": "60s", "within": 1}]).status == "failed"
    old = time.time() - 120
    os.utime(place, (old, old))
    assert run([{**keys, "settle": "60s", "within": 1}]).status == "succeeded"
    assert run([{**keys, "past": False, "within": 1}]).status == "failed"


def test_what_is_no_event_is_an_error_and_no_event(here: Path, shipped: Callable[..., NodeOutcome]) -> None:
    place = here / ".nodeling/events/project/e.json"
    place.parent.mkdir(parents=True)
    for text in ("{", json.dumps([1]), json.dumps({"at": "now"})):
        place.write_text(text, encoding="utf-8")
        result = run([{"name": "w", "node": "event-wait", "event": "e", "scope": "project", "within": "5s"}])
        assert (result.steps["w"].error or {})["code"] == 4001
    large = shipped("event-raise", {"event": "e", "data": "x" * 1_100_000})
    assert large.code == 4005
