"""The same document through the bridge: what it says of other systems' files holds for its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeling.formats import Source, Wishes
from nodeling.workflow import Workflow
from nodeling_bridges.blok.hooks import recognises
from nodeling_bridges.blok.load import convert
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.formats import Reading, open_workflow
from nodeling_runtime.registry import read_node
from seeds.test_seed_004 import (
    BODY,
    NAME,
    SEED,
    aggregate,
    blocks,
    document_of,
    load_data,
    nodes_of,
    patterns,
    process,
    workflow_text,
)

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {SEED.parent}")
TRIGGER = {"http": {"method": "POST", "path": "/pipeline"}}


def converted(data: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(data, indent=1)
    document = parse_document(text, name="seed.json")
    found = convert(Source("seed.json", text, document.data, document.locate), Wishes())
    assert {note.code for note in found.notes} <= {"blok.trigger"}
    return found.document


def run(document: dict[str, Any], nodes: list[Path] | None = None) -> Any:
    workflow = Workflow.from_document(document, nodes=nodes or [])
    if nodes is None:
        for definition in (load_data, process, aggregate):
            workflow.definitions[definition.name] = definition
    assert [str(fault) for fault in workflow.check() if fault.severity == "error"] == []
    return workflow.run(BODY)


def test_its_workflow_gives_the_same_converted_as_it_stands() -> None:
    data = parse_document(workflow_text(), name="seed.json").data
    assert not recognises(Source("seed.json", "", data))
    assert recognises(Source("seed.json", "", {**data, "trigger": TRIGGER}))
    native, bridged = run(data), run(converted({**data, "trigger": TRIGGER}))
    assert native.status == bridged.status == "succeeded"
    assert bridged.output["total"] == native.output["total"]
    assert bridged.output["chunks"] == [1, 2, 3]


def test_its_workflow_can_be_taken_for_blok_by_force(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(workflow_text(), encoding="utf-8")
    document = open_workflow(path, Reading("blok"))
    assert run(document.data).status == "succeeded"
    assert document.locate("/steps/1/nodes/0/inputs/data") is not None


@pytest.mark.parametrize("number", [0, 1, 2])
def test_its_patterns_run_converted(number: int, tmp_path: Path) -> None:
    text = document_of(patterns()[number])
    data = parse_document(text, name="pattern.json").data
    document = converted({**data, "trigger": TRIGGER})
    result = run(document, [nodes_of(text, tmp_path)])
    assert result.status == "succeeded", result.error
    assert all(said == "done" for said, _ in result.output["results"])


def test_its_if_else_is_ours() -> None:
    (text,) = (text for text in blocks() if "ctx.request.method === 'GET'" in text)
    data = {"name": "page", "version": "1.0.0", **parse_document(text, name="seed.json").data}
    (step,) = converted({**data, "trigger": TRIGGER})["steps"]
    assert step["node"] == "if-else"
    assert step["conditions"][0]["condition"] == "js/!!(ctx.request.method === 'GET')"


def test_its_node_folder_is_read_as_it_is(tmp_path: Path) -> None:
    (text,) = (text for text in blocks() if '"group": "FLOW_CONTROL"' in text)
    folder = tmp_path / "nodes" / "control-flow" / "parallel-execution@1.0.0"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(text, encoding="utf-8")
    (folder / "node.py").write_text("def run(ctx, inputs):\n    return inputs\n", encoding="utf-8")
    spec = read_node(folder, "project")
    assert (spec.name, str(spec.manifest.version)) == ("parallel-execution", "1.0.0")
