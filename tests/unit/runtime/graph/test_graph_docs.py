"""The how-to page shows what the drawings really look like, and its Python runs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodeling_runtime.cli.main import cli
from nodeling_runtime.graph.text import LONGEST_EXPRESSION
from nodeling_runtime.report.gantt import MOST_BARS
from nodeling_runtime.report.layout import MOST_SHOWN
from nodeling_runtime.report.sections import MOST_LINES
from nodeling_runtime.report.wording import LONGEST_VALUE

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "draw-and-report.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
MEASURES = ("waves", "handlers", "critical_path", "max_width", "depth")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nightly.yaml").write_text(BLOCKS["yaml"], encoding="utf-8")
    for name in ("fetch", "join", "rank", "tell"):
        folder = tmp_path / "nodes" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"name": name}), encoding="utf-8")
        (folder / "node.py").write_text("def run(ctx, inputs):\n    return 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["text", "mermaid"])
def test_the_page_shows_the_real_drawing(project: Path, form: str) -> None:
    result = CliRunner().invoke(cli, ["graph", "nightly.yaml", "--format", form])
    assert result.stdout == BLOCKS[form]


def test_the_page_shows_the_real_measures(project: Path) -> None:
    result = CliRunner().invoke(cli, ["graph", "nightly.yaml", "--format", "json"])
    data = json.loads(result.stdout)
    assert {key: data[key] for key in MEASURES} == json.loads(BLOCKS["json"])


def test_the_python_of_the_page_writes_a_report(project: Path) -> None:
    script = project / "write.py"
    script.write_text(BLOCKS["python"], encoding="utf-8")
    runpy.run_path(str(script))
    report = (project / "nightly.html").read_text(encoding="utf-8")
    assert "by-demand" in report
    assert report.count('class="bar"') == 8  # every step that ran: not `note`, not `page-someone`


@pytest.mark.parametrize("bound", [MOST_BARS, MOST_SHOWN, LONGEST_VALUE, MOST_LINES, LONGEST_EXPRESSION])
def test_the_page_names_every_bound_as_it_is(bound: int) -> None:
    assert re.search(rf"\b{bound:,}\b", PAGE)
