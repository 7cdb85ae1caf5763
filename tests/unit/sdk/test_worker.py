"""The Python worker: how it is started, and that a node's file does there what it does in process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling.protocol import Failed, HostConnection, LogLine, Output, Progress, Ready, context_bytes
from nodeling.testing import run_node
from nodeling.testing.conformance.process import Subject
from nodeling.values import encode
from nodeling.worker import Options

SDK = Path(nodeling.__file__).parents[1]
SECONDS = 60


def launch(options: list[str], sent: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    full = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK), **env}
    command = [sys.executable, "-m", "nodeling.worker", *options]
    return subprocess.run(command, input=sent, capture_output=True, env=full, timeout=SECONDS, check=False)


def call(folder: Path, inputs: Any, *options: str, meta: Any = None, **more: Any) -> tuple[Any, list[Any]]:
    """One call in a worker of its own: how it ended, and what it told before."""
    host = HostConnection(channel="fd")
    command = [sys.executable, "-m", "nodeling.worker", "--folder", str(folder), *options]
    worker = Subject(command, "fd", {"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK)}, None)
    told: list[Any] = []
    try:
        worker.write(host.hello())
        while not told or not isinstance(told[-1], (Output, Failed)):
            line = worker.lines.get(timeout=SECONDS)
            assert line is not None, worker.logs
            for event in host.receive(line + b"\n"):
                if isinstance(event, Ready):
                    worker.write(host.invoke("n", encode(inputs), meta=meta, **more)[1])
                else:
                    told.append(event)
    finally:
        worker.end()
    return told[-1], told[:-1]


def node_folder(tmp_path: Path, code: str, **manifest: Any) -> Path:
    folder = tmp_path / "the-node"
    folder.mkdir()
    (folder / "node.py").write_text(code, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"name": "the-node", "version": "1.0.0", **manifest}))
    (folder / "beside.py").write_text("WORD = 'neighbour'\n")
    return folder


def test_without_a_host_it_says_how_a_node_is_run() -> None:
    done = launch([], b"")
    assert done.returncode == 64 and b"nodectl" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("options", [["--colour", "red"], ["--folder"], ["--concurrency", "0"], ["node.py"]])
def test_an_option_it_does_not_know_is_refused(options: list[str]) -> None:
    with pytest.raises(ValueError, match="--"):
        Options(options)


def test_descriptors_that_are_not_open_are_refused() -> None:
    done = launch([], b"", NODELING="1", NODELING_FDS="7,x")
    assert done.returncode == 64 and b"NODELING_FDS" in done.stderr


RUN = "def run(ctx, inputs):\n"
BEHAVIOURS = {
    "a value": (RUN + "    return {'got': inputs}", {"a": [1, None]}),
    "nothing": (RUN + "    return None", {}),
    "a decorated function": (
        "from nodeling import node\n@node\ndef add(a: int, b: float = 2.0):\n"
        "    return [a, b, type(b).__name__]",
        {"a": 1, "b": 3},
    ),
    "converted types": (
        "import datetime\nfrom nodeling import node\n@node\ndef f(day: datetime.date):\n"
        "    return str(type(day).__name__)",
        {"day": "2026-01-31"},
    ),
    "inputs that do not convert": (
        "import datetime\nfrom nodeling import node\n@node\ndef f(day: datetime.date):\n    return 1",
        {"day": "never"},
    ),
    "a class": (
        "class Sum:\n    def handle(self, ctx, inputs):\n        return sum(inputs['v'])",
        {"v": [1, 2]},
    ),
    "a neighbour": ("from . import beside\n" + RUN + "    return beside.WORD", {}),
    "an exception": (RUN + "    raise ValueError('no luck')", {}),
    "an exception without words": (RUN + "    raise KeyError", {}),
    "a cause": (
        RUN
        + "    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        raise OSError('x') from e",
        {},
    ),
    "its own error": (
        "from nodeling import NodeError\n"
        + RUN
        + "    raise NodeError('slow', code=5001, retryable=True, details={'n': 1})",
        {},
    ),
    "a dotted code": (
        "from nodeling import NodeError\n" + RUN + "    raise NodeError('q', code='acme.quota')",
        {},
    ),
    "SystemExit": (RUN + "    raise SystemExit(3)", {}),
    "NaN": (RUN + "    return {'a': [float('nan')]}", {}),
    "a set": (RUN + "    return {1, 2}", {}),
    "a large integer": (RUN + "    return 2**53", {}),
    "a generator": (RUN + "    yield 1\n    yield {'two': 2}", {}),
    "a generator that returns": (RUN + "    yield 1\n    return 'end'", {}),
    "an empty generator": (RUN + "    return\n    yield", {}),
    "a coroutine": (
        "import asyncio\nasync def run(ctx, inputs):\n    await asyncio.sleep(0)\n    return 'later'",
        {},
    ),
    "an async generator": ("async def run(ctx, inputs):\n    yield 1\n    yield 2", {}),
    "a failing coroutine": ("async def run(ctx, inputs):\n    raise RuntimeError('async')", {}),
    "a module that does not load": ("import no_such_module_anywhere", {}),
    "a module without a node": ("x = 1", {}),
    "a bad context key": (RUN + "    ctx.set('', 1)", {}),
    "a dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\n" + RUN + "    return P(3)",
        {},
    ),
    "a metric": (RUN + "    ctx.metric('rows', 3)", {}),
    "a log line": (RUN + "    ctx.log.warning('seen', rows=3)", {}),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_nodes_file_does_in_a_worker_what_it_does_in_process(name: str, tmp_path: Path) -> None:
    code, inputs = BEHAVIOURS[name]
    folder = node_folder(tmp_path, code)
    here = run_node(folder, inputs)
    there, told = call(folder, inputs)
    if isinstance(there, Output):
        assert (here.status, here.output) == ("succeeded", there.value)
        assert there.metrics == {k: v for k, v in here.metrics.items() if k in ("rows",)}
    else:
        assert here.error is not None
        assert (here.error["code"], here.error["message"]) == (there.error.code, there.error.message)
        ours = {k: v for k, v in here.error.get("details", {}).items() if k != "traceback"}
        assert ours == {k: v for k, v in there.error.all_details().items() if k != "traceback"}
    assert here.logs == [event.message for event in told if isinstance(event, LogLine)]


READER = (
    RUN
    + "    ctx.set('wrote', 1)\n    ctx.delete('gone')\n"
    + "    return [ctx.get('limit'), list(ctx.vars), ctx.request.body]"
)


def test_what_was_sent_is_read_and_what_was_written_comes_back(tmp_path: Path) -> None:
    context = context_bytes(vars={"limit": b"3"}, request={"body": "b"}, run_id="r")
    there, _ = call(node_folder(tmp_path, READER), {}, "--reads", "vars.limit,request.body", context=context)
    assert isinstance(there, Output)
    assert there.value == [3, ["limit", "wrote"], "b"]
    assert there.vars == {"wrote": b"1", "gone": None}


def test_what_is_declared_and_was_not_sent_does_not_exist_and_the_rest_cannot_be_known(
    tmp_path: Path,
) -> None:
    folder = node_folder(tmp_path, RUN + "    return ctx.get(inputs['key'], 'none')")
    there, _ = call(folder, {"key": "limit"}, "--reads", "vars.limit")
    assert isinstance(there, Output) and there.value == "none"
    there, _ = call(folder, {"key": "other"}, "--reads", "vars.limit")
    assert isinstance(there, Failed) and there.error.code == "context.not_sent"
    assert '"vars.other"' in there.error.message


def test_the_last_progress_is_always_told(tmp_path: Path) -> None:
    folder = node_folder(tmp_path, RUN + "    for n in range(5000):\n        ctx.progress(n, 5000)")
    _, told = call(folder, {}, meta={"progress": True})
    progress = [event for event in told if isinstance(event, Progress)]
    assert progress[-1].progress == 4999 and len(progress) < 100


def test_only_named_variables_of_the_environment_stand_in_the_context(tmp_path: Path) -> None:
    folder = node_folder(tmp_path, RUN + "    return sorted(ctx.env)")
    there, _ = call(folder, {}, "--env", "PATH,NO_SUCH_VARIABLE")
    assert isinstance(there, Output) and there.value == ["PATH"]
