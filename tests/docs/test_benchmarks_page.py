"""The benchmarks run, and their page describes the ones there are."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.pages import DOCS, ROOT

sys.path.insert(0, str(ROOT))

from benchmarks.compare import PARTS
from benchmarks.figures import Group, number
from benchmarks.goals import Goal, judged
from benchmarks.page import files
from benchmarks.peer import Peer, PeerError, chosen

from programs import need

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
    engine = _section("Engine")
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
    need("gcc")
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


def test_the_readme_names_every_peer_and_part_that_there_is() -> None:
    top = PAGE.partition("## Engine")[0]
    named = re.findall(r"^\| `([\w-]+)` \|", top, re.MULTILINE)
    assert named == [*(kind.name for kind in chosen("all")), *PARTS]
    for kind in chosen("all"):
        for requirement in kind.requirements[:1]:
            name, _, version = requirement.partition("==")
            assert version
            assert f"{name} {version}" in top


def test_the_page_is_what_its_figures_say() -> None:
    report = json.loads((DOCS / "explanation" / "performance" / "figures.json").read_text(encoding="utf-8"))
    for name, text in files(report).items():
        assert (DOCS / "explanation" / name).read_text(encoding="utf-8") == text, name
    assert report["goals"] == judged(report["groups"])


TIMES = {"nodeling": [2.0, 4.0, 3.0], "bare asyncio": [1.0, 1.0, 1.0], "slow <peer>": [900.0]}
GROUP = Group.of("fan", "Fan-out of 100", "so many nodes", "us a node", "bare asyncio", TIMES)


def test_a_group_has_medians_and_the_ratios_of_its_rounds() -> None:
    ours, base, slow = GROUP.rows
    assert (ours.median, ours.low, ours.high) == (3.0, 2.0, 4.0)
    assert ours.ratio == {"median": 3.0, "low": 2.0, "high": 4.0}
    assert (base.rounds, slow.rounds) == (3, 1)
    assert slow.ratio is not None
    assert slow.ratio["median"] == 900.0


def test_a_goal_is_judged_by_the_rows_of_its_group_and_left_out_without_them() -> None:
    goals = [
        Goal("beside asyncio", "fan", "nodeling", "bare asyncio", 2.5),
        Goal("the peer beside ours", "fan", "slow", "nodeling", 300, "at least"),
        Goal("in itself", "fan", "nodeling", None, 3),
        Goal("of a peer that was not there", "fan", "another", "nodeling", 1),
        Goal("of a group that was not there", "chain", "nodeling", None, 1),
    ]
    found = judged([GROUP.to_json()], goals)
    assert [(one["path"], one["value"], one["met"]) for one in found] == [
        ("beside asyncio", 3.0, False),
        ("the peer beside ours", 450.0, True),
        ("in itself", 3.0, True),
    ]


def test_a_small_run_becomes_a_page_with_a_picture() -> None:
    machine = {
        "date": "2026-01-02",
        "cpu": "a processor",
        "cpus": 2,
        "memory_gib": 8,
        "system": "Linux",
        "load": 7.5,
        "versions": {"Python": "3.11"},
        "commit": "abc",
    }
    groups = [GROUP.to_json()]
    report = {
        "machine": machine,
        "realtime": False,
        "took_s": 1,
        "peers": ["bare asyncio"],
        "absent": {"other 1.0": "no such package"},
        "groups": groups,
        "goals": judged(groups),
    }
    made = files(report)
    page = made["performance.md"]
    assert set(made) == {"performance.md", "performance/fan.svg"}
    assert "| nodeling | 3.00 | 2.00 to 4.00 | 3.00 |" in page
    assert "| slow <peer> | 900 | one round | 900 |" in page
    assert "- other 1.0: no such package" in page
    assert "its load was 7.5 on 2 cores" in page
    assert "2026-01-02" in page
    assert "| fan-out of 100 beside bare asyncio | 3.00 | at most 1.2 | **not met** |" in page
    picture = ElementTree.fromstring(made["performance/fan.svg"])
    texts = [one.text for one in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert [label for label in texts if label in TIMES] == ["bare asyncio", "nodeling", "slow <peer>"]
    widths = [float(one.attrib["width"]) for one in picture.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths == sorted(widths)
    assert all(width > 0 for width in widths)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0433, "0.0433"),
        (0.5, "0.50"),
        (3.14159, "3.14"),
        (41.62, "41.6"),
        (475.4, "475"),
        (25_249, "25,200"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_peer_that_does_not_exist_is_refused_by_name() -> None:
    command = [sys.executable, "-m", "benchmarks", "compare", "--peers", "nobody"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert "no peer is called nobody" in found.stderr


def test_a_peer_that_cannot_start_is_told_apart_from_one_that_gives_a_wrong_result(tmp_path: Path) -> None:
    silent = replace(chosen("futures")[0], program=str(tmp_path / "absent.py"))
    with pytest.raises(PeerError, match="it ended with 2"):
        Peer(silent)
    wrong = tmp_path / "wrong.py"
    peers = ROOT / "benchmarks" / "peers"
    wrong.write_text(
        f"import sys; sys.path.insert(0, {str(peers)!r})\n"
        "from answering import serve\nserve({'fan': lambda size: 1})\n",
        encoding="utf-8",
    )
    peer = Peer(replace(silent, program=str(wrong)))
    try:
        with pytest.raises(PeerError, match="it ended with 1"):
            asyncio.run(peer.measured("fan", 100))
    finally:
        peer.close()


def test_peers_of_the_standard_library_answer_beside_the_engine(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "compare",
        "--peers",
        "none",
        "--only",
        "splitting,resources",
    ]
    found = subprocess.run(
        [*command, "--rounds", "1", "--seconds", "1", "--json", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert [group["name"] for group in report["groups"]] == [
        "split io",
        "split cpu",
        "cold",
        "memory",
        "context",
    ]
    assert report["absent"] == {}
    assert all(row["median"] > 0 for group in report["groups"] for row in group["rows"])
    assert all(one["path"] in found.stdout for one in report["goals"])
