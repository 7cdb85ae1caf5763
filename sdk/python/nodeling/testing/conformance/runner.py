"""Plays the cases against a program and judges what comes back.

Beside each case's own steps it always holds that every frame fits its schema, that no request gets
two terminal frames, and that nothing is told of a request after its terminal frame.
"""

from __future__ import annotations

import json
import os
import queue
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nodeling.testing.conformance.building import Names, build, frame_bytes
from nodeling.testing.conformance.cases import Case, load_cases
from nodeling.testing.conformance.matching import difference
from nodeling.testing.conformance.process import Subject
from nodeling.testing.conformance.report import CaseResult, Report
from nodeling.testing.conformance.wire_schema import frame_fault

__all__ = ["run_case", "run_suite"]

HELLO_ID = 1
STARTUP_SECONDS = 30.0
STEP_MS = 10_000  # for what has no bound of its own: a slow machine is no violation
EXIT_MS = 2_000  # the channel's end means the host is gone (section 9)
FORBID_MS = 150


class Failure(Exception):
    """The program did not do what the case asks for."""


def run_suite(
    command: Sequence[str],
    channel: str = "stdio",
    claims: Iterable[str] = ("L1",),
    *,
    cases: Iterable[Case] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    node: str = "kitchen-sink",
    probe: Any = None,
    jobs: int = 1,
    told: Callable[[CaseResult], None] = lambda result: None,
) -> Report:
    """Judge a program.

    Args:
        command: How it is started; a fresh process for each case.
        channel: `fd` or `stdio`.
        claims: What it says it can do, as in a `capabilities.json`.
        cases: The cases to play; by default all.
        env: Its environment, beside `PATH` and the protocol's own variables.
        cwd: Where it is started.
        node: The name that calls carry.
        probe: An input that the program takes, for the cases that ask nothing of what it does.
        jobs: How many cases are played at once.
        told: Called with each result, in the order of the cases.
    """
    claimed = set(claims)

    def judge(case: Case) -> CaseResult:
        missing = [need for need in case.needs if need not in claimed]
        if channel not in case.channels:
            return CaseResult(case.id, case.section, "skipped", f"not for the channel {channel}")
        if missing:
            return CaseResult(case.id, case.section, "skipped", f"does not claim {', '.join(missing)}")
        return run_case(case, command, channel, env=env, cwd=cwd, node=node, probe=probe)

    results = []
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(judge, load_cases() if cases is None else list(cases)):
            results.append(result)
            told(result)
    return Report(tuple(command), channel, tuple(results))


