"""The examples of the reference page are nodes that run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exec_calls import Programs
from nodeling.manifest import Manifest
from nodeling_runtime.registry import NodeSpec

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "exec-nodes.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
MANIFESTS = {(data := json.loads(text))["name"]: data for kind, text in BLOCKS if kind == "json"}


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    made = Programs(tmp_path)
    (script,) = [text for kind, text in BLOCKS if kind == "bash"]
    (made.folder / "node.sh").write_text(script, encoding="utf-8")
    return made


def run(programs: Programs, name: str, inputs: Any) -> Any:
    outcome = programs.run(NodeSpec(Manifest.from_data(MANIFESTS[name]), "project", programs.folder), inputs)
    return outcome.error.code if outcome.error is not None else outcome.output and outcome.output.fresh()


@pytest.mark.parametrize(
    ("name", "inputs", "wanted"),
    [
        ("word-count", {"text": "one two three"}, 3),
        ("greet", {"name": "ada"}, {"greeting": "hello ada"}),
        ("greet", {}, 4001),
        ("pick", {"from": 2}, [2, 3]),
        ("pick", {"from": 1, "to": 2}, [1, 2]),
    ],
)
def test_an_example_of_the_page_does_what_it_says(
    programs: Programs, name: str, inputs: Any, wanted: Any
) -> None:
    assert run(programs, name, inputs) == wanted


def test_every_manifest_of_the_page_has_an_example_call() -> None:
    assert set(MANIFESTS) == {"word-count", "greet", "pick"}
