"""The examples in Blok's own format do what their page shows, and what its users were promised."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from docs.pages import ROOT, Page
from nodeling import load
from nodeling_runtime.cli.check import check_paths
from nodeling_runtime.engine.loaded import registry_for
from nodeling_runtime.examples import run_examples
from programs import need

EXAMPLE = ROOT / "examples" / "blok"
REVIEWS = {"reviews": [{"id": 1, "text": "good"}, {"id": 2, "text": ""}]}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    need("node")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "blok"))


def run(example: Path, name: str, body: dict[str, Any]) -> Any:
    return load(example / name).run(body)


def test_the_page_shows_what_happens(example: Path) -> None:
    Page(EXAMPLE / "README.md", example).run()


def test_the_documents_check_clean_and_every_node_has_an_example(example: Path) -> None:
    findings = check_paths([example])
    assert [str(fault) for fault in findings.faults if fault.severity == "error"] == []
    assert {fault.code for fault in findings.faults} == {"blok.trigger"}
    specs = [spec for spec in registry_for(example).each() if spec.is_local]
    assert len(specs) == 8
    for spec in specs:
        assert [result.problem for result in run_examples(spec, ()) if not result.passed] == []


def test_three_languages_run_at_the_same_time(example: Path) -> None:
    result = run(example, "mixed-runtimes.json", REVIEWS)
    assert result.status == "succeeded", result.error
    children = result.outputs["look"]["execution_info"]["children"]
    begun = [child["started_ms"] for child in children]
    ended = [child["started_ms"] + child["duration_ms"] for child in children]
    assert max(begun) < min(ended)
    assert result.output["at_once"] == 3


def test_a_runtime_that_fails_costs_the_others_nothing(example: Path) -> None:
    path = example / "mixed-runtimes.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["nodes"]["look"]["execution"]["error_handling"] = "continue-partial"
    document["nodes"]["mood"]["inputs"]["reviews"] = "js/ctx.request.body.reviews.map(r => r.text)"
    path.write_text(json.dumps(document), encoding="utf-8")
    result = run(example, "mixed-runtimes.json", REVIEWS)
    assert result.status == "succeeded", result.error
    look = result.outputs["look"]
    assert [error["node"] for error in look["errors"]] == ["mood"]
    assert look["results"] == [{"valid": [1], "invalid": [2]}, None, 4]


def test_five_chunks_at_once_take_less_time_and_give_the_same(example: Path) -> None:
    result = run(example, "ten-megabytes.json", {"megabytes": 2, "answer_ms": 400})
    assert result.status == "succeeded", result.error
    output = result.output
    assert (output["rows"], output["same"], output["at_once"]) == (40_000, True, 5)
    assert output["parallel_ms"] < output["sequential_ms"]
    assert output["reduction"] > 20
