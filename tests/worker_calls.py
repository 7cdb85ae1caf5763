"""Workers made on the spot and calls of them, for the tests of the worker dispatcher."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from exec_calls import Source
from nodeling.manifest import Manifest
from nodeling_runtime.dispatch.base import NodeCall, Outcome
from nodeling_runtime.dispatch.worker.bounds import Bounds
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.registry import NodeSpec
from nodeling_runtime.values import Value

# Room for tests that crash a node on purpose again and again.
PATIENT = Bounds(crashes=100_000, first_delay=0.0)

LINES = """
import json, os, signal, subprocess, sys, time
def send(frame):
    sys.stdout.write(json.dumps(frame) + "\\n"); sys.stdout.flush()
def answer(id, result):
    send({"jsonrpc": "2.0", "id": id, "result": result})
def greet(id, features=(), many=1):
    node = {"name": "probe", "version": "1"}
    answer(id, {"protocol": 1, "node": node, "features": list(features), "max_concurrency": many})
def half(id, output, end=""):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": id, "result": {"output": output}}) + end)
    sys.stdout.flush()
def refuse(id, code, text, **data):
    send({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text, "data": data}})
def frames():
    for line in sys.stdin:
        yield json.loads(line)
"""


class Nodes:
    """Makes nodes in a folder and calls them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        (folder / ".nodeling").mkdir()
        self.events: list[tuple[str, dict[str, Any]]] = []

    @property
    def log(self) -> list[str]:
        return [body["message"] for kind, body in self.events if kind == "log"]

    def python(self, code: str, name: str = "probe", **manifest: Any) -> NodeSpec:
        """A node for the Python worker."""
        runtime = {"type": "runtime.python3", **manifest.pop("runtime", {})}
        return self._node(name, "node.py", code, {"runtime": runtime, **manifest})

    def raw(self, code: str, name: str = "probe", **manifest: Any) -> NodeSpec:
        """A program that speaks the protocol itself, on stdin and stdout."""
        command = [sys.executable, "-I", "-S", "node.py"]
        runtime = {"type": "runtime.command", "command": command, "protocol": "nsp"}
        runtime |= manifest.pop("runtime", {})
        return self._node(name, "node.py", LINES + code, {"runtime": runtime, **manifest})

    def command(self, *command: str, **manifest: Any) -> NodeSpec:
        runtime = {"type": "runtime.command", "command": list(command), "protocol": "nsp"}
        return self._node("probe", "unused", "", {"runtime": runtime, **manifest})

    def _node(self, name: str, file: str, code: str, manifest: dict[str, Any]) -> NodeSpec:
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / file).write_text(code, encoding="utf-8")
        return NodeSpec(Manifest.from_data({"name": name, **manifest}), "project", folder)

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
            "work_root": lambda: str(self.root),
        }
        return NodeCall(spec=spec, inputs=Value.of(inputs), **(known | more))

    def run(self, spec: NodeSpec, *inputs: Any, bounds: Bounds = PATIENT, **more: Any) -> list[Outcome]:
        """Call a node with each input, one after the other, on a loop of its own."""

        async def work(dispatcher: WorkerDispatcher) -> list[Outcome]:
            return [await dispatcher.call(self.call(spec, value, **more)) for value in inputs]

        outcomes: list[Outcome] = with_workers(work, bounds)
        return outcomes


def with_workers(
    work: Callable[[WorkerDispatcher], Awaitable[Any]], bounds: Bounds = PATIENT, seconds: float = 60
) -> Any:
    """Run `work` with a dispatcher that is closed after it."""

    async def main() -> Any:
        dispatcher = WorkerDispatcher(bounds)
        try:
            return await asyncio.wait_for(work(dispatcher), seconds)
        finally:
            await dispatcher.close()

    return asyncio.run(main())


def given(outcome: Outcome) -> Any:
    """The output of a call that succeeded."""
    assert outcome.error is None, outcome.error
    assert outcome.output is not None
    return outcome.output.fresh()


def code(outcome: Outcome) -> int | str:
    """The code of a call that failed."""
    assert outcome.error is not None, outcome.output
    return outcome.error.code


def below(pid: int) -> set[int]:
    """Every living descendant of a process."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        one = todo.pop()
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="utf-8") as children:
                    fresh = set(map(int, children.read().split())) - found
                found |= fresh
                todo.extend(fresh)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def tree_of(worker: int) -> set[int]:
    """A worker, its descendants, and whatever bears its mark."""
    found = {worker, *below(worker)}
    own = _mark(worker)
    for name in os.listdir("/proc"):
        if name.isdigit() and own and _mark(int(name)) == own:
            found.add(int(name))
    return found


def _mark(pid: int) -> bytes | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as env:
            return next((v for v in env.read().split(b"\0") if v.startswith(b"NODELING_WORKER=")), None)
    except OSError:
        return None
