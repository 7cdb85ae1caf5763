"""Running a compiler: bounded, killed with all it started, and what it said kept as it said it."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeling.errors import PluginError

LONGEST_OUTPUT = 256 * 1024  # bytes kept of what a tool says: the beginning, where the first error is
TURN_SECONDS = 0.1  # how soon a cancelled build notices


class BuildCancelled(Exception):
    """Nobody wants the build any more."""


def run_tool(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float,
    cancelled: threading.Event,
    node: str,
) -> None:
    """Run a tool to its end.

    Raises:
        PluginError: It does not start, fails, or takes longer than `seconds`; with its output.
        BuildCancelled: `cancelled` was set; the tool is dead.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 (a compiler, with arguments that its toolchain made)
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(node, argv, f"does not start: {error.strerror}", b"", None) from error
    try:
        output, why = _follow(process, time.monotonic() + seconds, cancelled)
    finally:
        _end(process)
    if why == "cancelled":
        raise BuildCancelled
    if why == "late":
        raise _failed(node, argv, f"was still at work after {seconds:g} s", output, None)
    if process.returncode:
        raise _failed(node, argv, f"ended with {process.returncode}", output, process.returncode)


def _follow(
    process: subprocess.Popen[bytes], due: float, cancelled: threading.Event
) -> tuple[bytes, str | None]:
    """Read what it says until it is silent for good; why it was given up, if it was."""
    assert process.stdout is not None  # noqa: S101 (it was asked for)
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if cancelled.is_set():
                return bytes(kept), "cancelled"
            if time.monotonic() >= due:
                return bytes(kept), "late"
            if selector.select(TURN_SECONDS):
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                kept += data[: max(0, LONGEST_OUTPUT - len(kept))]
            elif _has_ended(process.pid):  # what it left behind may hold its stdout for ever
                return bytes(kept), None
    while not _has_ended(process.pid):
        if cancelled.wait(TURN_SECONDS):
            return bytes(kept), "cancelled"
        if time.monotonic() >= due:
            return bytes(kept), "late"
    return bytes(kept), None


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is left to be reaped, so that its group may still be killed by number."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the tool and what it started, and close its pipe."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # then nothing of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _failed(node: str, argv: Sequence[str], what: str, output: bytes, exit_code: int | None) -> PluginError:
    text = output.decode("utf-8", "replace").strip("\n")
    command = shlex.join(argv)
    tool = os.path.basename(argv[0])
    line = _telling(text)
    message = f"{node} could not be built: {tool} {what}" + (f": {line}" if line else "")
    details: dict[str, object] = {"command": command, "output": text}
    if exit_code is not None:
        details["exit_code"] = exit_code
    return PluginError(message, code="toolchain.build", details=details)


def _telling(text: str) -> str:
    """The line to quote: the first that speaks of an error, else the first.

    A linker names what is missing before the compiler that called it says no more than that it failed.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    telling = (
        line for line in lines if any(word in line.lower() for word in ("error", "undefined reference"))
    )
    found = next((line for line in telling if not line.startswith("collect2:")), lines[0] if lines else "")
    return found[:300]
