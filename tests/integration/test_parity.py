"""One node file gives the same in process, in a worker, and in a worker for each call."""

# ruff: noqa: E501  (the code of nodes in texts)

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling_runtime.dispatch.worker.hub import close_all

SYNC = """
import dataclasses, datetime, enum, sys, uuid
from nodeling import NodeError
from . import neighbour

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Point:
    x: int
    y: list

def nested(depth):
    value = []
    for _ in range(depth - 1): value = [value]
    return value

def circle():
    value = []
    value.append(value)
    return value

def raising(error, cause=None):
    raise error from cause

def setting(ctx, *pairs, then=None):
    for key, value in pairs: ctx.set(key, value)
    if then: raise then
    return "set"

def logging(ctx):
    ctx.log("plain"); ctx.log.warning("odd", rows=3); ctx.log.error("bad", why={"a": [1]}); ctx.log.debug("much")

def telling(ctx):
    ctx.progress(1, 4, "quarter"); ctx.metric("rows", 7); ctx.metric("rate", 0.5)
    return "told"

def working(ctx):
    found = list(ctx.work_dir.iterdir())
    (ctx.work_dir / "file").write_text("x")
    return [len(found), ctx.work_dir.is_dir(), oct(ctx.work_dir.stat().st_mode)]

def changing(ctx, inputs):
    inputs["list"].append(4); ctx.config["own"] = True
    return inputs["list"]

DOES = {
    "object": lambda ctx, inputs: {"a": [1, 2.5, None, True, "x"], "b": {}},
    "nothing": lambda ctx, inputs: None,
    "text": lambda ctx, inputs: "h\\u00e9 \\U0001f600 \\u2028 \\"quoted\\" \\\\ \\x7f",
    "integers": lambda ctx, inputs: [2**53 - 1, -(2**53 - 1), 0],
    "floats": lambda ctx, inputs: [0.1, 1e300, -0.0, 1e-7],
    "tuple": lambda ctx, inputs: (1, (2, 3)),
    "dataclass": lambda ctx, inputs: Point(1, [Point(2, [])]),
    "datetime": lambda ctx, inputs: datetime.datetime(2026, 1, 2, 3, 4, 5),
    "uuid": lambda ctx, inputs: uuid.UUID(int=7),
    "enum": lambda ctx, inputs: [Colour.RED],
    "deep": lambda ctx, inputs: nested(64),
    "large": lambda ctx, inputs: "x" * 1_500_000,
    "nan": lambda ctx, inputs: {"a": [float("nan")]},
    "huge": lambda ctx, inputs: 2**53,
    "set": lambda ctx, inputs: {1, 2},
    "bytes": lambda ctx, inputs: {"raw": b"x"},
    "circular": lambda ctx, inputs: circle(),
    "too deep": lambda ctx, inputs: nested(65),
    "key": lambda ctx, inputs: {1: 2},
    "surrogate": lambda ctx, inputs: "\\ud800",
    "ValueError": lambda ctx, inputs: raising(ValueError("no good")),
    "silent": lambda ctx, inputs: raising(RuntimeError()),
    "cause": lambda ctx, inputs: raising(RuntimeError("outer"), KeyError("inner")),
    "NodeError": lambda ctx, inputs: raising(NodeError("no")),
    "limited": lambda ctx, inputs: raising(NodeError("later", code=5001, retryable=True, retry_after_ms=5, details={"a": 1})),
    "final": lambda ctx, inputs: raising(NodeError("never", code=4003, retryable=False)),
    "own code": lambda ctx, inputs: raising(NodeError("mine", code="acme.full")),
    "exit": lambda ctx, inputs: sys.exit(3),
    "interrupt": lambda ctx, inputs: raising(KeyboardInterrupt()),
    "write": lambda ctx, inputs: setting(ctx, ("w", {"deep": [1]}), ("w2", None)),
    "write and fail": lambda ctx, inputs: setting(ctx, ("lost", 1), then=ValueError("after")),
    "delete": lambda ctx, inputs: ctx.delete("given"),
    "rewrite": lambda ctx, inputs: [ctx.get("given"), setting(ctx, ("given", 2)), ctx.get("given"), ctx.who("given")],
    "read": lambda ctx, inputs: [ctx.get("given"), ctx.get("absent", "else"), sorted(ctx.vars)[:1], "given" in ctx.vars],
    "who": lambda ctx, inputs: [ctx.who("given"), ctx.who("absent")],
    "reserved": lambda ctx, inputs: setting(ctx, ("begin", 1)),
    "empty key": lambda ctx, inputs: setting(ctx, ("", 1)),
    "bad write": lambda ctx, inputs: setting(ctx, ("x", object)),
    "request": lambda ctx, inputs: [ctx.request.body, ctx.request.headers, ctx.request.method],
    "config": lambda ctx, inputs: [ctx.config, type(ctx.config).__name__],
    "secrets": lambda ctx, inputs: [ctx.secrets["KEY"][::-1], sorted(ctx.secrets)],
    "leak": lambda ctx, inputs: raising(ValueError("the key is " + ctx.secrets["KEY"])),
    "env": lambda ctx, inputs: ctx.env,
    "about": lambda ctx, inputs: [ctx.step, ctx.attempt, ctx.cancelled, ctx.deadline is not None, ctx.error],
    "key of the call": lambda ctx, inputs: [len(ctx.idempotency_key), len(ctx.run_id) > 0],
    "log": lambda ctx, inputs: logging(ctx),
    "tell": lambda ctx, inputs: telling(ctx),
    "work": lambda ctx, inputs: working(ctx),
    "change": changing,
    "neighbour": lambda ctx, inputs: neighbour.NAME,
    "misfit": lambda ctx, inputs: {"wrong": True},
    "unknown part": lambda ctx, inputs: ctx.request["nothing"],
}

def run(ctx, inputs):
    return DOES[inputs["do"]](ctx, inputs)
"""
OTHERS = {
    "chunks": "def run(ctx, inputs):\n    yield 1\n    yield {'a': 2}\n",
    "returns": "def run(ctx, inputs):\n    yield 1\n    return 'whole'\n",
    "breaks": "def run(ctx, inputs):\n    yield 1\n    raise ValueError('half way')\n",
    "waits": "import asyncio\nasync def run(ctx, inputs):\n    await asyncio.sleep(0)\n    ctx.set('w', 1)\n    return 'async'\n",
    "fails": "async def run(ctx, inputs):\n    raise LookupError('async')\n",
    "async-chunks": "async def run(ctx, inputs):\n    yield 1\n    yield 2\n",
    "typed": (
        "import dataclasses, datetime\nfrom nodeling import node\n"
        "@dataclasses.dataclass\nclass P:\n    x: int\n"
        "@node\ndef typed(do: str, p: P = P(3), when: datetime.date = datetime.date(2026, 1, 2)) -> dict:\n"
        "    return {'x': p.x, 'when': when.isoformat(), 'do': do}\n"
    ),
    "classy": "from nodeling import Node\nclass C(Node):\n    def handle(self, ctx, inputs):\n        return {'c': inputs['do']}\n",
    "broken": "import no_such_module_at_all\n",
    "empty": "x = 1\n",
}
HOMES: dict[str, dict[str, Any]] = {
    "python": {"type": "python"},
    "runtime.python3": {"type": "runtime.python3"},
    "isolation: call": {"type": "python", "isolation": "call"},
}
SCHEMAS: dict[str, Any] = {
    "inputs": {"type": "object", "properties": {"do": {"type": "string"}}, "required": ["do"]},
    "output": {"not": {"required": ["wrong"]}},
    "config": {"type": "object", "properties": {"unit": {"type": "string"}}},
}
KINDS = [line.split('": ')[0].strip().strip('"') for line in SYNC.splitlines() if line.startswith('    "')]
BEHAVIOURS = [("sync", do) for do in KINDS] + [(name, "x") for name in OTHERS]
BEHAVIOURS += [("sync", "sleep")]


