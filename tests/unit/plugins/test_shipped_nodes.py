"""The nodes we ship keep what their manifests and their pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nodeling import node
from nodeling_runtime.documents.reader import parse_document
from nodeling_runtime.engine.loaded import load
from nodeling_runtime.examples import run_examples
from nodeling_runtime.registry import build_registry, read_node

FOLDERS = sorted(
    path.parent for path in (Path(__file__).parents[3] / "plugins" / "nodeling_nodes").glob("*/config.json")
)


def _hello(name: str) -> str:
    return f"Hello, {name}!"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_example_of_a_shipped_node_holds(folder: Path) -> None:
    spec = read_node(folder, "nodeling")
    if spec.name != "subworkflow":  # it needs a file beside the workflow; its own tests have one
        assert spec.manifest.examples
    assert [result for result in run_examples(spec) if not result.passed] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_step_on_a_shipped_nodes_page_checks_clean(folder: Path, tmp_path: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    (tmp_path / "greetings.yaml").write_text(
        "name: greetings\nsteps: [{name: hi, node: hello, inputs: {name: Ada}}]\n", encoding="utf-8"
    )
    steps = "\n".join(f"  {line}" for line in block[1].splitlines())
    document = parse_document(
        f"name: page\nsteps:\n{steps}\n", name=str(tmp_path / "page.yaml"), format="yaml"
    )
    hello = node(name="hello")(_hello)
    loaded = load(document, base=tmp_path, definitions={"hello": hello})
    assert [str(fault) for fault in loaded.faults] == []


def test_a_folder_bears_its_nodes_name_and_every_name_is_found() -> None:
    registry = build_registry()
    for folder in FOLDERS:
        spec = read_node(folder, "nodeling")
        assert folder.name.replace("_", "-") == spec.name
        for name in (spec.name, *spec.manifest.aliases):
            assert registry.specs[name]
    assert registry.specs["parallel-execution"] == registry.specs["parallel"]
