"""Nodes in languages without an SDK, judged by the kit for what they claim."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from nodeling.testing.conformance import run_suite
from programs import need

STRANGERS = Path(__file__).parents[1] / "fixtures" / "strangers"
CAPABILITIES = json.loads((STRANGERS / "capabilities.json").read_text(encoding="utf-8"))
TOOLS = {"perl": "perl", "c": "gcc"}


def started(variant: str, folder: Path) -> list[str]:
    tool = TOOLS[variant]
    need(tool)
    if variant == "perl":
        return ["perl", str(STRANGERS / "node.pl")]
    program = folder / "node"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(STRANGERS / "node.c")],
        check=True,
    )
    return [str(program)]


@pytest.mark.parametrize("variant", ["perl", "c"])
def test_a_strangers_node_keeps_what_it_claims(variant: str, tmp_path: Path) -> None:
    claims = CAPABILITIES["variants"][variant]["claims"]
    report = run_suite(started(variant, tmp_path), "stdio", claims, jobs=4)
    assert report.is_green, str(report)
    assert len(report.of("passed")) >= 45