def run_case(
    case: Case,
    command: Sequence[str],
    channel: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    node: str = "kitchen-sink",
    probe: Any = None,
) -> CaseResult:
    """Play one case."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nsp-case-") as folder:
        play = _Play(case, Path(folder), node, channel, probe)
        full = {"PATH": os.environ.get("PATH", os.defpath), **(env or {}), **case.env}
        subject = Subject(command, channel, full, cwd)
        reason = ""
        try:
            play.play(subject)
        except Failure as failure:
            reason = str(failure)
        finally:
            subject.end()
        if reason:
            tail = bytes(subject.logs[-2000:]).decode("utf-8", "backslashreplace")
            play.transcript.extend(f"log: {line}" for line in tail.splitlines()[-8:])
    spent = (time.monotonic() - started) * 1000
    status: Any = "failed" if reason else "passed"
    return CaseResult(case.id, case.section, status, reason, spent, tuple(play.transcript))


class _Play:
    """One case being played."""

    def __init__(self, case: Case, folder: Path, node: str, channel: str, probe: Any) -> None:
        self.case = case
        self.channel = channel
        self.node = node
        self.transcript: list[str] = []
        self.unread: list[dict[str, Any]] = []
        self.forbidden: list[Any] = []
        self.ended: set[Any] = set()
        self.has_ended = False
        self.folders = {name: str(folder / name) for name in ("blobs", "work")}
        for path in self.folders.values():
            os.mkdir(path, 0o700)
        self.names = Names(self.folders, probe)
        self.subject: Subject

    def play(self, subject: Subject) -> None:
        self.subject = subject
        if self.case.hello is not False:
            self._greet(self.case.hello if isinstance(self.case.hello, dict) else {})
        self._steps(self.case.steps)
        self._finish()

    def _greet(self, more: dict[str, Any]) -> None:
        limits = {"max_frame_bytes": 16 * 1024 * 1024, "spill_bytes": 1024 * 1024}
        params: dict[str, Any] = {
            "protocol": [1],
            "host": {"name": "conformance", "version": "1"},
            "features": ["blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream"],
            "limits": {**limits, **more.get("limits", {})},
            "blob_dir": self.folders["blobs"],
            "log_level": "info",
        }
        params.update({name: value for name, value in more.items() if name != "limits"})
        params = {name: value for name, value in params.items() if value is not None}
        self._send({"send": {"jsonrpc": "2.0", "id": HELLO_ID, "method": "node/hello", "params": params}})
        self._expect({"id": HELLO_ID}, STARTUP_SECONDS * 1000)

    def _steps(self, steps: Iterable[dict[str, Any]]) -> None:
        for step in steps:
            kind = next((name for name in _STEPS if name in step), None)
            if kind is None:
                raise ValueError(f"case {self.case.id}: no known kind of step in {list(step)}")
            _STEPS[kind](self, step)

    # --- Steps ------------------------------------------------------------------------------------

    def _send(self, step: dict[str, Any]) -> None:
        data = frame_bytes(self._named(step), self.names)
        self._note(">", data)
        self.subject.write(data, step.get("split", 0))

    def _named(self, step: dict[str, Any]) -> dict[str, Any]:
        """The step with the node's name in calls that leave it open."""
        frames = step.get("send")
        for frame in frames if isinstance(frames, list) else [frames]:
            if isinstance(frame, dict) and frame.get("method") == "node/invoke":
                frame["params"].setdefault("node", self.node)
        return step

    def _step_expect(self, step: dict[str, Any]) -> None:
        self._expect(step["expect"], step.get("within_ms", STEP_MS), bool(step.get("next")))

    def _expect(self, pattern: Any, within_ms: float, is_next: bool = False) -> None:
        deadline = time.monotonic() + within_ms / 1000
        said: str | None = None
        at = 0
        while True:
            while at < len(self.unread):
                said = difference(pattern, self.unread[at], self.names)
                if said is None:
                    del self.unread[at]
                    return
                if is_next:
                    raise Failure(f"the next frame {said}")
                at += 1
            self._answered(pattern, said)
            if not self._take(deadline):
                shown = json.dumps(pattern)[:200]
                more = f"; the last frame: {said}" if said else ""
                ending = "the channel ended" if self.has_ended else f"nothing came in {within_ms:.0f} ms"
                raise Failure(f"{ending} for {shown}{more}")

    def _answered(self, pattern: Any, said: str | None) -> None:
        """Nothing better can come for a request that has had its one terminal frame."""
        if not isinstance(pattern, dict) or "method" in pattern:
            return
        id = build(pattern.get("id"), self.names)
        if isinstance(id, (int, str)) and id in self.ended:
            came = next((frame for frame in self.unread if frame.get("id") == id), None)
            shown = f"{json.dumps(pattern)[:200]} was expected"
            raise Failure(f"{shown}; {said}; what came: {json.dumps(came)[:300]}")

    def _step_forbid(self, step: dict[str, Any]) -> None:
        self.forbidden.append(step["forbid"])
        for frame in self.unread:
            self._allowed(frame)
        deadline = time.monotonic() + step.get("within_ms", FORBID_MS) / 1000
        while self._take(deadline):
            continue

    def _step_exit(self, step: dict[str, Any]) -> None:
        within = step.get("within_ms", EXIT_MS)
        code = self.subject.exit_code(within / 1000)
        if code is None:
            raise Failure(f"it did not exit within {within} ms")
        said = difference(step["expect_exit"], {"code": code}, self.names)
        if said:
            raise Failure(f"its exit status: {said}")
        while self._take(time.monotonic() + 0.5):
            continue

    def _step_log(self, step: dict[str, Any]) -> None:
        text, within = step["expect_log"].encode(), step.get("within_ms", STEP_MS) / 1000
        deadline = time.monotonic() + within
        # On stdio stray lines of the channel are logs too, so the channel is read meanwhile.
        while not self.subject.logged(text, 0.02):
            self._take(time.monotonic() + 0.01)
            if time.monotonic() > deadline:
                raise Failure(f"{step['expect_log']!r} did not come in its logs")

    def _step_no_log(self, step: dict[str, Any]) -> None:
        if step["forbid_log"].encode() in self.subject.logs:
            raise Failure(f"{step['forbid_log']!r} stands in its logs")

    def _step_close(self, step: dict[str, Any]) -> None:
        self._note(">", b"(end)")
        self.subject.close()

    def _step_repeat(self, step: dict[str, Any]) -> None:
        for n in range(step["repeat"]):
            self.names.n = n
            self._steps(json.loads(json.dumps(step["steps"])))

    def _step_file(self, step: dict[str, Any]) -> None:
        about = step["write_file"]
        path = Path(self.folders[about.get("in", "blobs")], about["name"])
        if "link" in about:
            path.symlink_to(about["link"])
        elif "fifo" in about:
            os.mkfifo(path)
        else:
            path.write_bytes(build(about["text"], self.names).encode("utf-8"))

    def _step_folder(self, step: dict[str, Any]) -> None:
        folder = self.folders[step["expect_files"]["in"]]
        found = sorted(os.listdir(folder))
        said = difference(step["expect_files"]["names"], found, self.names)
        if said:
            raise Failure(f"the folder {step['expect_files']['in']}: {said}")

    # --- What comes in ----------------------------------------------------------------------------

    def _take(self, deadline: float) -> bool:
        """Read one more line of the channel; False at the deadline or the end."""
        if self.has_ended:
            return False
        try:
            line = self.subject.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return False
        if line is None:
            self.has_ended = True
            return False
        if line.strip():
            self._line(line)
        return True

    def _line(self, line: bytes) -> None:
        self._note("<", line)
        try:
            message = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            if self.channel == "fd":
                raise Failure(f"a line on the channel is no frame: {line[:120]!r}")
            self.subject.log(line + b"\n")
            return
        fault = frame_fault(message)
        if fault:
            raise Failure(f"a frame breaks its schema: {fault}")
        self._account(message)
        self._allowed(message)
        self.unread.append(message)

    def _account(self, message: dict[str, Any]) -> None:
        if "method" in message:
            id = message["params"].get("id")
            if id is not None and id in self.ended:
                raise Failure(f"{message['method']} of {id} came after its terminal frame")
            return
        id = message["id"]
        if id is not None and id in self.ended:
            raise Failure(f"the request {id} got a second terminal frame")
        self.ended.add(id)

    def _allowed(self, message: dict[str, Any]) -> None:
        for pattern in self.forbidden:
            if difference(pattern, message, self.names) is None:
                raise Failure(f"a forbidden frame came: {json.dumps(message)[:200]}")

    def _finish(self) -> None:
        """Whatever the case did, the end of the channel ends the program."""
        self.subject.close()
        if self.subject.exit_code(EXIT_MS / 1000) is None:
            raise Failure(f"it did not exit within {EXIT_MS} ms of the channel's end")
        while self._take(time.monotonic() + 0.5):
            continue

    def _note(self, mark: str, data: bytes) -> None:
        text = data[:300].decode("utf-8", "backslashreplace").rstrip("\n")
        self.transcript.append(f"{mark} {text}{'…' if len(data) > 300 else ''}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_STEPS: dict[str, Callable[[_Play, dict[str, Any]], None]] = {
    "send": _Play._send,
    "send_text": _Play._send,
    "send_hex": _Play._send,
    "expect": _Play._step_expect,
    "forbid": _Play._step_forbid,
    "expect_exit": _Play._step_exit,
    "expect_log": _Play._step_log,
    "forbid_log": _Play._step_no_log,
    "close": _Play._step_close,
    "repeat": _Play._step_repeat,
    "write_file": _Play._step_file,
    "expect_files": _Play._step_folder,
}
