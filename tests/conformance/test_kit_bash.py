"""The bash worker under the conformance kit, and its own unit tests."""

from __future__ import annotations

import subprocess

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite

BASH: Language = next(one for one in languages() if one.language == "bash")
# Bash reads a pipe byte by byte: what this case moves takes it about as long as the case waits.
TOO_MUCH = "concurrency.large-both-ways"


@pytest.mark.parametrize("channel", ["fd", "stdio"])
def test_the_bash_worker_keeps_what_it_claims(channel: str) -> None:
    cases = [case for case in load_cases() if case.id != TOO_MUCH]
    claims = BASH.capabilities["variants"]["serial"]["claims"]
    report = run_suite(BASH.command("serial"), channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)
    assert len(report.of("passed")) >= 90


def test_its_own_unit_tests_pass() -> None:
    bash = BASH.command("serial")[0]
    done = subprocess.run(
        [bash, "test/values.sh"], cwd=BASH.path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("0 failed\n")
