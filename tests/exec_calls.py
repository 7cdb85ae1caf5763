"""Programs made on the spot and calls of them, for the tests of the exec dispatcher."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeling.manifest import Manifest
from nodeling_runtime.dispatch.base import NodeCall, Outcome
from nodeling_runtime.dispatch.exec import ExecDispatcher
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import Value

PYTHON = sys.executable


@dataclass
class Source:
    """A context to read from."""

    values: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)

    def read(self, key: str) -> bytes | None:
        return self.values.get(key)

    def keys(self) -> list[str]:
        return list(self.values)

    def who(self, key: str) -> str | None:
        return None

    def part(self, name: str) -> bytes | None:
        return self.parts.get(name)

    def reserved(self, key: str) -> bool:
        return False


class Programs:
    """Makes nodes in a folder and calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "node"
        self.folder.mkdir()
        self.work = folder / "run"
        self.work.mkdir()
        self.events: list[tuple[str, dict[str, Any]]] = []

    @property
    def log(self) -> list[str]:
        return [body["message"] for kind, body in self.events if kind == "log"]

    def command(self, *command: str, **manifest: Any) -> NodeSpec:
        """A node that runs a command."""
        runtime = {"type": "runtime.command", "command": list(command), "protocol": "exec"}
        runtime |= {key: manifest.pop(key) for key in ("stdin", "output") if key in manifest}
        return NodeSpec(
            Manifest.from_data({"name": "probe", "runtime": runtime, **manifest}), "project", self.folder
        )

    def bash(self, script: str, **manifest: Any) -> NodeSpec:
        """A node that is a bash script."""
        (self.folder / "node.sh").write_text(script, encoding="utf-8")
        return self.command("bash", "node.sh", **manifest)

    def python(self, script: str, **manifest: Any) -> NodeSpec:
        """A node that is a Python program with only the standard library."""
        (self.folder / "node.py").write_text(script, encoding="utf-8")
        return self.command(PYTHON, "-I", "-S", "node.py", **manifest)

    def call(self, spec: NodeSpec, inputs: Any = None, **more: Any) -> NodeCall:
        """One call of a node."""
        known: dict[str, Any] = {
            "config": {},
            "secrets": {},
            "source": Source(),
            "emit": lambda kind, body: self.events.append((kind, body)),
            "run_id": "run-1",
            "step": "probe",
            "attempt": 1,
            "idempotency_key": lambda: "key-1",
            "deadline": None,
            "work_root": lambda: str(self.work),
        }
        return NodeCall(spec=spec, inputs=Value.of(inputs), **(known | more))

    def run(self, spec: NodeSpec, inputs: Any = None, **more: Any) -> Outcome:
        """Call a node on a loop of its own."""
        call = self.call(spec, inputs, **more)
        outcome: Outcome = with_dispatcher(lambda dispatcher: dispatcher.call(call))
        return outcome

    def left_behind(self) -> list[str]:
        """Names of folders that calls should have removed."""
        return os.listdir(self.work)


def with_dispatcher(work: Callable[[ExecDispatcher], Awaitable[Any]]) -> Any:
    """Run `work` with a dispatcher that is closed after it."""

    async def main() -> Any:
        dispatcher = ExecDispatcher()
        try:
            return await asyncio.wait_for(work(dispatcher), 60)
        finally:
            await dispatcher.close()

    return asyncio.run(main())


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for a condition to hold, within a bound, and give what it gave."""
    end = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, "the condition was not met in time"
        await asyncio.sleep(0.005)
    return found


def zombies() -> Iterator[int]:
    """Children of this process that ended and were not reaped."""
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="utf-8") as children:
            for pid in children.read().split():
                if not is_alive(int(pid)):
                    yield int(pid)
