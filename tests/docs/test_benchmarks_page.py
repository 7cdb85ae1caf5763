"""The benchmarks run, and their page describes the ones there are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT

PAGE = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


def test_one_round_of_every_workload_gives_a_table_and_figures(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "1", "--json", str(target)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    report = json.loads(target.read_text(encoding="utf-8"))
    names = [one["name"] for one in report["shapes"]]
    engine = PAGE.partition("## Workers")[0]
    assert names == re.findall(r"^\| `([\w-]+)` \|", engine, re.MULTILINE)
    for one in report["shapes"]:
        assert len(one["engine_times_ms"]) == len(one["bare_times_ms"]) == one["rounds"]
        assert one["ratio"] > 0
        assert min(one["engine_times_ms"]) >= one["floor_ms"]
        assert one["name"] in done.stdout


def test_the_workers_are_measured(tmp_path: Path) -> None:
    target = tmp_path / "workers.json"
    command = [sys.executable, "-m", "benchmarks.workers", "--rounds", "1", "--no-mcp", "--json", str(target)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert set(report["times_us"]) == {"200 B", "10 KB", "1 MB", "cold start"}
    assert all(one["median"] > 0 for one in report["ratios"])
    contestants = {name for times in report["times_us"].values() for name in times} | {"cold start", "MCP"}
    told = set(re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Workers")[2], re.MULTILINE))
    assert told <= contestants
    assert {"raw pipe", "transport", "engine"} <= told
