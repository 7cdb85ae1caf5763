"""Run lines of Python. The runtime gives every call a fresh process, which this module bounds further.

The process is what contains the code: what it breaks, it breaks for itself. It is no sandbox; the code may do
what the user of this machine may.
"""

from __future__ import annotations

import contextlib
import faulthandler
import linecache
import os
import resource
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from nodeling import Context, NodeError
from nodeling.errors import nearest

FILE = "<code>"
MIB = 1024 * 1024
EXIT_AFTER_TIMEOUT = 124
LOCKED_SECONDS = 0.25  # how long the thread that says why has to come by the lock
MAX_FRAMES = 20


def run(ctx: Context, inputs: dict[str, Any]) -> Any:
    """Run the lines within their bounds, and take the output from their variables."""
    code = inputs["code"]
    given = inputs.get("inputs", {})
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__, "inputs": given, **given}
    wrong = [name for name in given if not name.isidentifier()]
    if wrong:
        raise NodeError(f"{wrong[0]!r} cannot be the name of a variable", code=4001, retryable=False)
    try:
        compiled = compile(code, FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        said = getattr(error, "msg", None) or str(error)
        raise NodeError(f"{where}{said}", code=4001, retryable=False, details={"line": line}) from None
    linecache.cache[FILE] = (len(code), None, code.splitlines(keepends=True), FILE)
    with _time(inputs.get("timeout_ms", 60_000)), _memory(inputs.get("memory_mb", 512)):
        _execute(compiled, names)
    return _output(names, inputs.get("output", "result"), set(given))


def _execute(compiled: Any, names: dict[str, Any]) -> None:
    try:
        exec(compiled, names)  # noqa: S102 (this is the node's whole purpose, and why it has a process)
    except NodeError:
        raise
    except SystemExit as error:
        if error.code not in (None, 0):
            raise NodeError(f"the code ended with exit({error.code!r:.80})", retryable=False) from None
    except MemoryError:
        names.clear()  # room for the error itself
        raise NodeError(
            "the code needed more memory than its `memory_mb`", code=4005, retryable=False
        ) from None
    except BaseException as error:
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == FILE]
        line = frames[-1].lineno if frames else None
        lines = traceback.format_list(frames[-MAX_FRAMES:])
        said = traceback.format_exception_only(type(error), error)[-1].strip()
        raise NodeError(
            f"line {line}: {said}" if line else said,
            details={"line": line, "type": type(error).__name__, "traceback": "".join([*lines, said])},
        ) from None


def _output(names: dict[str, Any], wanted: str | list[str], given: set[str]) -> Any:
    asked = [wanted] if isinstance(wanted, str) else wanted
    for name in asked:
        if name not in names:
            known = [word for word in names if not word.startswith("__") and word not in given]
            near = nearest(name, known)
            raise NodeError(
                f"the code sets no {name!r}, its `output`",
                code=4001,
                retryable=False,
                hint=f"did you mean {near!r}?" if near else f"assign to {name!r}",
            )
    return names[wanted] if isinstance(wanted, str) else {name: names[name] for name in wanted}


@contextlib.contextmanager
def _time(limit_ms: int) -> Iterator[None]:
    """Ends the process when the time is up: nothing less ends code that loops in C.

    Such code may hold the interpreter's lock, so that no other thread can say why; then the fault handler,
    which needs no lock, ends the process and shows the line.
    """

    def end() -> None:
        os.write(2, f"the code ran longer than {limit_ms} ms, its `timeout_ms`\n".encode())
        os._exit(EXIT_AFTER_TIMEOUT)

    timer = threading.Timer(limit_ms / 1_000, end)
    timer.daemon = True
    timer.start()
    faulthandler.dump_traceback_later(limit_ms / 1_000 + LOCKED_SECONDS, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        timer.cancel()


@contextlib.contextmanager
def _memory(limit_mb: int) -> Iterator[None]:
    """Refuses memory beyond what the process has now and the limit."""
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = held + limit_mb * MIB
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
