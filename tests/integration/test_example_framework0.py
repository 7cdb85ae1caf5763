"""The recipes of the example do what their page shows, and what their settings say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli_calls import nodectl
from docs.pages import ROOT
from nodeling_runtime.cli.check import check_paths

EXAMPLE = ROOT / "examples" / "framework0"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "framework0"))


def run(example: Path, recipe: str = "business.yaml", **given: object) -> Any:
    pairs = [word for key, value in given.items() for word in ("-i", f"{key}={value}")]
    done = nodectl("run", recipe, "--json", "--quiet", *pairs, cwd=example)
    assert done.out, done.err
    return done.data


def settings(example: Path, **changes: Any) -> None:
    path = example / "settings.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for section, values in changes.items():
        data[section].update(values)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_the_recipes_check_clean(example: Path) -> None:
    findings = check_paths([example])
    assert [str(fault) for fault in findings.faults] == []
    assert len(findings.checked) == 4


def test_the_reports_say_the_same_and_what_was_measured(example: Path) -> None:
    output = run(example)["output"]
    report = json.loads((example / "output" / "comprehensive_report.json").read_text(encoding="utf-8"))
    data = json.loads((example / "output" / "analytics_data.json").read_text(encoding="utf-8"))
    assert all(speed > 0 for speed in report.pop("records_per_second").values())
    assert {key: value for key, value in output.items() if key != "files"} == report
    assert round(sum(data["products"]["revenue"].values()), 2) == data["sales"]["total"] == 9289.82
    assert round(sum(data["customers"]["revenue_by_region"].values()), 2) == 9289.82


def test_a_changed_table_changes_the_figures_and_the_quality(example: Path) -> None:
    with (example / "data" / "sales.csv").open("a", encoding="utf-8") as file:
        file.write("S011,1001,P999,1,2024-09-16,100.00\nS012,1001,P001,,2024-09-17,10.00\n")
    result = run(example)
    assert result["status"] == "succeeded"
    assert result["output"]["sales_total"] == 9399.82
    assert result["outputs"]["validate"]["lost_references"] == ["S011: product_id P999"]
    assert result["output"]["quality"] < 1


@pytest.mark.parametrize(
    ("flag", "left_out"),
    [("enable_validation", "quality"), ("enable_analytics", "sales_total"), ("enable_reporting", None)],
)
def test_what_is_switched_off_is_left_out(example: Path, flag: str, left_out: str | None) -> None:
    settings(example, execution={flag: False})
    result = run(example)
    assert result["status"] == "succeeded", result["error"]
    if left_out is None:
        assert result["steps"]["report"]["reason"] == "condition"
    else:
        assert result["output"][left_out] is None


def test_a_format_that_nobody_knows_fails_the_report_and_calls_the_handler(example: Path) -> None:
    settings(example, output={"formats": ["json", "pdf"]})
    result = run(example)
    assert result["status"] == "failed"
    assert "there is no format 'pdf'" in result["error"]["message"]
    recovered = result["outputs"]["recover"]
    assert (recovered["failed"], recovered["notified"]) == ("report", False)
    assert recovered["saved"] == ["analysis.customers", "analysis.products", "analysis.sales"]
