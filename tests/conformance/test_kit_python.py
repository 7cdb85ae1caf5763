"""The Python worker under the conformance kit, in each way it can be started."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import nodeling
from nodeling.testing.conformance import load_cases, run_suite
from nodeling.testing.conformance.cases import load_claims

SDK = Path(nodeling.__file__).parents[1]
SINK = SDK / "nodeling" / "testing" / "conformance" / "kitchen_sink"
CAPABILITIES = json.loads((SINK / "capabilities.json").read_text(encoding="utf-8"))
# What a way of starting changes is looked at in that way; the rest is the same code in each.
OWN_FILES = ("cancel", "concurrency", "deadline", "event", "lifecycle", "pollution", "stream")


def command(variant: str) -> list[str]:
    start = CAPABILITIES["variants"][variant]["start"]
    return [sys.executable, "-m", "nodeling.worker", "--folder", str(SINK), *start]


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [
        ("serial", "fd", True),
        ("serial", "stdio", False),
        ("threads", "fd", False),
        ("async", "stdio", False),
        ("stream", "fd", True),
        ("stream-threads", "stdio", True),
    ],
)
def test_the_python_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    claims = load_claims(SINK / "capabilities.json", variant)
    env = {"PYTHONPATH": str(SDK)}
    report = run_suite(command(variant), channel, claims, cases=cases, env=env, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_by_some_way_of_starting() -> None:
    claims = [set(variant["claims"]) for variant in CAPABILITIES["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    assert unclaimed == ["hello.l1-refuses", "node.hello-refused"]  # for nodes that know nothing else
