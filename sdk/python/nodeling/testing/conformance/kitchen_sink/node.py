"""The kitchen sink: one node that does, on demand, everything the conformance cases look at.

Every SDK ships the same one. `inputs.do` says what; the rest of `inputs` says how.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from nodeling import Context, NodeError

print("kitchen sink imported")  # noqa: T201  # a node that prints while it is imported must hurt nobody


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Do what `inputs.do` says."""
    return ACTIONS[inputs["do"]](ctx, inputs)


def echo(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Give back `value`."""
    return inputs.get("value")


def add(ctx: Context, inputs: dict[str, Any]) -> Any:
    """The sum of `values`."""
    return sum(inputs["values"])


def sleep(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Sleep for `ms`, looking for a cancel now and then."""
    ctx.log("started")
    end = time.monotonic() + inputs["ms"] / 1000
    while time.monotonic() < end and not ctx.cancelled:
        time.sleep(0.005)
    return inputs.get("value")


def spin(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Keep the processor busy for `ms`."""
    ctx.log("started")
    end = time.monotonic() + inputs["ms"] / 1000
    while time.monotonic() < end:
        continue
    return None


def ignore_cancel(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Sleep for `ms` whatever happens."""
    ctx.log("started")
    time.sleep(inputs["ms"] / 1000)
    return "ignored"


def fail(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Raise: a plain exception, one with `causes`, or a NodeError with a `code`."""
    message = inputs.get("message", "failed")
    if "code" in inputs:
        wait, details = inputs.get("retry_after_ms"), inputs.get("details")
        raise NodeError(
            message,
            code=inputs["code"],
            retryable=inputs.get("retryable"),
            retry_after_ms=wait,
            details=details,
        )
    cause: BaseException | None = None
    for depth in range(inputs.get("causes", 0), 0, -1):
        outer = ValueError(f"cause {depth}")
        outer.__cause__ = cause
        cause = outer
    raise RuntimeError(message) from cause


def crash(ctx: Context, inputs: dict[str, Any]) -> Any:
    """End the process: `exit` with a status, or a `signal` by number."""
    if "signal" in inputs:
        os.kill(os.getpid(), inputs["signal"])
        signal.pause()
    os._exit(inputs["exit"])


def say(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Print `text` on stdout `how`: `line`, `bare` (no newline), `native` (straight to fd 1) or `stderr`."""
    text, times = inputs["text"], inputs.get("times", 1)
    for _ in range(times):
        if inputs["how"] == "native":
            os.write(1, text.encode() + b"\n")
        elif inputs["how"] == "stderr":
            os.write(2, text.encode("latin-1"))
        else:
            print(text, end="\n" if inputs["how"] == "line" else "", flush=True)  # noqa: T201
    return times


def spawn_print(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Let a grandchild flood fd 1 with `lines` lines while a value of `bytes` is returned."""
    script = f"import sys\nfor n in range({int(inputs['lines'])}): print('grandchild', n, 'x' * 80)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", script]) as child:  # noqa: S603  # our own script
        return {"text": "y" * inputs["bytes"], "exit": child.wait()}


def big(ctx: Context, inputs: dict[str, Any]) -> Any:
    """A text of `bytes` characters."""
    return "z" * inputs["bytes"]


def blob(ctx: Context, inputs: dict[str, Any]) -> Any:
    """How many bytes the blob `value` holds, and whether it could be seeked in."""
    with ctx.open_blob(inputs["value"]) as file:
        return {"bytes": len(file.read())}


def log(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Log `message` at `level`, `times` times."""
    for _ in range(inputs.get("times", 1)):
        ctx.log(inputs["message"], inputs.get("level", "info"), **inputs.get("data", {}))
    return None


def progress(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Report progress `times` times."""
    for index in range(inputs["times"]):
        ctx.progress(index + 1, inputs["times"], "working")
    return inputs["times"]


def read_stdin(ctx: Context, inputs: dict[str, Any]) -> Any:
    """What a library that reads stdin gets."""
    return {"python": sys.stdin.read(), "native": os.read(0, 100).decode()}


def leak_child(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Start a child that outlives the call and holds every descriptor it was given."""
    child = subprocess.Popen(["sleep", str(inputs["seconds"])])  # noqa: S603, S607  # a sleeping child is the point
    return child.pid


def about(ctx: Context, inputs: dict[str, Any]) -> Any:
    """What came with the call."""
    return {
        "config": ctx.config,
        "secrets": dict(ctx.secrets),
        "run_id": ctx.run_id,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "idempotency_key": ctx.idempotency_key,
        "deadline": ctx.deadline,
    }


def work_dir(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Write a file into the call's folder."""
    (ctx.work_dir / "made.txt").write_text("here", encoding="utf-8")
    return str(ctx.work_dir)


def write(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Write and delete context variables."""
    for key, value in inputs.get("set", {}).items():
        ctx.set(key, value)
    for key in inputs.get("delete", []):
        ctx.delete(key)
    return None


def read(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Read context variables and the body of the request."""
    found = {key: ctx.get(key) for key in inputs.get("vars", [])}
    return {"vars": found, "body": ctx.request.body} if inputs.get("body") else {"vars": found}


def metric(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Record a figure."""
    ctx.metric(inputs["name"], inputs["value"])
    return None


def odd(ctx: Context, inputs: dict[str, Any]) -> Any:
    """An output that cannot travel."""
    values: dict[str, Any] = {
        "nan": float("nan"),
        "infinity": {"deep": [float("inf")]},
        "integer": 2**53,
        "object": object(),
        "bytes": b"x",
        "surrogate": "\ud800",
        "key": {1: 2},
    }
    return values[inputs["what"]]


def environment(ctx: Context, inputs: dict[str, Any]) -> Any:
    """The environment variables, and the descriptors that are open, standard ones aside."""
    fds = [int(name) for name in os.listdir("/proc/self/fd")] if os.path.isdir("/proc/self/fd") else []
    return {"names": sorted(os.environ), "inheritable": [fd for fd in fds if fd > 2 and _is_inheritable(fd)]}


def _is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False  # the one that listed the others


ACTIONS: dict[str, Callable[[Context, dict[str, Any]], Any]] = {
    "about": about,
    "big": big,
    "blob": blob,
    "crash": crash,
    "echo": echo,
    "environment": environment,
    "fail": fail,
    "ignore_cancel": ignore_cancel,
    "leak_child": leak_child,
    "log": log,
    "metric": metric,
    "odd": odd,
    "print": say,
    "progress": progress,
    "read": read,
    "read_stdin": read_stdin,
    "sleep": sleep,
    "spawn_print": spawn_print,
    "spin": spin,
    "sum": add,
    "work_dir": work_dir,
    "write": write,
}
