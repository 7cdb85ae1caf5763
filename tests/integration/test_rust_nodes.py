"""Rust nodes through the engine: built once for each state of their files, warm, and killable."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.scaffold import find_template, render
from programs import need

MAIN = """
use nodeling::{Context, Error};
use serde_json::{json, Value};
use std::io::Read;
use std::time::Duration;

fn main() -> std::process::ExitCode {
    nodeling::run_fn(handle)
}

fn handle(ctx: &Context, inputs: Value) -> Result<Value, Error> {
    println!("printed by {}", std::process::id());
    let wait = Duration::from_millis(inputs["ms"].as_u64().unwrap_or(0));
    match inputs["kind"].as_str().unwrap_or_default() {
        "spin" => loop {
            std::hint::spin_loop();
        },
        "crash" => {
            eprintln!("going down");
            std::process::exit(7);
        }
        "panic" => panic!("no luck"),
        "keep" => return Ok(json!({"file": ctx.write_blob("raw bytes".as_bytes(), "text/plain")?})),
        "open" => {
            let mut text = String::new();
            ctx.open_blob(&inputs["file"])?.read_to_string(&mut text)?;
            return Ok(json!(text));
        }
        "large" => return Ok(json!("x".repeat(5_000_000))),
        "size" => return Ok(json!(inputs["text"].as_str().map(str::len))),
        "set" => ctx.set("mark", &inputs["value"])?,
        _ => {
            ctx.cancel_token().wait(wait);
        }
    }
    Ok(json!({"pid": std::process::id(), "seen": inputs}))
}
"""
WRONG = MAIN.replace("std::process::id()", "std::process::di()")
# Before the first answer nobody knows how many calls a process takes, so the host may start several.
WARM = {"name": "warm", "node": "busy", "inputs": {}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with one Rust node; its dependencies are in the user's cache, where other tests put them."""
    for program in ("cargo", "rustc", "gcc"):
        need(program)
    root = tmp_path_factory.mktemp("rust")
    write(root, MAIN)
    yield root
    close_all()


def write(root: Path, main: str, name: str = "busy") -> Path:
    """A node made of the template, with another `main.rs`."""
    folder = root / "nodes" / name
    files = render(find_template("node", "rust"), name)
    files["src/main.rs"] = main.encode()
    cargo = files["Cargo.toml"].decode().replace("[workspace]", 'serde_json = "1"\n\n[workspace]')
    files["Cargo.toml"] = cargo.encode()
    manifest = {"name": name, "version": "1.0.0", "runtime": {"type": "runtime.rust", "concurrency": 8}}
    files["config.json"] = json.dumps(manifest).encode()
    for inside, data in files.items():
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        (folder / inside).write_bytes(data)
    return folder


def run(project: Path, *steps: dict[str, Any], **options: Any) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps)}), encoding="utf-8")
    return nodeling.run(path, **options)


@pytest.mark.timeout(600)
def test_calls_overlap_in_one_process(project: Path) -> None:
    nodes = [{"name": f"n{n}", "node": "busy", "inputs": {"ms": 400}} for n in range(4)]
    result = run(project, WARM, {"name": "all", "node": "parallel", "nodes": nodes})
    assert result.status == "succeeded", result.error
    found = result.steps["all"].output
    assert found["execution_info"]["concurrent_peak"] == 4
    assert len({one["pid"] for one in found["results"]}) == 1


def test_a_spinning_call_is_killed_at_its_timeout(project: Path) -> None:
    result = run(project, {"name": "x", "node": "busy", "inputs": {"kind": "spin"}, "timeout": 500})
    error = result.steps["x"].error
    assert error is not None
    assert error["code"] == 9005


def test_a_cancelled_call_leaves_its_process_to_its_siblings(project: Path) -> None:
    children = [
        {"name": "late", "node": "busy", "inputs": {"ms": 60_000}, "timeout": 300},
        {"name": "kept", "node": "busy", "inputs": {"ms": 900}},
    ]
    policy = {"error_handling": "continue-partial"}
    step = {"name": "all", "node": "parallel", "execution": policy, "nodes": children}
    result = run(project, WARM, step, {"name": "after", "node": "busy", "inputs": {}})
    found = result.steps["all"].output
    assert [error["code"] for error in found["errors"]] == [9005]
    assert found["results"][1]["pid"] == result.steps["after"].output["pid"]


