"""The exercise on dependencies and parallel execution: its own recipe, data and scriptlets, run as they are.

What the exercise leaves out is supplied here: four of its scriptlet classes, the package's `__init__`, and a
`pandas` with nothing in it, which its code imports and never uses.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cli_calls import Ended, nodectl

NAME = "000_eeece3502b3e3209.txt"
HOME = Path(os.environ.get("NODELING_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SEED = HOME / NAME

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {HOME}")

RECIPE = "FYI/exercises/parallel_processing_demo.yaml"
CONFIG = "FYI/exercises/data/parallel_config.json"
LOADING = ["load_customers", "load_products", "load_sales"]
ANALYTICS = ["process_customer_analytics", "process_product_analytics", "process_sales_trends"]
NINE = ["initialize_system", *LOADING, "validate_data_integrity", *ANALYTICS, "generate_comprehensive_report"]
HANDLER = "error_recovery_handler"

OMITTED = """
import json
import pathlib
from collections import Counter, defaultdict

from scriptlets.framework import BaseScriptlet, register_scriptlet


@register_scriptlet
class ProductAnalyticsScriptlet(BaseScriptlet):
    def run(self, context, params):
        revenue = defaultdict(float)
        for sale in context.get(params["sales_data"]):
            revenue[sale["product_id"]] += sale["total_amount"]
        categories = Counter(product["category"] for product in context.get(params["input_data"]))
        rounded = {key: round(value, 2) for key, value in revenue.items()}
        found = {"categories": categories, "revenue": rounded}
        context.set(params["output_key"], found, who=self.name)
        return {"products": sum(categories.values())}


@register_scriptlet()
class SalesTrendsScriptlet(BaseScriptlet):
    def run(self, context, params):
        amounts = [sale["total_amount"] for sale in context.get(params["input_data"])]
        found = {"total": round(sum(amounts), 2), "average": round(sum(amounts) / len(amounts), 3)}
        context.set(params["output_key"], found, who=self.name)
        return 0


@register_scriptlet
class ComprehensiveReportScriptlet(BaseScriptlet):
    def run(self, context, params):
        report = {key: context.get(key) for key in params["analytics_keys"]}
        target = pathlib.Path(params["export_directory"]) / "comprehensive_report.json"
        target.write_text(json.dumps(report), encoding="utf-8")
        return {"formats": params["output_formats"], "report": str(target)}


@register_scriptlet
class ErrorRecoveryScriptlet(BaseScriptlet):
    def run(self, context, params):
        error = context.get("recipe.error")
        return {"step": error["step"], "said": context.get("customer_analytics.error")}
