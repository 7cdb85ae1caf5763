"""Run a program in a session of its own, of which nothing is left when the call ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from nodeling import Context, NodeError

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM")
AFTER_EXIT_SECONDS = 1.0  # what the program left running may hold its streams open: it is not waited for
MAX_SHOWN = 2_000  # characters of stderr in an error
MAX_LOGGED = 1_000  # lines of stderr that become log lines


class Stream:
    """What a program writes on one stream: the last bytes kept, the others counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self.dropped = 0

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read to the end."""
        while part := await reader.read(64 * 1024):
            self._data += part
            if len(self._data) > 2 * self._limit + 64 * 1024:
                self._cut()

    def _cut(self) -> None:
        over = len(self._data) - self._limit
        if over > 0:
            self.dropped += over
            del self._data[:over]

    def text(self) -> str:
        """What was kept."""
        self._cut()
        return self._data.decode("utf-8", "replace")


async def run(ctx: Context, inputs: dict[str, Any]) -> dict[str, Any]:
    """Start it, feed it, read it, and judge how it ended."""
    limit = inputs.get("max_bytes", 1024 * 1024)
    out, err = Stream(limit), Stream(limit)
    began = time.monotonic()
    process = await _started(inputs)
    try:
        async with asyncio.timeout(inputs.get("timeout_ms", 300_000) / 1_000):
            await _served(process, inputs.get("stdin", ""), out, err)
    except TimeoutError as error:
        raise NodeError(
            f"{inputs['argv'][0]} ran longer than {inputs.get('timeout_ms', 300_000)} ms, its `timeout_ms`",
            code=5000,
            retryable=True,
            details={"stderr": err.text()[-MAX_SHOWN:]},
        ) from error
    finally:
        await _ended(process)
    duration = round((time.monotonic() - began) * 1_000, 3)
    return _judged(ctx, inputs, int(process.returncode or 0), out, err, duration)


async def _started(inputs: Mapping[str, Any]) -> asyncio.subprocess.Process:
    argv, cwd = inputs["argv"], inputs.get("cwd")
    kept = os.environ if inputs.get("inherit_env") else {k: os.environ[k] for k in KEPT if k in os.environ}
    if cwd is not None and not os.path.isdir(cwd):
        raise NodeError(f"there is no folder {cwd}", code=4004, retryable=False)
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**kept, **inputs.get("env", {})},
            stdin=asyncio.subprocess.PIPE if inputs.get("stdin") else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise NodeError(f"there is no program {argv[0]!r}", code=4004, retryable=False) from error
    except PermissionError as error:
        raise NodeError(f"{argv[0]!r} may not be run", code=4003, retryable=False) from error
    except ValueError as error:  # a NUL in an argument
        raise NodeError(f"the command cannot be given: {error}", code=4001, retryable=False) from error
    except OSError as error:
        raise NodeError(
            f"{argv[0]!r} cannot be started: {error.strerror}", code=5000, started=False
        ) from error


async def _served(process: asyncio.subprocess.Process, stdin: str, out: Stream, err: Stream) -> None:
    """Feed and read until it has ended; what it left running keeps nobody waiting."""
    if process.stdout is None or process.stderr is None:
        raise AssertionError("both streams are pipes")
    reading = asyncio.gather(out.read(process.stdout), err.read(process.stderr))
    feeding = asyncio.create_task(_feed(process, stdin.encode()))
    try:
        await process.wait()
        await asyncio.wait([reading], timeout=AFTER_EXIT_SECONDS)
    finally:
        for task in (reading, feeding):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may end without having read
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill its session, and see it gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


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
