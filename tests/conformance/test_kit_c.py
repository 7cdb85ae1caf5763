"""The C SDK under the conformance kit, and under its own tests with the sanitizers."""

from __future__ import annotations

import subprocess

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite

C: Language = next(one for one in languages() if one.language == "c")
OWN_FILES = ("cancel", "concurrency", "deadline", "lifecycle", "pollution", "stream")


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [("threads", "fd", True), ("threads", "stdio", False), ("serial", "stdio", False)],
)
def test_the_c_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    claims = C.capabilities["variants"][variant]["claims"]
    report = run_suite(C.command(variant), channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_but_for_those_about_traces() -> None:
    claims = [set(variant["claims"]) for variant in C.capabilities["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    level_1 = ["hello.l1-refuses", "node.hello-refused"]  # for nodes that know nothing else
    assert unclaimed == ["error.exception", "error.long-traceback", *level_1]


def test_its_own_tests_pass_plain_and_under_the_sanitizers(tmp_path_factory: pytest.TempPathFactory) -> None:
    C.command("serial")  # built, or skipped
    build = tmp_path_factory.mktemp("c")
    argv = ["make", "-s", "-C", str(C.path), f"BUILD={build}", "test"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("checks passed") == 2


def test_without_a_host_it_says_how_to_run_a_node() -> None:
    program = C.command("serial")[0]
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64 and "nodectl test" in done.stderr


def test_a_cap_that_is_no_number_is_refused() -> None:
    program = C.command("serial")[0]
    env = {"NODELING": "1"}
    argv = [program, "--concurrency=none"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 70 and "--concurrency" in done.stderr
