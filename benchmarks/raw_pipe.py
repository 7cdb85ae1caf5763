"""The same Python worker at the other end of two blocking pipes: what any host pays at least.

Nothing is checked, timed, cancelled or multiplexed here: a frame is written, and read until its line ends.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

import orjson

from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.toolchains.launching import launch_of

READ_SIZE = 65536


class RawPipe:
    """One worker, called by plain reads and writes."""

    def __init__(self, spec: NodeSpec) -> None:
        launch = launch_of(spec)
        theirs_in, self._writer = os.pipe()
        self._reader, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            env={
                "PATH": os.environ["PATH"],
                "NODELING": "1",
                "NODELING_FDS": f"{theirs_in},{theirs_out}",
            },
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._name = spec.name
        self._next = 1
        hello = {
            "protocol": [1],
            "features": [],
            "limits": {"max_frame_bytes": 16 * 1024 * 1024, "spill_bytes": 4 * 1024 * 1024},
        }
        self._exchange("node/hello", hello)

    def call(self, inputs: Any) -> Any:
        """One call: its output, decoded."""
        return self._exchange("node/invoke", {"node": self._name, "input": inputs})["output"]

    def close(self) -> None:
        """Hang up, and wait for the end."""
        os.close(self._writer)
        os.close(self._reader)
        self._process.wait(10)

    def _exchange(self, method: str, params: dict[str, Any]) -> Any:
        frame = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        self._next += 1
        rest = memoryview(orjson.dumps(frame) + b"\n")
        while rest:
            rest = rest[os.write(self._writer, rest) :]
        parts = []
        while True:
            part = os.read(self._reader, READ_SIZE)
            if not part:
                raise RuntimeError("the worker hung up")
            parts.append(part)
            if part.endswith(b"\n"):
                return orjson.loads(b"".join(parts))["result"]
