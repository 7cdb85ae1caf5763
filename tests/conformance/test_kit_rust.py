"""The Rust worker under the conformance kit, and the crate under cargo's own tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite
from nodeling.testing.conformance.cases import load_claims
from nodeling.testing.conformance.process import Subject

# What a way of starting changes is looked at in that way; the rest is the same code in each.
OWN_FILES = ("cancel", "concurrency", "lifecycle", "stream")


def rust() -> Language:
    return next(language for language in languages() if language.language == "rust")


@pytest.mark.parametrize(
    ("variant", "channel", "is_whole"),
    [("threads", "fd", True), ("threads", "stdio", True), ("serial", "fd", False)],
)
def test_the_rust_worker_keeps_what_it_claims(variant: str, channel: str, is_whole: bool) -> None:
    cases = [case for case in load_cases() if is_whole or case.id.split(".")[0] in OWN_FILES]
    command = rust().command(variant)
    claims = load_claims(rust().path / "capabilities.json", variant)
    report = run_suite(command, channel, claims, cases=cases, jobs=4)
    assert report.is_green, str(report)


def test_every_case_is_claimed_by_some_way_of_starting() -> None:
    claims = [set(variant["claims"]) for variant in rust().capabilities["variants"].values()]
    unclaimed = [case.id for case in load_cases() if not any(c.issuperset(case.needs) for c in claims)]
    assert unclaimed == ["hello.l1-refuses", "node.hello-refused"]  # for nodes that know nothing else


def cargo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A cargo command on the crate, where the kitchen sink was built, so that nothing compiles twice."""
    command = ["nice", "cargo", arguments[0], "-j1", "--target-dir", str(rust().out), *arguments[1:]]
    return subprocess.run(command, cwd=rust().path, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.timeout(600)
def test_its_own_unit_tests_pass() -> None:
    rust().command("threads")
    done = cargo("test", "--lib", "--tests")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = [line for line in done.stdout.splitlines() if line.startswith("test result: ok.")]
    assert len(passed) == 2


@pytest.mark.timeout(600)
def test_the_linter_has_nothing_to_say() -> None:
    rust().command("threads")
    if shutil.which("cargo-clippy") is None:
        pytest.skip("cargo-clippy is not installed")
    done = cargo(
        "clippy", "--all-targets", "--quiet", "--", "-D", "warnings", "-W", "clippy::incompatible_msrv"
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_without_a_host_says_how_it_is_run() -> None:
    command = rust().command("serial")
    env = {name: value for name, value in os.environ.items() if not name.startswith("NODELING")}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 64
    assert "nodectl test DIR" in done.stderr
    wrong = subprocess.run(
        [command[0], "--nmae", "x"], env={**env, "NODELING": "1"}, capture_output=True, text=True, timeout=30
    )
    assert (wrong.returncode, "is no option" in wrong.stderr) == (64, True)


def test_a_panicking_handler_fails_its_call_alone() -> None:
    subject = Subject(rust().command("serial"), "fd", {"PATH": os.environ["PATH"]}, None)
    try:
        answers = []
        for number, value in enumerate(({"do": "panic", "message": "no luck"}, {"do": "echo", "value": 1})):
            params = {"input": value}
            call = {"jsonrpc": "2.0", "id": number, "method": "node/invoke", "params": params}
            subject.write(json.dumps(call).encode() + b"\n")
            answers.append(json.loads(subject.lines.get(timeout=30) or b"{}"))
    finally:
        subject.end()
    error = answers[0]["error"]
    assert (error["code"], error["message"], error["data"]["type"]) == (4000, "no luck", "Panic")
    assert "kitchen_sink.rs:" in error["data"]["traceback"]
    assert answers[1]["result"]["output"] == 1
