"""Run a program in a session of its own, of which nothing is left when the call ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from nodeling import Context, NodeError

from .streams import Pump, Stream

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM")
MAX_SHOWN = 2_000  # characters of stderr in an error
MAX_LOGGED = 1_000  # lines of stderr that become log lines


def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Start it, feed it, read it, and judge how it ended."""
    size = inputs.get("max_bytes", 1024 * 1024)
    limit = inputs.get("timeout_ms", 300_000)
    out, err = Stream(size), Stream(size)
    began = time.monotonic()
    process = _started(inputs)
    try:
        with Pump(process, inputs.get("stdin", "").encode(), out, err) as pump:
            how = pump.run(began + limit / 1_000, lambda: ctx.cancelled)
    finally:
        _ended(process)
    if how == "cancelled":
        raise NodeError("cancelled", code=9006, retryable=False)
    if how == "late":
        raise NodeError(
            f"{inputs['argv'][0]} ran longer than {limit} ms, its `timeout_ms`",
            code=5000,
            retryable=True,
            details={"stderr": err.text()[-MAX_SHOWN:]},
        )
    duration = round((time.monotonic() - began) * 1_000, 3)
    return _judged(ctx, inputs, process.returncode, out, err, duration)


def _started(inputs: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    argv, cwd = inputs["argv"], inputs.get("cwd")
    kept = os.environ if inputs.get("inherit_env") else {k: os.environ[k] for k in KEPT if k in os.environ}
    if cwd is not None and not os.path.isdir(cwd):
        raise NodeError(f"there is no folder {cwd}", code=4004, retryable=False)
    try:
        return subprocess.Popen(  # noqa: S603 (running what the step names is what this node is for)
            argv,
            cwd=cwd,
            env={**kept, **inputs.get("env", {})},
            stdin=subprocess.PIPE if inputs.get("stdin") else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise NodeError(f"there is no program {argv[0]!r}", code=4004, retryable=False) from error
    except PermissionError as error:
        raise NodeError(f"{argv[0]!r} may not be run", code=4003, retryable=False) from error
    except ValueError as error:  # a NUL in an argument
        raise NodeError(f"the command cannot be given: {error}", code=4001, retryable=False) from error
    except OSError as error:
        said = f"{argv[0]!r} cannot be started: {error.strerror}"
        raise NodeError(said, code=5000, retryable=error.errno != errno.ENOEXEC, started=False) from error


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Kill its session, and see it gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _judged(
    ctx: Context, inputs: Mapping[str, Any], code: int, out: Stream, err: Stream, duration_ms: float
) -> dict[str, Any]:
    stderr, stdout = err.text(), out.text()
    for line in stderr.splitlines()[:MAX_LOGGED]:
        ctx.log(line, level="info")
    ctx.metric("exit_code", code)
    if code not in inputs.get("ok_codes", [0]) and not inputs.get("any_code"):
        how = f"exit code {code}" if code >= 0 else f"signal {_signal(-code)}"
        said = stderr.strip().splitlines()
        raise NodeError(
            f"{inputs['argv'][0]} ended with {how}" + (f": {said[-1][:200]}" if said else ""),
            details={"exit_code": code, "stderr": stderr[-MAX_SHOWN:], "stdout": stdout[-MAX_SHOWN:]},
        )
    result = {"exit_code": code, "stdout": _parsed(stdout, inputs, out.dropped), "stderr": stderr}
    if out.dropped or err.dropped:
        result["dropped"] = {"stdout": out.dropped, "stderr": err.dropped}
    return {**result, "duration_ms": duration_ms}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _parsed(text: str, inputs: Mapping[str, Any], dropped: int) -> Any:
    how = inputs.get("parse", "text")
    if how == "text":
        return text
    if dropped:
        raise NodeError(
            f"{inputs['argv'][0]} wrote {dropped} bytes more than its `max_bytes`",
            code=4005,
            retryable=False,
        )
    if how == "lines":
        return text.splitlines()
    try:
        return json.loads(text)
    except ValueError as error:
        raise NodeError(
            f"{inputs['argv'][0]} wrote no JSON: {error}", details={"stdout": text[:MAX_SHOWN]}
        ) from error
