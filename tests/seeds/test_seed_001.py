"""The test file that a description of workflow orchestration brings, against the bridge.

What is right in it passes, with its module names standing for the bridge's. What is wrong in it is a test of
ours in tests/unit/bridges/powercenter/test_api.py: a session without anything to run is no success, and
a command is run by the engine and not by one function of the standard library that a test replaces.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

NAME = "001_2d88407e8ac74224.txt"
HOME = Path(os.environ.get("NODELING_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
SEED = HOME / NAME

pytestmark = pytest.mark.skipif(not SEED.is_file(), reason=f"there is no {NAME} in {HOME}")

MODULES = """
import sys, types
from nodeling_bridges.powercenter import api

for name in ("src", "src.core", "src.workflow"):
    sys.modules[name] = types.ModuleType(name)
parts = {
    "core.config_manager": ["ConfigManager"],
    "workflow.dag_processor": "WorkflowDAGProcessor Workflow WorkflowTask TaskType WorkflowLink".split(),
    "workflow.task_executor": ["WorkflowTaskExecutor", "TaskExecutionResult"],
    "workflow.workflow_scheduler": ["WorkflowScheduler", "WorkflowExecution"],
    "workflow.dependency_manager": ["DependencyManager"],
    "workflow.parallel_executor": ["ParallelExecutor"],
    "workflow.workflow_monitor": ["WorkflowMonitor"],
    "workflow.recovery_manager": ["RecoveryManager"],
}
for path, names in parts.items():
    module = types.ModuleType(f"src.{path}")
    for name in [*names, "TaskStatus"]:
        setattr(module, name, getattr(api, name))
    sys.modules[module.__name__] = module
    holder, _, last = module.__name__.rpartition(".")
    setattr(sys.modules[holder], last, module)
sys.modules["src"].core, sys.modules["src"].workflow = sys.modules["src.core"], sys.modules["src.workflow"]
"""

RIGHT = {
    "TestWorkflowDAGProcessor::test_create_simple_workflow",
    "TestWorkflowDAGProcessor::test_execution_order",
}
WRONG = {
    "TestWorkflowTaskExecutor::test_execute_session_task",
    "TestWorkflowTaskExecutor::test_execute_command_task",
    "TestWorkflowScheduler::test_workflow_scheduling",
}


def own_tests() -> str:
    text = SEED.read_text(encoding="utf-8")
    (found,) = re.findall(
        r"Create `tests/test_workflow_orchestration.py`:\s+```python\n(.*?)```", text, re.DOTALL
    )
    return str(found)


def test_the_documents_own_tests_pass_where_they_are_right(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(MODULES, encoding="utf-8")
    # The document uses a name that it does not import.
    code = own_tests().replace("TaskType, WorkflowLink\n", "TaskType, TaskStatus, WorkflowLink\n", 1)
    (tmp_path / "test_theirs.py").write_text(code, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    found = re.findall(r"^(PASSED|FAILED) \S*test_theirs.py::(\S+)", done.stdout, re.MULTILINE)
    passed = {name for verdict, name in found if verdict == "PASSED"}
    failed = {name for verdict, name in found if verdict == "FAILED"}
    assert (passed, failed) == (RIGHT, WRONG), done.stdout
    assert "is bound to nothing" in done.stdout
