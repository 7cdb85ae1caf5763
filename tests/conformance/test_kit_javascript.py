"""The JavaScript worker under the conformance kit, in each way it can be started, and its own unit tests."""

from __future__ import annotations

import subprocess

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite

JAVASCRIPT: Language = next(one for one in languages() if one.language == "javascript")
# What a way of starting changes is looked at in that way; the rest is the same code in each.
OWN_FILES = ("cancel", "concurrency", "deadline", "event", "lifecycle", "pollution", "stream")


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [
        ("serial", "fd", True),
        ("serial", "stdio", False),
        ("async", "fd", False),
        ("async", "stdio", True),
        ("stream", "fd", True),
        ("stream-async", "stdio", True),
    ],
)
def test_the_javascript_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    claims = JAVASCRIPT.capabilities["variants"][variant]["claims"]
    report = run_suite(JAVASCRIPT.command(variant), channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_by_some_way_of_starting() -> None:
    claims = [set(variant["claims"]) for variant in JAVASCRIPT.capabilities["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    assert unclaimed == ["hello.l1-refuses", "node.hello-refused"]  # for nodes that know nothing else


def test_its_own_unit_tests_pass() -> None:
    node = JAVASCRIPT.command("serial")[0]
    done = subprocess.run(
        [node, "--test", "test/"],
        cwd=JAVASCRIPT.path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
