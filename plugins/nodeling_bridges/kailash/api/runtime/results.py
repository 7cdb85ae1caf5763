"""How our steps ended, as the outputs that Kailash's nodes have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeling.results import RunResult, StepResult
from nodeling_bridges.kailash.api.sdk_exceptions import WorkflowExecutionError
from nodeling_bridges.kailash.catalogue import ERROR, NodeType

__all__ = ["results_of"]


def results_of(run: RunResult, kinds: Mapping[str, NodeType]) -> dict[str, Any]:
    """Every node's outputs.

    Raises:
        WorkflowExecutionError: The run failed.
    """
    found = {name: _outputs(run.steps[name], kind) for name, kind in kinds.items() if name in run.steps}
    if run.succeeded:
        return found
    failed = [name for name, step in run.steps.items() if step.status == "failed"]
    said = "; ".join(f"{name}: {(run.steps[name].error or {}).get('message')}" for name in failed)
    reason = said or (run.error or {}).get("message") or run.status
    raise WorkflowExecutionError(f"{run.workflow}: {reason}", found, run.run_id, failed)


def _outputs(step: StepResult, kind: NodeType) -> Any:
    if step.status == "failed":
        return _failure(step.error or {}, kind)
    if step.status != "succeeded":
        return None
    output = step.output
    if kind.name == "SwitchNode" and isinstance(output["condition_result"], bool):
        return {"true_output": None, "false_output": None, **output}
    if kind.gives_any:
        return {"result": output} if kind.main_output == "result" else output
    return {name: _at(output, path) for name, path in kind.outputs.items()}


def _at(output: Any, path: str) -> Any:
    if path == ERROR:
        return None
    return output if path == "" else output[path]


def _failure(error: Mapping[str, Any], kind: NodeType) -> dict[str, Any]:
    said = {"error": dict(error), "failed": True}
    if ERROR in kind.outputs.values():
        details = error.get("details") or {}
        status = details.get("status") if isinstance(details, Mapping) else None
        return {"response": None, "status_code": status, "success": False, **said}
    return said
