"""The benchmarks run, and their page describes the ones there are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import ROOT

PAGE = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


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
    told = set(re.findall(r"^\| `([^`]+)` \|", _section("Workers"), re.MULTILINE))
    assert told <= contestants
    assert {"raw pipe", "transport", "engine"} <= told


def test_the_languages_are_measured_in_one_table(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        missing = "gcc" in os.environ.get("NODELING_REQUIRE", "").split(",")
        (pytest.fail if missing else pytest.skip)("gcc is not installed")
    target = tmp_path / "languages.json"
    command = [sys.executable, "-m", "benchmarks", "languages", "--rounds", "1", "--only", "python,c,bash"]
    found = subprocess.run(
        [*command, "--json", str(target)],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert [row["language"] for row in report["rows"]] == ["raw pipe, C", "Python", "C", "bash"]
    for row in report["rows"]:
        assert row["language"] in found.stdout
        for column in ("serial", "32 at once"):
            assert row[column]["us"]["median"] > 0
            assert (
                row[column]["ratio"]["low"] <= row[column]["ratio"]["median"] <= row[column]["ratio"]["high"]
            )
    section = _section("Languages")
    for column in re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE):
        assert column in found.stdout
