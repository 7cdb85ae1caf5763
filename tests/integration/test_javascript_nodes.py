"""JavaScript and TypeScript nodes through the engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling.sdk_files import sdk_file
from nodeling_runtime.dispatch.worker.hub import close_all
from programs import need

PLAIN = """
console.log("imported");
export default function (ctx, inputs) {
  if (inputs.kind === "spin") for (;;);
  if (inputs.kind === "killed") { console.error("last words"); process.kill(process.pid, "SIGKILL"); }
  if (inputs.kind === "crash") { process.stderr.write("going down\\n"); process.exit(7); }
  if (inputs.kind === "sleep") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, inputs.ms);
  if (inputs.kind === "set") ctx.set("mark", inputs.value);
  if (inputs.kind === "size") return { size: inputs.text.length, pid: process.pid };
  console.log("printed");
  return { pid: process.pid, seen: inputs };
}
"""
ASYNC = """
import { setTimeout as sleep } from "node:timers/promises";
let running = 0, most = 0;
export default async function (ctx, { ms = 0 }) {
  most = Math.max(most, (running += 1));
  try { await sleep(ms, null, { signal: ctx.signal }); } finally { running -= 1; }
  return { pid: process.pid, most };
}
"""
# Before the first answer nobody knows how many calls a process takes, so the host may start several.
WARM = {"name": "warm", "node": "loop", "inputs": {}}
TYPED = """
import { NodeError, type Context } from "./nodeling.mjs";
import path from "node:path";
interface Inputs { text: string }
export default async function (ctx: Context, inputs: Inputs): Promise<{ words: number }> {
  if (inputs.text === "") throw new NodeError("nothing", { code: 4001 });
  return { words: inputs.text.split(path.sep).length };
}
"""
WRITER = """
def run(ctx, inputs):
    return {"text": "x" * inputs["size"]}
