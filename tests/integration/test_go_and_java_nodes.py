"""The same node in Go and in Java, through the engine: built once, warm, killed alone, its errors its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodeling
from nodeling_runtime.dispatch.worker.hub import close_all
from nodeling_runtime.scaffold import find_template, render
from programs import need

GO = """
package main

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"nodes/probe/nodeling"
)

type input struct {
	Do    string
	MS    int
	Text  string
	Value any
}

var running, most atomic.Int64

func main() {
	nodeling.Serve(func(ctx context.Context, in input) (any, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		switch in.Do {
		case "spin":
			for {
			}
		case "crash":
			os.Stderr.WriteString("going down\\n")
			os.Exit(7)
		case "set":
			return nil, nodeling.CallOf(ctx).SetVar("mark", in.Value)
		case "big":
			return map[string]any{"text": strings.Repeat("é", in.MS)}, nil
		case "size":
			return len([]rune(in.Text)), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(in.MS) * time.Millisecond):
		}
		return map[string]any{"pid": os.Getpid(), "most": most.Load(), "value": in.Value}, nil
	})
}
"""
JAVA = """
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import nodeling.Nodeling;

public final class Node {
    private static final AtomicInteger RUNNING = new AtomicInteger();
    private static final AtomicInteger MOST = new AtomicInteger();

    public static void main(String[] args) {
        Nodeling.serve(args, Map.class, (call, in) -> {
            MOST.accumulateAndGet(RUNNING.incrementAndGet(), Math::max);
            try {
                int ms = in.get("ms") instanceof Long n ? n.intValue() : 0;
                switch (String.valueOf(in.get("do"))) {
                    case "spin":
                        while (true) {
                            Thread.onSpinWait();
                        }
                    case "crash":
                        System.err.println("going down");
                        System.exit(7);
                    case "set":
                        call.set("mark", in.get("value"));
                        return null;
                    case "big":
                        return Map.of("text", "é".repeat(ms));
                    case "size":
                        return ((String) in.get("text")).length();
                    default:
                        Thread.sleep(ms);
                }
                Map<String, Object> found = new HashMap<>();
                found.put("pid", ProcessHandle.current().pid());
                found.put("most", MOST.get());
                found.put("value", in.get("value"));
                return found;
            } finally {
                RUNNING.decrementAndGet();
            }
        });
    }
}
"""
FILES = {"go": ("main.go", GO), "java": ("src/main/java/Node.java", JAVA)}
NEEDS = {"go": "go", "java": "javac"}
WARM = {"name": "warm", "node": "probe", "inputs": {}}


@pytest.fixture(scope="module", params=["go", "java"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with the one node, in one of the languages; it is built once for all tests."""
    language = request.param
    need(NEEDS[language])
    home = tmp_path_factory.mktemp(language)
    (home / ".nodeling").mkdir()
    for name, data in render(find_template("node", language), "probe").items():
        path = home / "nodes" / "probe" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    code, text = FILES[language]
    (home / "nodes/probe" / code).write_text(text, encoding="utf-8")
    runtime = {"type": f"runtime.{language}", "concurrency": 4}
    manifest = {"name": "probe", "version": "1.0.0", "runtime": runtime}
    (home / "nodes/probe/config.json").write_text(json.dumps(manifest))
    yield home
    close_all()


def run(project: Path, *steps: dict[str, Any]) -> nodeling.RunResult:
    path = project / "flow.json"
    path.write_text(json.dumps({"name": "flow", "steps": list(steps)}))
    return nodeling.run(path)


def test_calls_overlap_in_one_process(project: Path) -> None:
    nodes = [{"name": f"s{n}", "node": "probe", "inputs": {"ms": 500}} for n in range(4)]
    step = {"name": "all", "node": "parallel", "execution": {"max_concurrent": 4}, "nodes": nodes}
    found = run(project, WARM, step).steps["all"].output["results"]
    assert len({one["pid"] for one in found}) == 1
    assert max(one["most"] for one in found) >= 3


def test_a_cancel_is_heeded_and_leaves_the_process_to_its_siblings(project: Path) -> None:
    nodes = [
        {"name": "late", "node": "probe", "inputs": {"ms": 60_000}, "timeout": 300},
        {"name": "kept", "node": "probe", "inputs": {"ms": 900}},
    ]
    policy = {"error_handling": "continue-partial"}
    step = {"name": "all", "node": "parallel", "execution": policy, "nodes": nodes}
    result = run(project, WARM, step, {"name": "after", "node": "probe", "inputs": {}})
    found = result.steps["all"].output
    assert [error["code"] for error in found["errors"]] == [9005]
    assert found["results"][1]["pid"] == result.steps["after"].output["pid"]


def test_a_call_that_spins_is_killed_at_its_timeout(project: Path) -> None:
    result = run(project, {"name": "x", "node": "probe", "inputs": {"do": "spin"}, "timeout": 500})
    assert result.steps["x"].error is not None
    assert result.steps["x"].error["code"] == 9005


def test_a_crash_fails_its_step_with_the_tail_of_its_log(project: Path) -> None:
    error = run(project, {"name": "x", "node": "probe", "inputs": {"do": "crash"}}).steps["x"].error
    assert error is not None
    assert (error["code"], error["details"]["exit_code"]) == (9003, 7)
    assert "going down" in error["message"]


def test_values_and_variables_arrive_as_they_were(project: Path) -> None:
    value = [9007199254740991, -1.5, 1e300, "é😀\u2028", None, {"$blob": {"path": "mine"}, "": []}]
    result = run(
        project,
        {"name": "x", "node": "probe", "inputs": {"value": value}},
        {"name": "y", "node": "probe", "inputs": {"do": "set", "value": value}},
        {"name": "z", "node": "probe", "inputs": {"value": "${ctx.vars.mark}"}},
    )
    assert result.status == "succeeded", result.error
    assert result.steps["x"].output["value"] == value
    assert result.steps["z"].output["value"] == value


def test_a_large_value_goes_from_one_process_into_the_next_call(project: Path) -> None:
    result = run(
        project,
        {"name": "x", "node": "probe", "inputs": {"do": "big", "ms": 1_500_000}},
        {"name": "y", "node": "probe", "inputs": {"do": "size", "text": "${steps.x.output.text}"}},
    )
    assert result.status == "succeeded", result.error
    assert result.steps["y"].output == 1_500_000


def test_what_the_compiler_says_is_said(project: Path) -> None:
    language = project.name.rstrip("0123456789")
    code, text = FILES[language]
    path = project / "nodes/probe" / code
    path.write_text(text.replace("Do", "Doo", 1).replace("MOST.get()", "MOST.gett()"), encoding="utf-8")
    try:
        error = run(project, {"name": "x", "node": "probe", "inputs": {}}).steps["x"].error
    finally:
        path.write_text(text, encoding="utf-8")
    assert error is not None
    assert error["code"] == "toolchain.build"
    assert {"go": "in.Do undefined", "java": "cannot find symbol"}[language] in error["details"]["output"]
