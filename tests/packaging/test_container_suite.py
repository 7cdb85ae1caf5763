"""The judge of containers may be wrong itself: it accepts a good one, and breaks on planted defects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nodeling_runtime.registry import NodeSpec, build_registry
from nodeling_runtime.scaffold import copy_node

SUITE = Path(__file__).resolve().parents[1] / "fixtures" / "container_suite.py"
DEFECTS = {
    "no bound": ('execution.get("max_concurrent", DEFAULT_CONCURRENCY)', "100", "five run at once"),
    "another order": (
        'for child in inputs["nodes"]]',
        'for child in reversed(inputs["nodes"])]',
        "declared order",
    ),
    "writes kept back": ("flow.adopt(*bounded.succeeded())", "flow.adopt()", "unequal ones clash"),
    "no minimum": ('execution.get("min_success", 0)', "0", "too few successes"),
    "no groups": ('execution.get("batch_size")', "None", "groups run"),
}


def judge(folder: Path, *, only: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SUITE), "--node", "judged", "--nodes", str(folder), "--only", only]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder)


def copied(folder: Path) -> Path:
    spec = build_registry().find("parallel")
    assert isinstance(spec, NodeSpec)
    home = folder / "judged"
    home.mkdir()
    for name, data in copy_node(spec, "judged").items():
        (home / name).write_bytes(data)
    return home


def test_the_shipped_parallel_under_another_name_keeps_every_promise(tmp_path):
    copied(tmp_path)
    done = judge(tmp_path)
    assert done.returncode == 0 and "14 of 14 promises kept by judged" in done.stdout, done.stdout


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_breaks_its_promise(tmp_path, defect):
    sound, broken, promise = DEFECTS[defect]
    code = copied(tmp_path) / "node.py"
    text = code.read_text(encoding="utf-8")
    assert text.count(sound) == 1, f"{sound!r} stands no more in the shipped parallel: plant the defect anew"
    code.write_text(text.replace(sound, broken), encoding="utf-8")
    done = judge(tmp_path, only=promise)
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout
    assert "AssertionError" in done.stdout or "TypeError" in done.stdout, done.stdout
