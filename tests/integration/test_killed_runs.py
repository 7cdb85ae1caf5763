"""The kill test: a runner may be killed with -9 at any moment, and nothing is lost or done twice.

What is asked after each kill stands in `kill_rig.py` and `durable_runs.check_run`: every run that was
acknowledged is there and is resumed to the output of a run that nobody killed; each step has one result;
an effect belongs to an attempt that was written down before it, and a step has more than one only where an
attempt died between its start and its result; the store is whole; no process is left after two seconds.

NODELING_KILLS sets how many random kills there are (10000 for a release), and the time they may take with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nodeling_runtime.fault_points import POINTS
from nodeling_runtime.store.opening import open_store

TESTS = Path(__file__).parents[1]
FLOWS = TESTS / "fixtures" / "durable"
KILLS = int(os.environ.get("NODELING_KILLS", "0"))
SEED = int(os.environ.get("NODELING_SEED", "20251125"))


def rig(folder: Path, flow: str, *more: str, kills: int, seconds: float, least: int) -> dict[str, Any]:
    """Run the rig so long, and on until it killed `least` times; the long mode has all the time it needs."""
    limits = [] if KILLS else ["--seconds", str(seconds), "--least", str(least)]
    done = subprocess.run(
        [
            *(sys.executable, str(TESTS / "kill_rig.py"), str(folder), "--flow", str(FLOWS / flow)),
            *("--kills", str(kills), "--seed", str(SEED), *limits, *more),
        ],
        capture_output=True, text=True, timeout=None if KILLS else 120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    report: dict[str, Any] = json.loads(done.stdout)
    print(report)
    assert report["faults"] == [], f"seed {SEED}"
    return report


@pytest.mark.timeout(0 if KILLS else 120)
def test_a_runner_killed_at_any_moment_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    """FAULTS 53: many kills of a run with all its nodes in process."""
    report = rig(tmp_path, "in_process.yaml", kills=KILLS or 400, seconds=16, least=10)
    assert report["kills"] >= 10
    assert report["recovered_attempts"] > 0, "no kill met a call that was under way"


@pytest.mark.timeout(0 if KILLS else 120)
def test_the_same_with_workers_and_programs_which_leave_no_orphans(tmp_path: Path) -> None:
    report = rig(tmp_path, "flow.yaml", kills=KILLS or 60, seconds=8, least=4)
    assert report["kills"] >= 4


@pytest.mark.timeout(0 if KILLS else 120)
def test_the_same_with_whole_commands(tmp_path: Path) -> None:
    report = rig(tmp_path, "flow.yaml", "--exec", kills=(KILLS // 10) or 20, seconds=6, least=2)
    assert report["kills"] >= 2


@pytest.mark.timeout(0 if KILLS else 120)
@pytest.mark.parametrize("point", [point for point in POINTS if point != "migration"])
def test_a_runner_killed_at_a_named_point_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, point: str
) -> None:
    report = rig(tmp_path, "in_process.yaml", "--point", point, kills=200 if KILLS else 5, seconds=5, least=1)
    assert report["kills"] >= 1


def test_a_process_killed_while_it_makes_the_store_leaves_an_old_or_a_new_one(tmp_path: Path) -> None:
    """FAULTS 75: never one between."""
    make = "import sys; from nodeling_runtime.store.opening import open_store; open_store(sys.argv[1])"
    killed = 0
    for number in range(1, 25, 2):
        path = tmp_path / f"{number}.db"
        done = subprocess.run(
            [sys.executable, "-c", make, str(path)],
            env={**os.environ, "NODELING_DIE_AT": f"migration:{number}"},
            timeout=60, check=False,
        )  # fmt: skip
        killed += done.returncode == -9
        store = open_store(str(path))
        try:
            assert store.check() == []
        finally:
            store.close()
    assert killed >= 5
