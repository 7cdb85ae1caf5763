"""The parallel workflow and the three patterns that users of Blok know, unchanged, as native documents."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from nodeling import Context, node
from nodeling.workflow import Workflow
from nodeling_runtime.documents.reader import parse_document

NAME = "004_94af7d1e0a799494.txt"
HOME = Path(os.environ.get("NODELING_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SEED = HOME / NAME
BLOCK = re.compile(r"```json\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {HOME}")


def blocks() -> list[str]:
    return [match.group(1) for match in BLOCK.finditer(SEED.read_text(encoding="utf-8"))]


def workflow_text() -> str:
    (found,) = (text for text in blocks() if '"parallel-data-pipeline"' in text)
    return found


def patterns() -> list[str]:
    """The three patterns: the keys of a container, comments and all."""
    text = SEED.read_text(encoding="utf-8")
    return [BLOCK.search(part).group(1) for part in re.split(r"\*\*Pattern \d", text)[1:]]  # type: ignore[union-attr]


@node(name="data-loader")
def load_data(ctx: Context, dataset_url: str) -> dict[str, Any]:
    rows = list(range(3_000))
    ctx.set("dataset", rows)
    return {"url": dataset_url, "rows": len(rows)}


@node(name="data-processor")
def process(data: list[int], chunk_id: int, processing_config: dict[str, Any]) -> dict[str, Any]:
    return {"chunk": chunk_id, "sum": sum(data) * processing_config["factor"], "rows": len(data)}


@node(name="result-aggregator")
def aggregate(parallel_results: list[dict[str, Any]], execution_info: dict[str, Any]) -> dict[str, Any]:
    return {
        "total": sum(one["sum"] for one in parallel_results),
        "chunks": [one["chunk"] for one in parallel_results],
        "completed": execution_info["completed"],
        "peak": execution_info["concurrent_peak"],
    }


BODY = {"dataset": "s3://rows", "config": {"factor": 2}}


def native() -> Workflow:
    workflow = Workflow.from_document(parse_document(workflow_text(), name="seed.json").data)
    for definition in (load_data, process, aggregate):
        workflow.definitions[definition.name] = definition
    return workflow


def test_the_workflow_checks_clean() -> None:
    assert [fault for fault in native().check() if fault.severity == "error"] == []


def test_its_expressions_are_unchanged() -> None:
    strings = re.findall(r'"((?:js/|\$\{)[^"]*)"', workflow_text())
    assert "js/ctx.vars.dataset.slice(1000, 2000)" in strings
    assert "js/ctx.vars['parallel-processing'].results" in strings
    assert len(strings) == 9


def test_the_workflow_gives_the_right_results() -> None:
    result = native().run(BODY)
    assert result.status == "succeeded", result.error
    sums = [2 * sum(range(at, at + 1_000)) for at in (0, 1_000, 2_000)]
    chunks = result.outputs["parallel-processing"]["results"]
    assert [one["sum"] for one in chunks] == sums
    assert [one["rows"] for one in chunks] == [1_000] * 3
    assert result.output["total"] == 2 * sum(range(3_000))
    assert result.output["chunks"] == [1, 2, 3]
    info = result.outputs["parallel-processing"]["execution_info"]
    assert (info["total"], info["completed"], info["failed"]) == (3, 3, 0)
    assert 1 <= info["concurrent_peak"] <= 3
    assert result.output["peak"] == info["concurrent_peak"]


def test_a_failing_chunk_ends_the_step_fast_and_tells_which() -> None:
    workflow = native()

    @node(name="data-processor")
    def picky(inputs: dict[str, Any]) -> int:
        if inputs["chunk_id"] == 2:
            raise ValueError("chunk 2 is bad")
        return int(inputs["chunk_id"])

    workflow.definitions["data-processor"] = picky
    result = workflow.run(BODY)
    error = result.steps["parallel-processing"].error
    assert result.status == "failed" and error is not None
    assert error["code"] == "container.failed" and "chunk-2" in error["message"]
    assert result.steps["aggregate-results"].status == "skipped"


def test_the_same_text_as_a_file_runs_too(tmp_path: Path) -> None:
    from nodeling.testing import run_workflow

    path = tmp_path / "pipeline.json"
    path.write_text(workflow_text(), encoding="utf-8")
    fakes: dict[str, Any] = {one.name: one for one in (load_data, process, aggregate)}
    assert run_workflow(path, BODY, nodes=fakes).output["chunks"] == [1, 2, 3]


def names_in(pattern: str, key: str) -> list[str]:
    return re.findall(rf'"{key}": "([^"]+)"', pattern)


def document_of(pattern: str) -> str:
    """The pattern as the one step of a workflow: its text goes in as it stands, comments included."""
    inner = pattern.strip()
    assert inner.startswith("{") and inner.endswith("}")
    return (
        '{"name": "pattern", "steps": [{"name": "work", "node": "parallel-execution", ' + inner[1:-1] + "}]}"
    )


def nodes_of(text: str, folder: Path) -> Path:
    """A folder with a node of every name that the pattern uses."""
    for name in sorted(set(names_in(text, "node")) - {"parallel-execution"}):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps({"name": name}), encoding="utf-8")
        code = 'import os\n\n\ndef run(ctx, inputs):\n    return ["done", os.getpid()]\n'
        (folder / name / "node.py").write_text(code, encoding="utf-8")
    return folder


def test_there_are_three_patterns_one_with_a_comment() -> None:
    found = patterns()
    assert len(found) == 3
    assert sum("//" in text for text in found) == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_pattern_runs_as_it_stands_its_python3_children_in_workers(number: int, tmp_path: Path) -> None:
    text = document_of(patterns()[number])
    document = parse_document(text, name="pattern.json").data
    apart = [child.get("type") == "runtime.python3" for child in document["steps"][0]["nodes"]]
    workflow = Workflow.from_document(document, nodes=[nodes_of(text, tmp_path)])
    assert [str(fault) for fault in workflow.check() if fault.severity == "error"] == []
    result = workflow.run()
    assert result.status == "succeeded", result.error
    children = result.output["results"]
    assert [said for said, _ in children] == ["done"] * len(apart)
    assert [pid != os.getpid() for _, pid in children] == apart
    assert any(apart)