"""

SHELL = """
. ./nodeling.sh
run() { sleep "0.$REPLY_AFTER"; nodeling_output "{\\"pid\\": $$}"; }
REPLY_AFTER=4
nodeling_serve run
"""


@pytest.fixture(autouse=True)
def _node() -> None:
    for program in ("node", "npm"):
        need(program)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / ".nodeling").mkdir()
    write(tmp_path, "plain", {"type": "runtime.nodejs"}, {"node.mjs": PLAIN})
    write(tmp_path, "loop", {"type": "runtime.nodejs", "concurrency": 8}, {"node.mjs": ASYNC})
    write(tmp_path, "writer", {"type": "runtime.python3"}, {"node.py": WRITER})
    yield tmp_path
    close_all()


def write(project: Path, name: str, runtime: dict[str, Any], files: dict[str, str]) -> Path:
    folder = project / "nodes" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"name": name, "version": "1.0.0", "runtime": runtime}))
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def run(project: Path, *steps: dict[str, Any], **options: Any) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps)}))
    return nodeling.run(path, **options)


def test_plain_functions_overlap_in_processes_and_async_ones_in_one(project: Path) -> None:
    plain = [{"name": f"p{n}", "node": "plain", "inputs": {"kind": "sleep", "ms": 400}} for n in range(2)]
    loop = [{"name": f"l{n}", "node": "loop", "inputs": {"ms": 400}} for n in range(3)]
    result = run(project, WARM, {"name": "all", "node": "parallel", "nodes": [*plain, *loop]})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    assert found["execution_info"]["concurrent_peak"] == 5
    pids = [one["pid"] for one in found["results"]]
    assert pids[0] != pids[1]
    assert len(set(pids[2:])) == 1
    assert max(one["most"] for one in found["results"][2:]) == 3


def test_a_spinning_function_is_killed_at_its_timeout(project: Path) -> None:
    result = run(project, {"name": "x", "node": "plain", "inputs": {"kind": "spin"}, "timeout": 500})
    error = result.steps["x"].error
    assert error is not None
    assert error["code"] == 9005


def test_a_cancelled_async_call_leaves_its_process_to_its_siblings(project: Path) -> None:
    children = [
        {"name": "late", "node": "loop", "inputs": {"ms": 60_000}, "timeout": 300},
        {"name": "kept", "node": "loop", "inputs": {"ms": 900}},
    ]
    policy = {"error_handling": "continue-partial"}
    step = {"name": "all", "node": "parallel", "execution": policy, "nodes": children}
    result = run(project, WARM, step, {"name": "after", "node": "loop", "inputs": {}})
    found = result.steps["all"].output
    assert [error["code"] for error in found["errors"]] == [9005]
    assert found["results"][1]["pid"] == result.steps["after"].output["pid"]


def test_a_crash_fails_its_step_with_the_tail_of_its_log(project: Path) -> None:
    error = run(project, {"name": "x", "node": "plain", "inputs": {"kind": "crash"}}).steps["x"].error
    assert error is not None
    assert (error["code"], error["details"]["exit_code"]) == (9003, 7)
    assert "going down" in error["message"]


def test_four_kinds_overlap_and_a_killed_one_fails_alone(project: Path) -> None:
    here = "import os, time\ndef run(ctx, inputs):\n    time.sleep(0.4)\n    return {'pid': os.getpid()}\n"
    write(project, "here", {}, {"node.py": here})
    write(project, "apart", {"type": "runtime.python3"}, {"node.py": here})
    sdk = sdk_file("bash", "nodeling.sh").read_text(encoding="utf-8")
    shell = write(project, "shell", {"type": "runtime.bash", "protocol": "nsp"}, {"node.sh": SHELL})
    (shell / "nodeling.sh").write_text(sdk, encoding="utf-8")
    children = [{"name": name, "node": name, "inputs": {}} for name in ("here", "apart", "shell")]
    children.append({"name": "js", "node": "plain", "inputs": {"kind": "sleep", "ms": 400}})
    children.append({"name": "dead", "node": "plain", "inputs": {"kind": "killed"}})
    policy = {"error_handling": "continue-partial"}
    step = {"name": "all", "node": "parallel", "execution": policy, "nodes": children}
    result = run(project, step, {"name": "after", "node": "plain", "inputs": {}})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    assert found["execution_info"]["concurrent_peak"] == 5
    assert len({one["pid"] for one in found["results"][:4]}) == 4
    assert [(error["node"], error["code"]) for error in found["errors"]] == [("dead", 9003)]
    assert "last words" in found["errors"][0]["message"]


def test_what_it_writes_is_seen_by_the_next_step(project: Path) -> None:
    result = run(
        project,
        {"name": "x", "node": "plain", "inputs": {"kind": "set", "value": [1, "é"]}},
        {"name": "y", "node": "plain", "inputs": {"mark": "${ctx.vars.mark}"}},
    )
    assert result.steps["y"].output["seen"] == {"mark": [1, "é"]}


def test_a_large_value_comes_from_a_python_worker(project: Path) -> None:
    result = run(
        project,
        {"name": "x", "node": "writer", "inputs": {"size": 5_000_000}},
        {"name": "y", "node": "plain", "inputs": {"kind": "size", "text": "${steps.x.output.text}"}},
    )
    assert result.status == "succeeded", result.error
    assert result.steps["y"].output["size"] == 5_000_000


def test_a_vendored_sdk_serves_its_node(project: Path) -> None:
    text = sdk_file("javascript", "nodeling.mjs").read_text(encoding="utf-8")
    code = 'import * as sdk from "./nodeling.mjs";\nexport default () => sdk.SDK_VERSION;'
    marked = text.replace('SDK_VERSION = "0.1.0"', 'SDK_VERSION = "0.0.9"')
    write(project, "own", {"type": "runtime.nodejs"}, {"node.mjs": code, "nodeling.mjs": marked})
    assert run(project, {"name": "x", "node": "own"}).steps["x"].output == "0.0.9"


def test_typescript_is_checked_built_once_and_run(project: Path) -> None:
    folder = write(project, "typed", {"type": "runtime.typescript"}, {"node.ts": TYPED})
    for name in ("nodeling.mjs", "nodeling.d.mts"):
        shutil.copy(sdk_file("javascript", name), folder / name)
    result = run(
        project,
        {"name": "x", "node": "typed", "inputs": {"text": "a/b/c"}},
        {"name": "y", "node": "typed", "inputs": {"text": ""}, "on_error": "continue"},
    )
    assert result.steps["x"].output == {"words": 3}, result.error
    assert result.steps["y"].error is not None
    assert result.steps["y"].error["code"] == 4001
    builds = list((project / ".nodeling/builds/typescript").glob("*/node.js"))
    run(project, {"name": "x", "node": "typed", "inputs": {"text": "a"}})
    assert list((project / ".nodeling/builds/typescript").glob("*/node.js")) == builds
    (folder / "node.ts").write_text(TYPED.replace("inputs.text.split", "inputs.txet.split"))
    error = run(project, {"name": "x", "node": "typed", "inputs": {"text": "a"}}).steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.build"
    assert "TS2339" in error["message"]
