"""The tutorial of complex workflows, but for its import line: as it is written, and with what it forgot."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from nodeling_bridges.cloacina import tasks
from nodeling_bridges.cloacina.retry import RetryPolicy

NAME = "003_fab156f4ffcd051d.txt"
HOME = Path(os.environ.get("NODELING_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SEED = HOME / NAME

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {HOME}")

FORGOT = '@cloaca.task(id="distribute_workload")'
ADDED = '@cloaca.task(id="distribute_workload", dependencies=["prepare_dataset"])'


def tutorial(*, mended: bool) -> dict[str, Any]:
    """Run the tutorial's own code, in the order in which it shows it, and return its names."""
    text = SEED.read_text(encoding="utf-8")
    body = text[text.index("## Building Complex") : text.index("## Complex Workflow Visualization")]
    code = "".join(re.findall(r"```python\n(.*?)```", body, re.DOTALL))
    code += "\n" + body[body.index("# Main execution") :].rstrip().rstrip("`")
    code = code.replace("import cloaca\n", "import nodeling_bridges.cloacina.api as cloaca\n", 1)
    assert FORGOT in code
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code.replace(FORGOT, ADDED) if mended else code, NAME, "exec"), names)
    return names


def test_with_the_dependency_that_it_forgot_all_fifteen_tasks_are_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = tutorial(mended=True)["result"]
    assert (result.status, result.error_message) == ("Completed", None)
    assert [task.status for task in result.tasks.values()] == ["Completed"] * 15
    report = result.final_context["comprehensive_report"]
    assert report["executive_summary"]["total_customers_analyzed"] == 100
    assert "customer_report" in result.final_context
    assert "Workflow Status: Completed" in capsys.readouterr().out


def test_as_it_is_written_it_fails_and_says_which_task_lacked_what(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "RetryPolicy", lambda **said: RetryPolicy(delay_ms=1, **said))
    result = tutorial(mended=False)["result"]
    assert result.status == "Failed"
    done = [name for name, task in result.tasks.items() if task.status == "Completed"]
    assert len(done) == 4
    assert result.tasks["distribute_workload"].error_message.endswith("which none of its dependencies left")
    assert "it asked for 'dataset'" in result.tasks["distribute_workload"].error_message
    assert "Workflow Status: Failed" in capsys.readouterr().out
