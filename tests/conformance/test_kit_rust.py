"""The Rust worker under the conformance kit, and the crate under cargo's own tools."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
from typing import Any

import pytest

from languages import Language, languages
from nodeling.testing.conformance import load_cases, run_suite
from nodeling.testing.conformance.cases import load_claims
from nodeling.testing.conformance.process import Subject
from programs import need

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
    need("cargo-clippy")
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


def call(number: int, **inputs: Any) -> bytes:
    frame = {"jsonrpc": "2.0", "id": number, "method": "node/invoke", "params": {"input": inputs}}
    return json.dumps(frame).encode() + b"\n"


def test_spoilt_frames_never_end_the_reader() -> None:
    chance = random.Random(1)
    good = [
        call(1, do="echo", value={"a": [1, 2.5, "é", None]}),
        b'{"jsonrpc":"2.0","method":"node/cancel","params":{"id":1}}\n',
        b'{"jsonrpc":"2.0","id":9,"method":"node/ping","params":{}}\n',
    ]
    subject = Subject(rust().command("threads"), "fd", {"PATH": os.environ["PATH"]}, None)
    try:
        for _ in range(1_000):
            frame = bytearray(chance.choice(good))
            for _ in range(chance.randrange(1, 6)):
                frame[chance.randrange(len(frame) - 1)] = chance.randrange(256)
            subject.write(bytes(frame))
        subject.write(b"\n" + call(999_999, do="echo", value="alive"))
        while True:
            line = subject.lines.get(timeout=30)
            assert line is not None, bytes(subject.logs[-500:])
            answer = json.loads(line)
            if answer.get("id") == 999_999:
                break
        assert answer["result"]["output"] == "alive"
    finally:
        subject.end()


def test_calls_that_are_cancelled_at_random_end_exactly_once() -> None:
    chance = random.Random(2)
    subject = Subject(rust().command("threads"), "fd", {"PATH": os.environ["PATH"]}, None)
    ends: dict[int, int] = {}
    try:
        for number in range(400):
            subject.write(call(number, do="sleep", ms=chance.randrange(8), value=number))
            if chance.random() < 0.5:
                cancel = b'{"jsonrpc":"2.0","method":"node/cancel","params":{"id":%d}}\n'
                subject.write(cancel % chance.randrange(number + 1))
        subject.write(b'{"jsonrpc":"2.0","id":"end","method":"node/shutdown","params":{}}\n')
        while (line := subject.lines.get(timeout=30)) is not None:
            frame = json.loads(line)
            if "method" not in frame:
                ends[frame["id"]] = ends.get(frame["id"], 0) + 1
    finally:
        subject.end()
    assert len(ends) == 401 and set(ends.values()) == {1}


def test_a_host_that_reads_nothing_more_and_hangs_up_leaves_nobody_waiting() -> None:
    """The pipe towards the host is full, so every thread that has something to say stands still."""
    to_read, write = os.pipe()
    read, to_write = os.pipe()
    env = {"NODELING": "1", "NODELING_FDS": f"{to_read},{to_write}", "PATH": os.environ["PATH"]}
    with subprocess.Popen(rust().command("threads"), env=env, pass_fds=[to_read, to_write]) as process:
        for descriptor in (to_read, to_write):
            os.close(descriptor)
        os.write(write, b"".join(call(number, do="big", bytes=900_000) for number in range(4)))
        os.write(write, b'{"jsonrpc":"2.0","id":90,"method":"node/ping","params":{}}\n' * 200)
        while not select.select([read], [], [], 30)[0]:
            continue
        os.close(write)
        assert process.wait(30) in (0, 1)
    os.close(read)
