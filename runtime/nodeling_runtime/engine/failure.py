"""What the engine itself finds wrong, in the form in which a failed call is told."""

from __future__ import annotations

from typing import Any

from nodeling.errors import NodelingError
from nodeling_runtime.dispatch.base import CallError
from nodeling_runtime.expressions.errors import ExpressionError
from nodeling_runtime.values import InvalidValue
from nodeling_runtime.workflow.model import Workflow


def engine_error(error: Exception) -> CallError:
    """What the engine itself raised, as data."""
    if isinstance(error, NodelingError):
        details = dict(error.details)
        if error.hint:
            details["hint"] = error.hint
        return CallError(
            error.code, error.message, type(error).__name__, False, started=False, details=details
        )
    if isinstance(error, InvalidValue):
        return CallError("expr.value", str(error), type(error).__name__, False, started=False)
    return CallError(
        "internal", f"{type(error).__name__}: {error}", type(error).__name__, False, started=False
    )


def lost_with_its_process() -> CallError:
    """Why a step with `on_lost: fail` failed."""
    return CallError("run.lost", "its process died while it ran", "StoreError", False)


def without_view(error: CallError) -> CallError:
    """A scope's error as its container carries it."""
    seen = error.details.pop("as_seen", None)
    if seen is not None:
        error.details.setdefault("step", seen["step"])
        if seen["others"]:
            error.details["others"] = seen["others"]
    return error


def refused_input(workflow: Workflow, body: Any) -> CallError | None:
    """Why a workflow does not take this input; None when it does."""
    from nodeling_runtime.schemas import compile_schema

    if workflow.inputs is None:
        return None
    faults = compile_schema(workflow.inputs, where=f"{workflow.document.name}#/inputs").check(body)
    if not faults:
        return None
    said = f"the input of {workflow.name!r} is refused: {listed(faults)}"
    return CallError("run.input", said, "ConfigError", False, started=False, details=fault_details(faults))


def refuse(faults: Any, what: str, code: int) -> None:
    """Fail the step before its node is asked.

    Raises:
        NodelingError: There is a fault.
    """
    if faults:
        raise NodelingError(f"{what}: {listed(faults)}", code=code, details=fault_details(faults))


def listed(faults: Any) -> str:
    """Faults in one line."""
    return "; ".join(f"{fault.message}{f' at {fault.pointer}' if fault.pointer else ''}" for fault in faults)


def fault_details(faults: Any) -> dict[str, Any]:
    """Faults as an error carries them."""
    return {"faults": [{"pointer": f.pointer, "message": f.message, "hint": f.hint} for f in faults]}


def refused_step(error: NodelingError) -> CallError:
    """Why a step's node was not asked."""
    details = dict(error.details)
    if isinstance(error, ExpressionError) and error.hint:
        details.setdefault("hint", error.hint)
    kind = "InvalidInput" if error.code == 4001 else type(error).__name__
    return CallError(error.code, error.message, kind, False, started=False, details=details)