def test_a_panic_fails_its_call_and_an_exit_every_call_of_the_process(project: Path) -> None:
    panicked = run(
        project,
        {"name": "x", "node": "busy", "inputs": {"kind": "panic"}, "on_error": "continue"},
        {"name": "y", "node": "busy", "inputs": {"kind": "crash"}},
    )
    errors = [panicked.steps[name].error for name in ("x", "y")]
    assert errors[0] is not None and errors[1] is not None
    assert (errors[0]["code"], errors[0]["message"]) == (4000, "no luck")
    assert (errors[1]["code"], errors[1]["details"]["exit_code"]) == (9003, 7)
    assert "going down" in errors[1]["message"]


def test_what_it_writes_and_large_values_reach_the_next_step(project: Path) -> None:
    result = run(
        project,
        {"name": "set", "node": "busy", "inputs": {"kind": "set", "value": [1, "é"]}},
        {"name": "large", "node": "busy", "inputs": {"kind": "large"}},
        {"name": "size", "node": "busy", "inputs": {"kind": "size", "text": "${steps.large.output}"}},
        {"name": "kept", "node": "busy", "inputs": {"kind": "keep"}},
        {"name": "text", "node": "busy", "inputs": {"kind": "open", "file": "${steps.kept.output.file}"}},
        {"name": "last", "node": "busy", "inputs": {"mark": "${ctx.vars.mark}"}},
    )
    assert result.status == "succeeded", result.error
    assert result.steps["size"].output == 5_000_000
    assert result.steps["text"].output == "raw bytes"
    assert result.steps["last"].output["seen"] == {"mark": [1, "é"]}


@pytest.mark.timeout(600)
def test_a_change_is_built_and_a_wrong_one_is_told_in_the_compilers_words(tmp_path: Path) -> None:
    """Of a node of its own; nothing of its folder is written by a build."""
    folder = write(tmp_path, WRONG, "changing")
    files = sorted(path for path in folder.rglob("*"))
    error = run(tmp_path, {"name": "x", "node": "changing"}).steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.build"
    assert "E0425" in error["details"]["output"] and "src/main.rs:" in error["details"]["output"]
    write(tmp_path, MAIN, "changing")
    assert run(tmp_path, {"name": "x", "node": "changing", "inputs": {"a": 1}}).output["seen"] == {"a": 1}
    assert sorted(path for path in folder.rglob("*")) == files
    close_all()


@pytest.mark.parametrize(
    ("cargo", "said"),
    [
        ("[package]\nname = 3\n", "has no [package] with a name"),
        ("[package\n", "is no TOML"),
        ('[package]\nname = "a"\n[[bin]]\nname = "b"\n[[bin]]\nname = "c"\n', "`default-run` names none"),
        (None, "cannot be read"),
    ],
)
def test_a_crate_without_a_binary_of_its_own_is_told(
    project: Path, tmp_path: Path, cargo: Any, said: str
) -> None:
    folder = write(tmp_path, MAIN, "odd")
    (folder / "Cargo.toml").unlink()
    if cargo is not None:
        (folder / "Cargo.toml").write_text(cargo, encoding="utf-8")
    error = run(tmp_path, {"name": "x", "node": "odd"}).steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.build" and said in error["message"]


def test_a_missing_cargo_is_one_error_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, MAIN.replace("printed by", "said by"), "poor")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    error = run(tmp_path, {"name": "x", "node": "poor"}).steps["x"].error
    assert error is not None
    assert error["code"] == "toolchain.missing"
    assert "cargo" in error["message"] and "apt-get install cargo" in error["details"]["hint"]


def test_a_worker_is_gone_soon_after_its_runtime_was_killed(project: Path) -> None:
    path = project / "long.json"
    step = {"name": "x", "node": "busy", "inputs": {"kind": "spin"}}
    path.write_text(json.dumps({"name": "long", "steps": [step]}), encoding="utf-8")
    command = [sys.executable, "-m", "nodeling_runtime", "run", str(path)]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if b"printed by" in line)
        worker = int(line.rsplit(None, 1)[1])
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    due = time.monotonic() + 30  # the promise is two seconds; a busy machine gets more before it is a failure
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < due, "the worker outlives its runtime"
        time.sleep(0.02)
