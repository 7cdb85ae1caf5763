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
    assert names == re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)
    for one in report["shapes"]:
        assert len(one["engine_times_ms"]) == len(one["bare_times_ms"]) == one["rounds"]
        assert one["ratio"] > 0
        assert min(one["engine_times_ms"]) >= one["floor_ms"]
        assert one["name"] in done.stdout