"""


@pytest.fixture
def exercise(tmp_path: Path) -> Path:
    """The files that the exercise has its reader create."""
    text = SEED.read_text(encoding="utf-8")
    files = re.findall(r"Create:\*\* `([^`]+)`\s+```\w+\n(.*?)```", text, re.DOTALL)
    assert len(files) == 6
    for name, body in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    package = tmp_path / "scriptlets" / "tutorial"
    (package / "omitted.py").write_text(OMITTED, encoding="utf-8")
    lines = ["from scriptlets.tutorial import omitted", "from .parallel_processing_scriptlets import *"]
    (package / "__init__.py").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "pandas.py").write_text("", encoding="utf-8")
    return tmp_path


def change(exercise: Path, name: str, old: str, new: str) -> None:
    path = exercise / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def run(exercise: Path, **env: str) -> tuple[Ended, dict[str, Any]]:
    done = nodectl("run", RECIPE, "--json", cwd=exercise, env=env)
    assert done.out, done.err
    return done, done.data["steps"]


def statuses(steps: dict[str, Any], *names: str) -> list[str]:
    return [steps[name]["status"] for name in names]


def test_all_nine_steps_run_and_the_recovery_handler_stays_out(exercise: Path) -> None:
    done, steps = run(exercise)
    assert done.code == 0, done.err
    assert statuses(steps, *NINE) == ["succeeded"] * 9
    assert steps[HANDLER]["status"] == "skipped"
    outputs = done.data["outputs"]
    assert [outputs[name]["records_loaded"] for name in LOADING] == [8, 8, 10]
    assert outputs["validate_data_integrity"]["overall_valid"] is True
    assert outputs["generate_comprehensive_report"]["formats"] == ["json", "csv", "console"]
    report = json.loads((exercise / outputs["generate_comprehensive_report"]["report"]).read_text("utf-8"))
    assert report["sales_trends"] == {"total": 9289.82, "average": 928.982}
    assert report["product_analytics"]["categories"] == {"Electronics": 4, "Furniture": 2, "Appliances": 2}
    assert report["product_analytics"]["revenue"]["P001"] == 3899.97
    assert report["customer_analytics"]["segmentation"]["segments"]["premium"] == 4


def test_a_failing_sixth_step_leaves_its_siblings_alone_and_calls_the_handler(exercise: Path) -> None:
    change(exercise, RECIPE, 'input_data: "customers_data"', 'input_data: "customers_of_nobody"')
    done, steps = run(exercise)
    assert done.code == 1
    assert statuses(steps, *ANALYTICS) == ["failed", "succeeded", "succeeded"]
    report = steps["generate_comprehensive_report"]
    assert (report["status"], report["reason"]) == ("skipped", "upstream")
    assert steps[HANDLER]["status"] == "succeeded"
    said = done.data["outputs"][HANDLER]
    assert said["step"] == "process_customer_analytics"
    assert "has no len()" in said["said"]


@pytest.mark.parametrize(
    ("flag", "off"),
    [
        ("enable_validation", ["validate_data_integrity"]),
        ("enable_analytics", ANALYTICS),
        ("enable_reporting", ["generate_comprehensive_report"]),
    ],
)
def test_what_is_switched_off_is_skipped_and_holds_nobody_up(
    exercise: Path, flag: str, off: list[str]
) -> None:
    change(exercise, CONFIG, f'"{flag}": true', f'"{flag}": false')
    done, steps = run(exercise)
    assert done.code == 0, done.err
    skipped = {name: step["reason"] for name, step in steps.items() if step["status"] == "skipped"}
    skipped.pop(HANDLER)
    assert skipped == dict.fromkeys(off, "condition")
    assert set(NINE) - set(off) <= {name for name, step in steps.items() if step["status"] == "succeeded"}


@pytest.mark.parametrize(
    ("said", "instead", "peak"),
    [
        ('"max_concurrent_steps": 4', '"max_concurrent_steps": 4', 3),
        ('"max_concurrent_steps": 4', '"max_concurrent_steps": 2', 2),
        ('"enable_parallel_processing": true', '"enable_parallel_processing": false', 1),
    ],
)
def test_the_configuration_that_a_step_has_loaded_bounds_those_behind_it(
    exercise: Path, said: str, instead: str, peak: int
) -> None:
    change(exercise, CONFIG, said, instead)
    events = exercise / "events.jsonl"
    done = nodectl("run", RECIPE, "--quiet", "--events", events, cwd=exercise)
    assert done.code == 0, done.err
    running, most = 0, 0
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if str(event.get("name", event.get("step"))).endswith("-scriptlet"):
            running += {"step.started": 1, "step.finished": -1}.get(event["event"], 0)
            most = max(most, running)
    assert most == peak


def test_what_it_is_converted_to_checks_clean_and_gives_the_same(exercise: Path) -> None:
    before, _ = run(exercise)
    converted = nodectl("convert", RECIPE, cwd=exercise)
    (exercise / "native.yaml").write_text(converted.out, encoding="utf-8")
    checked = nodectl("check", "native.yaml", "--strict", cwd=exercise)
    assert checked.code == 0, checked.out + checked.err
    after = nodectl("run", "native.yaml", "--json", cwd=exercise)
    assert after.code == 0, after.err
    assert settled(after.data["outputs"]) == settled(before.data["outputs"])


def settled(value: Any) -> Any:
    """Outputs without what no two runs have in common."""
    if isinstance(value, dict):
        return {
            key: settled(item) for key, item in value.items() if not re.search("time|per_second|thread", key)
        }
    return value
