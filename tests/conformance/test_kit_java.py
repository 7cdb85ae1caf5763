"""The Java worker under the conformance kit, in each way it can be started, and its own unit tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite

JAVA: Language = next(one for one in languages() if one.language == "java")
# What a way of starting changes is looked at in that way; the rest is the same code in each.
OWN_FILES = ("cancel", "concurrency", "deadline", "event", "lifecycle", "pollution", "stream")


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [("serial", "stdio", False), ("threads", "fd", True)],
)
def test_the_java_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    claims = JAVA.capabilities["variants"][variant]["claims"]
    report = run_suite(JAVA.command(variant), channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_by_some_way_of_starting() -> None:
    claims = [set(variant["claims"]) for variant in JAVA.capabilities["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    assert unclaimed == [
        "hello.l1-refuses",
        "node.hello-refused",
    ]  # which is for nodes that know nothing else


def test_its_own_tests_pass(tmp_path: Path) -> None:
    JAVA.command("serial")  # built, or skipped
    argv = ["sh", "test.sh", str(tmp_path)]
    done = subprocess.run(argv, cwd=JAVA.path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed" in done.stdout


def test_a_jvm_that_nobody_launched_for_it_takes_the_pipes_by_itself() -> None:
    _, _, *command = JAVA.command("serial")
    cases = [case for case in load_cases() if case.id.split(".")[0] in ("hello", "lifecycle")]
    claims = JAVA.capabilities["variants"]["serial"]["claims"]
    report = run_suite(["java", *command], "fd", claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_without_a_host_it_says_how_to_run_a_node() -> None:
    done = subprocess.run(JAVA.command("serial"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64 and "nodectl test" in done.stderr
