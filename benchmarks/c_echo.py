"""The floor: a program in C that gives back what it reads, written to and read from by blocking calls.

Frames are encoded and decoded as a host has to, and nothing else is done.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
from benchmarks.environments import cache_folder

SOURCE = Path(__file__).with_suffix(".c")
READ_SIZE = 65536


class CEcho:
    """The process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [_program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the echo has no pipes")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def measured(self, inputs: Any, count: int, at_once: int = 1) -> float:
        """Microseconds a call, so many calls in one write."""
        began = time.perf_counter()
        for start in range(0, count, at_once):
            self._exchange(inputs, range(start, min(start + at_once, count)))
        return (time.perf_counter() - began) / count * 1e6

    def close(self) -> None:
        """Hang up, and wait for the end."""
        self._stdin.close()
        self._stdout.close()
        self._process.wait(10)

    def _exchange(self, inputs: Any, numbers: range) -> None:
        frames = [
            {"id": n, "method": "node/invoke", "params": {"node": "echo", "input": inputs}} for n in numbers
        ]
        rest = memoryview(b"".join(orjson.dumps(frame) + b"\n" for frame in frames))
        awaited, parts = len(frames), []
        while awaited:
            if rest:  # a pipe holds 64 KiB: what is written beyond what was read would never be taken
                rest = rest[self._stdin.write(rest[:READ_SIZE]) or 0 :]
            parts.append(self._stdout.read(READ_SIZE))
            awaited -= parts[-1].count(b"\n")
        for line in b"".join(parts).splitlines():
            orjson.loads(line)


def _program() -> Path:
    """The program, compiled when its source has changed."""
    program = cache_folder() / "c_echo"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-o", program, SOURCE], check=True)
    return program
