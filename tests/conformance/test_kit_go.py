"""The Go worker under the conformance kit, in each way it can be started, and its own unit tests."""

from __future__ import annotations

import os
import subprocess

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite

GO: Language = next(one for one in languages() if one.language == "go")
# What a way of starting changes is looked at in that way; the rest is the same code in each.
OWN_FILES = ("cancel", "concurrency", "deadline", "event", "lifecycle", "pollution", "stream")


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [("serial", "stdio", False), ("threads", "fd", True), ("threads", "stdio", False)],
)
def test_the_go_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    claims = GO.capabilities["variants"][variant]["claims"]
    report = run_suite(GO.command(variant), channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_by_some_way_of_starting() -> None:
    claims = [set(variant["claims"]) for variant in GO.capabilities["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    assert unclaimed == [
        "hello.l1-refuses",
        "node.hello-refused",
    ]  # which is for nodes that know nothing else


@pytest.mark.parametrize("command", ["vet", "test"])
def test_its_own_tests_pass(command: str) -> None:
    GO.command("serial")  # built, or skipped
    env = {**os.environ, **GO.environment()}
    argv = ["go", command, "./..."]
    done = subprocess.run(
        argv, cwd=GO.path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_host_it_says_how_to_run_a_node() -> None:
    program = GO.command("serial")[0]
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64 and "nodectl test" in done.stderr
