"""The account of a simulation that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.context import overlay
from reference.model import Json
from reference.result import OPAQUE, Result, StepResult
from reference.rules import TIMEOUT_CODE, Code
from reference.state import ScopeState, StepState, is_ordered

if TYPE_CHECKING:
    from reference.interpreter import Simulation


def report(simulation: Simulation, top: ScopeState) -> Result:
    """Say how the run and each of its steps ended."""
    run_status, run_code = _run_end(simulation, top)
    outputs = {step.spec.name: output(step) for step in top.steps if step.status == "succeeded"}
    return Result(
        run_status=run_status,
        run_code=run_code,
        ended_ms=simulation.now,
        steps={step.path: _step(simulation, step) for step in simulation.steps},
        vars=overlay({}, top.delta),
        output=_run_output(top) if run_status == "succeeded" else None,
        outputs=outputs,
        starts=tuple(simulation.starts),
        unclear=tuple(simulation.unclear),
        trace=simulation.trace,
    )


def _run_end(simulation: Simulation, top: ScopeState) -> tuple[str, Code | None]:
    if simulation.stopped_by_hand == "run_timeout":
        return "failed", TIMEOUT_CODE
    return str(top.outcome), top.code


def _step(simulation: Simulation, step: StepState) -> StepResult:
    owner = step.scope.owner
    started = step.started_ms is not None
    handled: bool | None = None
    if step.status == "failed":
        by_container = owner is not None and owner.spec.kind != "sequence" and owner.status == "succeeded"
        in_body = step.spec.trigger == "body"
        handled = simulation.handling(step) == "handled" or (step.scope.recovered and in_body) or by_container
    return StepResult(
        status=step.status,
        reason=step.reason,
        attempts=step.attempts,
        started_ms=step.started_ms,
        ended_ms=step.ended_ms,
        code=step.code,
        limit=step.limit,
        handled=handled,
        seen=dict(step.base) if started else None,
        may_be_absent=step.scope.role == "nodes" and step.status == "cancelled" and step.decided_ms is None,
        is_container=step.spec.kind != "leaf",
    )


def output(step: StepState) -> Json:
    """What a step gave; null unless it succeeded."""
    if step.status != "succeeded":
        return None
    return step.spec.script(step.attempts).output if step.spec.kind == "leaf" else OPAQUE


def _run_output(top: ScopeState) -> Json:
    """In order: the last success. In a DAG: the leaf, or all of them by name."""
    body = top.in_phase("body")
    if is_ordered(step.spec for step in top.steps):
        done = [step for step in body if step.status == "succeeded"]
        return output(done[-1]) if done else None
    leaves = [step for step in body if not any(step in other.ancestors for other in body)]
    if len(leaves) == 1:
        return output(leaves[0])
    return {step.spec.name: output(step) for step in leaves}