def slug(node: str, do: str) -> str:
    return f"{node}-{do}".replace(" ", "-").lower()


def document() -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"name": "begin", "node": "seed"}]
    for node, do in BEHAVIOURS:
        inputs = {"do": do, "list": [1, 2, 3]}
        step = {"name": slug(node, do), "node": node, "inputs": inputs, "on_error": "continue"}
        steps.append(step | {"config": {"unit": "kg"}, "timeout": "20s"})
        seen = {key: f"${{ctx.vars.{key} ?? 'absent'}}" for key in ("given", "w", "w2", "lost")}
        steps.append({"name": f"after-{slug(node, do)}", "node": "echo", "inputs": seen})
        steps.append({"name": f"again-{slug(node, do)}", "node": "seed"})
    return {"name": "parity", "steps": steps}


class Ran:
    """One run of every behaviour: what each step gave, what was seen after it, what it told."""

    def __init__(self, folder: Path, home: str) -> None:
        nodes = folder / "nodes"
        plain = "def run(ctx, inputs):\n    return inputs\n"
        seed = "def run(ctx, inputs):\n    ctx.set('given', 1)\n    ctx.delete('w'); ctx.delete('w2')\n"
        for name, code in {"echo": plain, "seed": seed}.items():
            self._write(nodes / name, {}, code)
        sync = SYNC.replace("DOES = {", 'DOES = {\n    "sleep": lambda ctx, inputs: neighbour.sleep(),')
        for name, code in {"sync": sync, **OTHERS}.items():
            more = {"runtime": HOMES[home], "reads": ["vars.*", "request.*", "error"], **SCHEMAS}
            self._write(nodes / name, {**more, "secrets": ["KEY"], "env": ["WANTED"]}, code)
        neighbour = "import time\nNAME = 'next door'\ndef sleep(): time.sleep(1000)\n"
        (nodes / "sync" / "neighbour.py").write_text(neighbour, encoding="utf-8")
        (folder / ".nodeling").mkdir()
        steps = document()
        for step in steps["steps"]:
            if step["name"] == slug("sync", "sleep"):
                step["timeout"] = "300ms"
        path = folder / "flow.json"
        path.write_text(json.dumps(steps), encoding="utf-8")
        self.folder = folder
        self.told: dict[str, list[Any]] = {}
        self.result = nodeling.run(path, {"rows": [1]}, run_id="parity", on_event=self._hear)

    def _write(self, folder: Path, manifest: dict[str, Any], code: str) -> None:
        folder.mkdir(parents=True)
        about = {"name": folder.name, "version": "1.0.0", **manifest}
        (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
        (folder / "node.py").write_text(code, encoding="utf-8")

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind in ("step.log", "step.progress", "step.chunk", "step.retry"):
            known = ("level", "message", "data", "progress", "total")
            self.told.setdefault(event["step"], []).append(
                (kind, {key: event[key] for key in known if key in event})
            )

    def of(self, node: str, do: str) -> dict[str, Any]:
        name = slug(node, do)
        step, after = self.result.steps[name], self.result.steps[f"after-{name}"]
        found = {
            "status": step.status,
            "output": step.output if step.status == "succeeded" else None,
            "error": step.error,
            "attempts": step.attempts,
            "told": self.told.get(name, []),
            "seen after": after.output,
        }
        # The three lie in folders of different names, and a worker has a copy of the SDK.
        text = json.dumps(found, sort_keys=True).replace(str(self.folder), "HERE")
        text = re.sub(r"HERE/\.nodeling/sdk/[^/]+", str(Path(nodeling.__file__).parents[1]), text)
        same: dict[str, Any] = json.loads(text)
        return same


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODELING_SECRET_KEY", "sesame-open")
        patch.setenv("WANTED", "yes")
        found = {home: Ran(tmp_path_factory.mktemp("parity"), home) for home in HOMES}
    close_all()
    return found


def test_at_least_forty_behaviours_are_compared() -> None:
    assert len(set(BEHAVIOURS)) == len(BEHAVIOURS) >= 40


@pytest.mark.parametrize(("node", "do"), BEHAVIOURS, ids=[slug(*one) for one in BEHAVIOURS])
def test_every_home_gives_the_same(runs: dict[str, Ran], node: str, do: str) -> None:
    here = runs["python"].of(node, do)
    for home in ("runtime.python3", "isolation: call"):
        assert runs[home].of(node, do) == here, home
